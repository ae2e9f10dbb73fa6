//! A deployment with two proxies in front of its units is migrated to the gateway. No request fails, no WebSocket is closed, and until
//! the last step the former proxies can be restored.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use computing_unit_api::{ComputingUnitPool, Phase, QueryLookup, gateway::HTTPRoute, names::PORT};
use e2e::{
    activator::{self, WAKES, serve_activator, until_served},
    before::{self, ENVOY, ENVOY_PORT, NGINX, Plan, TwoProxies, UNITS_SERVICE},
    fixture::{Fixture, SOON},
    standin,
    traffic::{Hammer, Hammering, Reuse, Socket, Target, first_success},
    units::{self, Mode},
};
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use super::with_fixture;

const STATIC: &str = "webserver";
/// The route on the gateway to the former proxies.
const BEFORE: &str = "units-of-before";

fn cuid(fixture: &Fixture, name: &str) -> i64 {
    fixture.unit(name).spec.cuid.unwrap_or_default()
}

fn static_path(fixture: &Fixture) -> String {
    format!("/static/{}", fixture.namespace)
}

fn unit_target(fixture: &Fixture, cuid: i64) -> anyhow::Result<Target> {
    let path = format!("{}/workflow-websocket?wid=1&cuid={cuid}&access-token=for-all", activator::path(fixture));
    Ok(Target::new("localhost", &path)?.engine(&format!("computing-unit-{cuid}")))
}

fn static_target(fixture: &Fixture) -> anyhow::Result<Target> {
    Ok(Target::new("localhost", &static_path(fixture))?.engine(STATIC))
}

/// A steady load, none of whose requests may fail.
fn steady(fixture: &Fixture, addresses: &[SocketAddr], cuid: i64) -> anyhow::Result<Vec<Hammering>> {
    [static_target(fixture)?, unit_target(fixture, cuid)?]
        .into_iter()
        .map(|target| Hammer::new(addresses, target).connections(2).rate(25.0).start())
        .collect()
}

async fn no_failures(loads: Vec<Hammering>) -> anyhow::Result<()> {
    for load in loads {
        load.answer_more(50, SOON).await?;
        let report = load.stop().await?;
        println!("{report}");
        report.assert_only(&[200])?;
    }
    Ok(())
}

/// Creates a route from a path prefix to a Service.
async fn route(fixture: &Fixture, name: &str, prefix: &str, service: &str, port: i32) -> anyhow::Result<()> {
    let gateway = fixture.cluster.gateway();
    let route: HTTPRoute = serde_json::from_value(json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": {
            "parentRefs": [{"name": gateway.name, "namespace": gateway.namespace}],
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": prefix}}],
                "backendRefs": [{"name": service, "port": port}],
                "timeouts": {"request": "0s"},
            }],
        },
    }))?;
    fixture.routes().create(&PostParams::default(), &route).await?;
    Ok(())
}

