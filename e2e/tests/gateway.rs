//! What concerns the gateway as a whole, and therefore one test at a time: two proxies, a controller that is stopped, and
//! a plain route, which shows that the tests of traffic can fail.

#![allow(clippy::unwrap_used, missing_docs)]

use computing_unit_operator::{api::Phase, gateway::HTTPRoute};
use e2e::{
    gateway,
    stage::{SOON, Stage, play},
    traffic::{Hammer, Report},
    units::{self, Mode, with},
    wait::until,
};
use k8s_openapi::api::{
    core::v1::{Pod, Service},
    events::v1::Event,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;
use tokio::sync::Mutex;

/// Held by the test that has the gateway.
static GATEWAY: Mutex<()> = Mutex::const_new(());
/// A plain route fails in most cycles.
const ATTEMPTS: usize = 20;

async fn one_cycle(stage: &Stage, name: &str) -> anyhow::Result<Report> {
    let unit = stage.unit(name);
    let load = Hammer::new(&stage.cluster.proxies().await?, units::target(Mode::Query, &unit)?);
    let load = load.connections(8).start()?;
    load.answer_more(100, SOON).await?;
    stage.make(&unit).await?;
    stage.until(name, Phase::Ready).await?;
    load.answer_more(100, SOON).await?;
    stage.delete(name).await?;
    stage.until_nothing_is_left(name).await?;
    load.answer_more(100, SOON).await?;
    load.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_with_two_proxies() -> anyhow::Result<()> {
    let _held = GATEWAY.lock().await;
    play("two", |stage| async move {
        let cluster = stage.cluster.clone();
        let test = async {
            stage.make_pool(Mode::Query).await?;
            let _operator = stage.start().await?;
            stage.make(&stage.unit("stays")).await?;
            stage.until("stays", Phase::Ready).await?;
            gateway::scale_proxies(&stage.cluster, 2).await?;
            for round in 0..3 {
                let report = one_cycle(&stage, &format!("ada-{round}")).await?;
                println!("{report}");
                report.assert_all_of(&[200, 404])?;
            }
            stage.delete("stays").await
        };
        gateway::changed_by(&cluster, test).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_goes_while_the_gateways_controller_is_stopped() -> anyhow::Result<()> {
    let _held = GATEWAY.lock().await;
    play("stopped", |stage| async move {
        let cluster = stage.cluster.clone();
        let test = async {
            let quick = with(&stage.pool(Mode::Query), &json!({"spec": {"drainTimeout": "1s"}}));
            stage.pools().create(&PostParams::default(), &quick).await?;
            let _operator = stage.start().await?;
            stage.make(&stage.unit("ada")).await?;
            stage.until("ada", Phase::Ready).await?;
            gateway::scale_controller(&cluster, 0).await?;
            // Nobody tells the proxies to give up the route: the deadline decides, and says so.
            stage.delete("ada").await?;
            let events =
                Api::<Event>::namespaced(cluster.client(), &stage.namespace).list(&ListParams::default()).await?;
            let overdue = events.iter().find(|event| {
                event.type_.as_deref() == Some("Warning")
                    && event.regarding.as_ref().is_some_and(|it| it.kind.as_deref() == Some("ComputingUnit"))
            });
            println!("{:?}", overdue.map(|event| (&event.reason, &event.note)));
            assert!(overdue.is_some(), "an event says that the proxies were not seen to give the route up");
            stage.until_nothing_is_left("ada").await
        };
        gateway::changed_by(&cluster, test).await
    })
    .await
}

/// A pod, a Service and a route as anyone would write them.
async fn plain(stage: &Stage, name: &str) -> anyhow::Result<Report> {
    let labels = json!({"plain": name});
    let pod = json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [{
                "name": "engine", "image": units::ENGINE, "env": [{"name": "COMPUTING_UNIT_NAME", "value": name}],
                "readinessProbe": {"httpGet": {"path": "/api/healthcheck", "port": 8085}, "periodSeconds": 1},
            }],
        },
    });
    let service = json!({
        "metadata": {"name": name},
        "spec": {"clusterIP": "None", "selector": labels, "ports": [{"port": 8085}]},
    });
    let gateway = stage.cluster.gateway();
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": {
            "parentRefs": [{"name": gateway.name, "namespace": gateway.namespace}],
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": format!("/{}/{name}", stage.namespace)}}],
                "backendRefs": [{"name": name, "port": 8085}],
            }],
        },
    });
    let path = format!("/{}/{name}", stage.namespace);
    let load = Hammer::new(&stage.cluster.proxies().await?, e2e::traffic::Target::new("localhost", &path)?);
    let load = load.connections(8).start()?;
    let params = PostParams::default();
    stage.pods().create(&params, &serde_json::from_value::<Pod>(pod)?).await?;
    stage.services().create(&params, &serde_json::from_value::<Service>(service)?).await?;
    let is_ready = |pod: Option<&Pod>| {
        let conditions = pod.and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
    };
    until("readiness", SOON, stage.pods(), name, is_ready).await?;
    stage.routes().create(&params, &serde_json::from_value::<HTTPRoute>(route)?).await?;
    let target = e2e::traffic::Target::new("localhost", &path)?;
    e2e::traffic::first_success(stage.cluster.proxies().await?[0], &target, e2e::traffic::Reuse::Fresh, SOON).await?;
    load.answer_more(100, SOON).await?;
    stage.routes().delete(name, &DeleteParams::default()).await?;
    stage.services().delete(name, &DeleteParams::default()).await?;
    stage.pods().delete(name, &DeleteParams::default()).await?;
    until("end", SOON, stage.pods(), name, |pod| pod.is_none()).await?;
    load.answer_more(100, SOON).await?;
    load.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_route_fails_requests() -> anyhow::Result<()> {
    let _held = GATEWAY.lock().await;
    play("plain", |stage| async move {
        for attempt in 1..=ATTEMPTS {
            let report = plain(&stage, &format!("plain-{attempt}")).await?;
            if report.server_errors() > 0 {
                println!("attempt {attempt}: {report}");
                assert!(report.assert_only(&[200, 404]).is_err(), "the check sees it");
                return Ok(());
            }
        }
        anyhow::bail!("a plain route failed no request in {ATTEMPTS} cycles: can the tests of traffic fail?")
    })
    .await
}
