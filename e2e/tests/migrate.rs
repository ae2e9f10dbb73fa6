//! A deployment that has its units behind two proxies moves to the gateway, without a request that fails or a WebSocket that
//! is cut by the move, and could go back until the last step.

#![allow(clippy::unwrap_used, missing_docs)]

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use computing_unit_api::{ComputingUnitPool, Phase, QueryLookup, gateway::HTTPRoute, names::PORT};
use e2e::{
    before::{self, ENVOY, ENVOY_PORT, NGINX, Plan, TwoProxies, UNITS_SERVICE},
    entry::{self, WAKES, lead_here, until_served},
    stage::{SOON, Stage, play},
    standin,
    traffic::{Hammer, Hammering, Reuse, Socket, Target, first_success},
    units::{self, Mode},
};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

const STATIC: &str = "webserver";
/// The route on the gateway to the proxies of before.
const BEFORE: &str = "units-of-before";

fn cuid(stage: &Stage, name: &str) -> i64 {
    stage.unit(name).spec.cuid.unwrap_or_default()
}

fn static_path(stage: &Stage) -> String {
    format!("/static/{}", stage.namespace)
}

fn unit_target(stage: &Stage, cuid: i64) -> anyhow::Result<Target> {
    let path = format!("{}/workflow-websocket?wid=1&cuid={cuid}&access-token=for-all", entry::path(stage));
    Ok(Target::new("localhost", &path)?.engine(&format!("computing-unit-{cuid}")))
}

fn static_target(stage: &Stage) -> anyhow::Result<Target> {
    Ok(Target::new("localhost", &static_path(stage))?.engine(STATIC))
}

/// A steady load that no request of may fail.
fn steady(stage: &Stage, addresses: &[SocketAddr], cuid: i64) -> anyhow::Result<Vec<Hammering>> {
    [static_target(stage)?, unit_target(stage, cuid)?]
        .into_iter()
        .map(|target| Hammer::new(addresses, target).connections(2).rate(25.0).start())
        .collect()
}

async fn all_well(loads: Vec<Hammering>) -> anyhow::Result<()> {
    for load in loads {
        load.answer_more(50, SOON).await?;
        let report = load.stop().await?;
        println!("{report}");
        report.assert_only(&[200])?;
    }
    Ok(())
}

/// A route of the gateway from a prefix to a Service, as it would be written by hand.
async fn route(stage: &Stage, name: &str, prefix: &str, service: &str, port: i32) -> anyhow::Result<()> {
    let gateway = stage.cluster.gateway();
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
    stage.routes().create(&PostParams::default(), &route).await?;
    Ok(())
}

/// The pool whose units the proxies of before find as well: their pods bear the name that the shared Service gives them.
fn pool(stage: &Stage, entry: &Value) -> ComputingUnitPool {
    let more = json!({"spec": {"template": {"spec": {"subdomain": UNITS_SERVICE}}}});
    let pool = units::with(&entry::pool(stage, Mode::Query, entry), &more);
    units::with(&pool, &json!({"spec": {"entry": entry}}))
}

#[tokio::test(flavor = "multi_thread")]
async fn from_two_proxies_to_the_gateway_and_not_yet_past_the_way_back() -> anyhow::Result<()> {
    migrate("migrate", QueryLookup::Linear).await
}

#[tokio::test(flavor = "multi_thread")]
async fn from_two_proxies_to_the_gateway_with_its_authorization() -> anyhow::Result<()> {
    migrate("migrate-host", QueryLookup::Host).await
}