/// A pool whose units the former proxies can resolve too: their pods have the subdomain of the shared Service.
fn pool(fixture: &Fixture, activator: &Value) -> ComputingUnitPool {
    let more = json!({"spec": {"template": {"spec": {"subdomain": UNITS_SERVICE}}}});
    let pool = units::with(&activator::pool(fixture, Mode::Query, activator), &more);
    units::with(&pool, &json!({"spec": {"activator": activator}}))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_proxies_are_replaced_by_the_gateway_and_can_be_restored_until_the_last_step() -> anyhow::Result<()> {
    migrate("migrate", QueryLookup::Linear).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_proxies_are_replaced_by_the_gateway_with_its_authorization() -> anyhow::Result<()> {
    migrate("migrate-host", QueryLookup::Host).await
}

/// With `Host`, the gateway authorizes every request for a unit from the first step.
async fn migrate(name: &str, lookup: QueryLookup) -> anyhow::Result<()> {
    with_fixture(name, |mut fixture| async move {
        // Before: a static service, a bare pod as a unit, and two proxies.
        before::units_service(&fixture).await?;
        standin::static_service(&fixture, STATIC).await?;
        let unit_host = format!("computing-unit-{{cuid}}.{}:{PORT}", before::domain(&fixture));
        let plan = Plan {
            statics: vec![(static_path(&fixture), format!("{STATIC}:{PORT}"))],
            units: vec![activator::path(&fixture)],
            unit_host: unit_host.clone(),
            workers: 1,
            access_log: false,
            authorization: None,
        };
        let Some(two) = TwoProxies::start(&fixture, &plan).await? else { return Ok(()) };
        let old = cuid(&fixture, "old");
        before::unit(&fixture, old).await?;
        first_success(two.front, &unit_target(&fixture, old)?, Reuse::Fresh, SOON).await?;
        let by_two = steady(&fixture, &[two.front], old)?;
        let path = format!("{}?cuid={old}&access-token=for-all", activator::path(&fixture));
        let mut socket = Socket::open(two.front, "localhost", &path).await?;

        // 1. The gateway takes all that the two proxies take, and hands the units of before to the second of them.
        ensure!(serve_activator(&mut fixture).await?, "the proxies of the tests' own cluster reach this machine");
        let _operator = fixture.start().await?;
        route(&fixture, "static", &static_path(&fixture), STATIC, PORT).await?;
        route(&fixture, BEFORE, &activator::path(&fixture), ENVOY, ENVOY_PORT.into()).await?;
        if lookup == QueryLookup::Host {
            let variables = [("PARSER", "first-decoded".to_owned()), ("UNIT_HOST", unit_host)];
            standin::authorization(&fixture, &variables, &["x-user-id", "host"]).await?;
            before::authorize(&fixture, BEFORE, true).await?;
            // The route of its activator has the same path as the former route, which is older and so has precedence.
            let query =
                json!({"spec": {"routing": {"query": {"lookup": lookup, "lookupDomain": before::domain(&fixture)}}}});
            activator::create_pool(&fixture, &units::with(&pool(&fixture, &WAKES()), &query)).await?;
        } else {
            fixture.create_pool(&pool(&fixture, &Value::Null)).await?;
        }
        let gateway = fixture.cluster.proxies().await?;
        for target in [static_target(&fixture)?, unit_target(&fixture, old)?] {
            first_success(gateway[0], &target, Reuse::Fresh, SOON).await?;
        }
        let by_gateway = steady(&fixture, &gateway, old)?;

        // 2. New units are ComputingUnits. They are reachable through both gateways: clients of the old one still work, and
        // so does a rollback.
        let new = cuid(&fixture, "new");
        let name = format!("computing-unit-{new}");
        fixture.create(&units::unit(&fixture.namespace, &name, new)).await?;
        fixture.until(&name, Phase::Ready).await?;
        before::answered(&fixture, &unit_target(&fixture, new)?, true).await?;
        first_success(two.front, &unit_target(&fixture, new)?, Reuse::Fresh, SOON).await?;
        let by_both = steady(&fixture, &[gateway[0], two.front], new)?;
        let mut direct = Socket::open(
            gateway[0],
            "localhost",
            &format!("{}?cuid={new}&access-token=for-all", activator::path(&fixture)),
        )
        .await?;
        direct.echo("by one hop").await?;

        // 3. A unit of before is replaced by one of the same number when its user lets it: it alone is away meanwhile.
        socket.echo("still by two hops").await?;
        no_failures(by_two).await?;
        no_failures(by_gateway).await?;
        fixture.pods().delete(&format!("computing-unit-{old}"), &DeleteParams::default()).await?;
        let again = format!("computing-unit-{old}");
        fixture.create(&units::unit(&fixture.namespace, &again, old)).await?;
        fixture.until(&again, Phase::Ready).await?;
        before::answered(&fixture, &unit_target(&fixture, old)?, true).await?;

        // 4. Nobody is left behind the two proxies: the activator replaces their route on the gateway, and they are deleted.
        no_failures(by_both).await?;
        let by_gateway = steady(&fixture, &gateway, new)?;
        before::lead_aside(&fixture, BEFORE).await?;
        fixture.edit_pool(json!({"activator": WAKES()})).await?;
        activator::until_accepted(&fixture).await?;
        let nobody = unit_target(&fixture, cuid(&fixture, "nobody"))?;
        until_served(&fixture, &nobody).await?;
        fixture.routes().delete(BEFORE, &DeleteParams::default()).await?;
        if lookup == QueryLookup::Host {
            activator::policies(&fixture).delete(BEFORE, &DeleteParams::default()).await?;
        }
        for name in [NGINX, ENVOY] {
            fixture.pods().delete(name, &DeleteParams::default()).await?;
            fixture.services().delete(name, &DeleteParams::default()).await.context("the Service of a proxy")?;
        }
        direct.echo("the proxies of before are gone").await?;
        no_failures(by_gateway).await
    })
    .await
}
