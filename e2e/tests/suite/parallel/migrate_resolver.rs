//! A deployment whose gateway resolves units by DNS is migrated to routes of its units on the same gateway. No request fails, no
//! WebSocket is closed, and until the last step the former route can be restored.

use computing_unit_api::{Phase, gateway::HTTPRoute, names::PORT};
use e2e::{
    activator::{self, WAKES, serve_activator, until_served},
    before::{self, UNITS_SERVICE},
    clusters,
    fixture::{Fixture, SOON},
    gateway, standin,
    traffic::{Hammer, Hammering, Reuse, Socket, Target, first_success},
    units::{self, Mode},
};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;

use super::with_fixture;

const DYNAMIC: &str = "dynamic-routes";

fn target(fixture: &Fixture, cuid: i64) -> anyhow::Result<Target> {
    let path = format!("{}?cuid={cuid}&access-token=for-all", activator::path(fixture));
    Ok(Target::new("localhost", &path)?.engine(&format!("computing-unit-{cuid}")))
}

fn steady(fixture: &Fixture, proxies: &[std::net::SocketAddr], cuid: i64) -> anyhow::Result<Hammering> {
    Hammer::new(proxies, target(fixture, cuid)?).connections(2).rate(25.0).start()
}

async fn no_failures(load: Hammering) -> anyhow::Result<()> {
    load.answer_more(50, SOON).await?;
    let report = load.stop().await?;
    println!("{report}");
    report.assert_only(&[200])
}

fn backends(fixture: &Fixture) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("gateway.envoyproxy.io", "v1alpha1", "Backend");
    let resource = ApiResource::from_gvk_with_plural(&kind, "backends");
    Api::namespaced_with(fixture.cluster.client(), &fixture.namespace, &resource)
}

/// One route for all units, to the host that the authorization returns.
async fn resolver(fixture: &Fixture) -> anyhow::Result<()> {
    let params = PostParams::default();
    let backend = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "Backend",
        "metadata": {"name": "dynamic"}, "spec": {"type": "DynamicResolver"},
    });
    backends(fixture).create(&params, &serde_json::from_value(backend)?).await?;
    let gateway = fixture.cluster.gateway();
    let route: HTTPRoute = serde_json::from_value(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": DYNAMIC},
        "spec": {
            "parentRefs": [{"name": gateway.name, "namespace": gateway.namespace}],
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": activator::path(fixture)}}],
                "backendRefs": [{"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "dynamic"}],
                "timeouts": {"request": "0s"},
            }],
        },
    }))?;
    fixture.routes().create(&params, &route).await?;
    before::authorize(fixture, DYNAMIC, false).await
}

/// Sets whether the former policy recomputes the route after the authorization.
async fn recompute(fixture: &Fixture, whether: bool) -> anyhow::Result<()> {
    let patch = Patch::Merge(json!({"spec": {"extAuth": {"recomputeRoute": whether}}}));
    activator::policies(fixture).patch(DYNAMIC, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Waits until a unit is reached by a route of its own, or by the former route.
async fn answered(fixture: &Fixture, cuid: i64, by_own: bool) -> anyhow::Result<()> {
    before::answered(fixture, &target(fixture, cuid)?, by_own).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dynamic_resolver_is_replaced_by_unit_routes() -> anyhow::Result<()> {
    with_fixture("migrate-resolver", |mut fixture| async move {
        if !gateway::is_ours(&fixture.cluster).await? || !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        // Before: bare pods, a route for all of them, and an authorization that names the host.
        before::units_service(&fixture).await?;
        let host = format!("computing-unit-{{cuid}}.{}:{PORT}", before::domain(&fixture));
        let variables = [("PARSER", "first-decoded".to_owned()), ("UNIT_HOST", host)];
        // Its policy is for routes that the operator makes, of which there are none yet.
        standin::authorization(&fixture, &variables, &["x-user-id", "host"]).await?;
        resolver(&fixture).await?;
        let cuid = |name: &str| fixture.unit(name).spec.cuid.unwrap_or_default();
        let (old, new) = (cuid("old"), cuid("new"));
        before::unit(&fixture, old).await?;
        let proxies = fixture.cluster.proxies().await?;
        first_success(proxies[0], &target(&fixture, old)?, Reuse::Fresh, SOON).await?;
        let by_name = clusters::discovery(&fixture.cluster, &fixture.namespace, DYNAMIC).await?;
        assert!(by_name.iter().all(|by| by == "envoy.clusters.dynamic_forward_proxy"), "{by_name:?}");
        let by_dns = steady(&fixture, &proxies, old)?;
        let path = |cuid: i64| format!("{}?cuid={cuid}&access-token=for-all", activator::path(&fixture));
        let mut socket = Socket::open(proxies[0], "localhost", &path(old)).await?;

        // 1. The operator and a pool whose units have the host names that the authorization answers with already.
        let _operator = fixture.start().await?;
        let spec = json!({"spec": {
            "routing": {"query": {"lookup": "Host", "lookupDomain": before::domain(&fixture)}},
            "template": {"spec": {"subdomain": UNITS_SERVICE}},
        }});
        activator::create_pool(&fixture, &units::with(&activator::pool(&fixture, Mode::Query, &WAKES()), &spec))
            .await?;

        // 2. New units are ComputingUnits. The route of before finds them too, by DNS.
        let name = format!("computing-unit-{new}");
        fixture.create(&units::unit(&fixture.namespace, &name, new)).await?;
        fixture.until(&name, Phase::Ready).await?;
        answered(&fixture, new, false).await?;
        let by_both = steady(&fixture, &proxies, new)?;

        // 3. What the authorization answers decides the route, where a unit has one; DNS does for the others. And back, and again.
        for whether in [true, false, true] {
            recompute(&fixture, whether).await?;
            answered(&fixture, new, whether).await?;
            answered(&fixture, old, false).await?;
        }
        let told = clusters::discovery(&fixture.cluster, &fixture.namespace, &name).await?;
        assert!(told.iter().all(|by| by == "EDS"), "nothing looks its address up any more: {told:?}");
        let mut direct = Socket::open(proxies[0], "localhost", &path(new)).await?;
        direct.echo("by a route of its own").await?;
        socket.echo("still by DNS").await?;

        // 4. A unit of before is replaced by one of the same number when its user lets it.
        no_failures(by_dns).await?;
        let again = format!("computing-unit-{old}");
        fixture.pods().delete(&again, &DeleteParams::default()).await?;
        fixture.create(&units::unit(&fixture.namespace, &again, old)).await?;
        fixture.until(&again, Phase::Ready).await?;
        answered(&fixture, old, true).await?;

        // 5. Nobody is found by DNS any more: the route of before goes, and the activator takes its place.
        before::lead_aside(&fixture, DYNAMIC).await?;
        let nobody = Target::new("localhost", &path(cuid("nobody")))?;
        until_served(&fixture, &nobody).await?;
        fixture.routes().delete(DYNAMIC, &DeleteParams::default()).await?;
        activator::policies(&fixture).delete(DYNAMIC, &DeleteParams::default()).await?;
        backends(&fixture).delete("dynamic", &DeleteParams::default()).await?;
        answered(&fixture, old, true).await?;
        direct.echo("nothing of before is left").await?;
        no_failures(by_both).await
    })
    .await
}