/// With `Host`, the gateway has every request for a unit authorized from the first step on.
async fn migrate(name: &str, lookup: QueryLookup) -> anyhow::Result<()> {
    play(name, |mut stage| async move {
        // Before: a static service, a bare pod as a unit, and two proxies.
        before::units_service(&stage).await?;
        standin::static_service(&stage, STATIC).await?;
        let unit_host = format!("computing-unit-{{cuid}}.{}:{PORT}", before::domain(&stage));
        let plan = Plan {
            statics: vec![(static_path(&stage), format!("{STATIC}:{PORT}"))],
            units: vec![entry::path(&stage)],
            unit_host: unit_host.clone(),
            workers: 1,
            access_log: false,
        };
        let Some(two) = TwoProxies::start(&stage, &plan).await? else { return Ok(()) };
        let old = cuid(&stage, "old");
        before::unit(&stage, old).await?;
        first_success(two.front, &unit_target(&stage, old)?, Reuse::Fresh, SOON).await?;
        let by_two = steady(&stage, &[two.front], old)?;
        let path = format!("{}?cuid={old}&access-token=for-all", entry::path(&stage));
        let mut socket = Socket::open(two.front, "localhost", &path).await?;

        // 1. The gateway takes all that the two proxies take, and hands the units of before to the second of them.
        ensure!(lead_here(&mut stage).await?, "the proxies of the tests' own cluster reach this machine");
        let _operator = stage.start().await?;
        route(&stage, "static", &static_path(&stage), STATIC, PORT).await?;
        route(&stage, BEFORE, &entry::path(&stage), ENVOY, ENVOY_PORT.into()).await?;
        if lookup == QueryLookup::Host {
            let variables = [("PARSER", "first-decoded".to_owned()), ("UNIT_HOST", unit_host)];
            standin::authorization(&stage, &variables, &["x-user-id", "host"]).await?;
            before::authorize(&stage, BEFORE, true).await?;
            // Its entry has the same path as the route of before, which is older and so is taken.
            let query =
                json!({"spec": {"routing": {"query": {"lookup": lookup, "lookupDomain": before::domain(&stage)}}}});
            entry::make(&stage, &units::with(&pool(&stage, &WAKES()), &query)).await?;
        } else {
            stage.put_pool(&pool(&stage, &Value::Null)).await?;
        }
        let gateway = stage.cluster.proxies().await?;
        for target in [static_target(&stage)?, unit_target(&stage, old)?] {
            first_success(gateway[0], &target, Reuse::Fresh, SOON).await?;
        }
        let by_gateway = steady(&stage, &gateway, old)?;

        // 2. New units are ComputingUnits. Both ways lead to them, so whoever still asks the old way finds them, and so
        // does everybody if all go back.
        let new = cuid(&stage, "new");
        let name = format!("computing-unit-{new}");
        stage.make(&units::unit(&stage.namespace, &name, new)).await?;
        stage.until(&name, Phase::Ready).await?;
        before::answered(&stage, &unit_target(&stage, new)?, true).await?;
        first_success(two.front, &unit_target(&stage, new)?, Reuse::Fresh, SOON).await?;
        let by_both = steady(&stage, &[gateway[0], two.front], new)?;
        let mut direct =
            Socket::open(gateway[0], "localhost", &format!("{}?cuid={new}&access-token=for-all", entry::path(&stage)))
                .await?;
        direct.echo("by one hop").await?;

        // 3. A unit of before is replaced by one of the same number when its user lets it: it alone is away meanwhile.
        socket.echo("still by two hops").await?;
        all_well(by_two).await?;
        all_well(by_gateway).await?;
        stage.pods().delete(&format!("computing-unit-{old}"), &DeleteParams::default()).await?;
        let again = format!("computing-unit-{old}");
        stage.make(&units::unit(&stage.namespace, &again, old)).await?;
        stage.until(&again, Phase::Ready).await?;
        before::answered(&stage, &unit_target(&stage, old)?, true).await?;

        // 4. Nobody is left behind the two proxies: their way on the gateway becomes the pool's entry, and they go.
        all_well(by_both).await?;
        let by_gateway = steady(&stage, &gateway, new)?;
        before::lead_aside(&stage, BEFORE).await?;
        let entry = json!({"spec": {"entry": WAKES()}});
        stage.pools().patch("default", &PatchParams::default(), &Patch::Merge(&entry)).await?;
        entry::made(&stage).await?;
        let nobody = unit_target(&stage, cuid(&stage, "nobody"))?;
        until_served(&stage, &nobody).await?;
        stage.routes().delete(BEFORE, &DeleteParams::default()).await?;
        if lookup == QueryLookup::Host {
            entry::policies(&stage).delete(BEFORE, &DeleteParams::default()).await?;
        }
        for name in [NGINX, ENVOY] {
            stage.pods().delete(name, &DeleteParams::default()).await?;
            stage.services().delete(name, &DeleteParams::default()).await.context("the Service of a proxy")?;
        }
        direct.echo("the proxies of before are gone").await?;
        all_well(by_gateway).await
    })
    .await
}
