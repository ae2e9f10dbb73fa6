//! A deployment whose gateway finds units by DNS, at whatever host its authorization names, moves to routes of the units' own: on
//! the same gateway, without a request that fails or a WebSocket that is cut, and could go back until the last step.

#![allow(clippy::unwrap_used, missing_docs)]

use computing_unit_api::{Phase, gateway::HTTPRoute, names::PORT};
use e2e::{
    before::{self, UNITS_SERVICE},
    clusters,
    entry::{self, WAKES, lead_here, until_served},
    gateway,
    stage::{SOON, Stage, play},
    standin,
    traffic::{Hammer, Hammering, Reuse, Socket, Target, first_success},
    units::{self, Mode},
};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;

const DYNAMIC: &str = "dynamic-routes";

fn target(stage: &Stage, cuid: i64) -> anyhow::Result<Target> {
    let path = format!("{}?cuid={cuid}&access-token=for-all", entry::path(stage));
    Ok(Target::new("localhost", &path)?.engine(&format!("computing-unit-{cuid}")))
}

fn steady(stage: &Stage, proxies: &[std::net::SocketAddr], cuid: i64) -> anyhow::Result<Hammering> {
    Hammer::new(proxies, target(stage, cuid)?).connections(2).rate(25.0).start()
}

async fn all_well(load: Hammering) -> anyhow::Result<()> {
    load.answer_more(50, SOON).await?;
    let report = load.stop().await?;
    println!("{report}");
    report.assert_only(&[200])
}

fn backends(stage: &Stage) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("gateway.envoyproxy.io", "v1alpha1", "Backend");
    let resource = ApiResource::from_gvk_with_plural(&kind, "backends");
    Api::namespaced_with(stage.cluster.client(), &stage.namespace, &resource)
}

/// One route for all units, to wherever the authorization says.
async fn resolver(stage: &Stage) -> anyhow::Result<()> {
    let params = PostParams::default();
    let backend = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "Backend",
        "metadata": {"name": "dynamic"}, "spec": {"type": "DynamicResolver"},
    });
    backends(stage).create(&params, &serde_json::from_value(backend)?).await?;
    let gateway = stage.cluster.gateway();
    let route: HTTPRoute = serde_json::from_value(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": DYNAMIC},
        "spec": {
            "parentRefs": [{"name": gateway.name, "namespace": gateway.namespace}],
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": entry::path(stage)}}],
                "backendRefs": [{"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "dynamic"}],
                "timeouts": {"request": "0s"},
            }],
        },
    }))?;
    stage.routes().create(&params, &route).await?;
    before::authorize(stage, DYNAMIC, false).await
}

/// Whether the policy of before has the route computed anew by what the authorization answers.
async fn recompute(stage: &Stage, whether: bool) -> anyhow::Result<()> {
    let patch = Patch::Merge(json!({"spec": {"extAuth": {"recomputeRoute": whether}}}));
    entry::policies(stage).patch(DYNAMIC, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Waits until a unit is answered by a route of its own, or by that of before.
async fn answered(stage: &Stage, cuid: i64, by_own: bool) -> anyhow::Result<()> {
    before::answered(stage, &target(stage, cuid)?, by_own).await
}

#[tokio::test(flavor = "multi_thread")]
async fn from_names_that_are_resolved_to_routes_of_the_units_own() -> anyhow::Result<()> {
    play("migrate-resolver", |mut stage| async move {
        if !gateway::is_ours(&stage.cluster).await? || !lead_here(&mut stage).await? {
            return Ok(());
        }
        // Before: bare pods, a route for all of them, and an authorization that names the host.
        before::units_service(&stage).await?;
        let host = format!("computing-unit-{{cuid}}.{}:{PORT}", before::domain(&stage));
        let variables = [("PARSER", "first-decoded".to_owned()), ("UNIT_HOST", host)];
        // Its policy is for routes that the operator makes, of which there are none yet.
        standin::authorization(&stage, &variables, &["x-user-id", "host"]).await?;
        resolver(&stage).await?;
        let cuid = |name: &str| stage.unit(name).spec.cuid.unwrap_or_default();
        let (old, new) = (cuid("old"), cuid("new"));
        before::unit(&stage, old).await?;
        let proxies = stage.cluster.proxies().await?;
        first_success(proxies[0], &target(&stage, old)?, Reuse::Fresh, SOON).await?;
        let by_name = clusters::discovery(&stage.cluster, &stage.namespace, DYNAMIC).await?;
        assert!(by_name.iter().all(|by| by == "envoy.clusters.dynamic_forward_proxy"), "{by_name:?}");
        let by_dns = steady(&stage, &proxies, old)?;
        let path = |cuid: i64| format!("{}?cuid={cuid}&access-token=for-all", entry::path(&stage));
        let mut socket = Socket::open(proxies[0], "localhost", &path(old)).await?;

        // 1. The operator and a pool whose units have the host names that the authorization answers with already.
        let _operator = stage.start().await?;
        let spec = json!({"spec": {
            "routing": {"query": {"lookup": "Host", "lookupDomain": before::domain(&stage)}},
            "template": {"spec": {"subdomain": UNITS_SERVICE}},
        }});
        entry::make(&stage, &units::with(&entry::pool(&stage, Mode::Query, &WAKES()), &spec)).await?;

        // 2. New units are ComputingUnits. The route of before finds them too, by DNS.
        let name = format!("computing-unit-{new}");
        stage.make(&units::unit(&stage.namespace, &name, new)).await?;
        stage.until(&name, Phase::Ready).await?;
        answered(&stage, new, false).await?;
        let by_both = steady(&stage, &proxies, new)?;

        // 3. What the authorization answers decides the route, where a unit has one; DNS does for the others. And back, and again.
        for whether in [true, false, true] {
            recompute(&stage, whether).await?;
            answered(&stage, new, whether).await?;
            answered(&stage, old, false).await?;
        }
        let told = clusters::discovery(&stage.cluster, &stage.namespace, &name).await?;
        assert!(told.iter().all(|by| by == "EDS"), "nothing looks its address up any more: {told:?}");
        let mut direct = Socket::open(proxies[0], "localhost", &path(new)).await?;
        direct.echo("by a route of its own").await?;
        socket.echo("still by DNS").await?;

        // 4. A unit of before is replaced by one of the same number when its user lets it.
        all_well(by_dns).await?;
        let again = format!("computing-unit-{old}");
        stage.pods().delete(&again, &DeleteParams::default()).await?;
        stage.make(&units::unit(&stage.namespace, &again, old)).await?;
        stage.until(&again, Phase::Ready).await?;
        answered(&stage, old, true).await?;

        // 5. Nobody is found by DNS any more: the route of before goes, and the pool's entry takes its place.
        before::lead_aside(&stage, DYNAMIC).await?;
        let nobody = Target::new("localhost", &path(cuid("nobody")))?;
        until_served(&stage, &nobody).await?;
        stage.routes().delete(DYNAMIC, &DeleteParams::default()).await?;
        entry::policies(&stage).delete(DYNAMIC, &DeleteParams::default()).await?;
        backends(&stage).delete("dynamic", &DeleteParams::default()).await?;
        answered(&stage, old, true).await?;
        direct.echo("nothing of before is left").await?;
        all_well(by_both).await
    })
    .await
}
