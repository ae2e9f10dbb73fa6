//! The node's only kubelet hangs for two minutes. Running units stay, no object is lost or duplicated, and everything is as
//! before afterwards.

use std::time::Duration;

use anyhow::ensure;
use computing_unit_api::Phase;
use e2e::{
    fixture::{Fixture, SOON},
    kubelet::Kubelet,
    traffic::{Reuse, first_success},
    units::{self, Mode},
    wait::until,
};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, ResourceExt, api::DeleteParams, runtime::wait::await_condition};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::with_fixture;

/// How long the kubelet hangs.
const OUTAGE: Duration = Duration::from_mins(2);

/// What must be the same afterwards.
#[derive(Debug, PartialEq)]
struct Same {
    pod: Option<String>,
    service: Option<String>,
    route: Option<String>,
    url: Option<String>,
    container_restarts: i32,
    losses: Option<i32>,
    failure: bool,
}

async fn observe(fixture: &Fixture) -> anyhow::Result<Same> {
    let pod = fixture.pods().get("ada").await?;
    let status = fixture.units().get("ada").await?.status.unwrap();
    Ok(Same {
        container_restarts: pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0].restart_count,
        pod: pod.uid(),
        service: fixture.services().get("ada").await?.uid(),
        route: fixture.routes().get("ada").await?.uid(),
        url: status.url,
        losses: status.restarts.map(|restarts| restarts.count),
        failure: status.last_failure.is_some(),
    })
}

async fn until_node_is(kubelet: &Kubelet, fixture: &Fixture, ready: &str) -> anyhow::Result<()> {
    let says = |node: &Node| {
        let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.into_iter().flatten().any(|one| one.type_ == "Ready" && one.status == ready)
    };
    let nodes = Api::<Node>::all(fixture.cluster.client());
    until(&format!("Ready={ready}"), OUTAGE, nodes, kubelet.node(), |node| node.is_some_and(says)).await.map(drop)
}

/// Until `end` the pod is not touched.
async fn stays(fixture: &Fixture, end: Instant) -> anyhow::Result<()> {
    let uid = fixture.pods().get("ada").await?.uid();
    let touched =
        |pod: Option<&Pod>| pod.is_none_or(|pod| pod.uid() != uid || pod.metadata.deletion_timestamp.is_some());
    match timeout_at(end, await_condition(fixture.pods(), "ada", touched)).await {
        Ok(pod) => anyhow::bail!("the pod did not stay: {:#?}", pod?),
        Err(_) => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn units_survive_a_kubelet_that_hangs_for_two_minutes() -> anyhow::Result<()> {
    with_fixture("kubelet", |fixture| async move {
        let Some(kubelet) = Kubelet::of(&fixture.cluster).await? else {
            println!("NOT RUN: the node of the cluster in use is not this machine");
            return Ok(());
        };
        // Less than the outage: a unit that was Ready is not given up.
        fixture.create_pool_with(&json!({"startTimeout": "60s"})).await?;
        let _operator = fixture.start().await?;
        for name in ["ada", "bob", "eve"] {
            fixture.create(&fixture.unit(name)).await?;
        }
        for name in ["ada", "bob", "eve"] {
            fixture.until(name, Phase::Ready).await?;
        }
        let before = observe(&fixture).await?;
        let proxy = fixture.cluster.proxies().await?[0];

        let end = Instant::now() + OUTAGE;
        let paused = kubelet.pause()?;
        until_node_is(&kubelet, &fixture, "Unknown").await?;
        fixture.until("ada", Phase::NotReady).await?;
        let words = fixture.until_condition("ada", "PodReady", "False", "NodeNotReady").await?;
        ensure!(words.contains(kubelet.node()), "{words}");
        println!("{:?} before the end of the outage: {words}", end.saturating_duration_since(Instant::now()));
        // What is asked for meanwhile is done afterwards.
        fixture.set_mode("bob", "Suspended").await?;
        fixture.units().delete("eve", &DeleteParams::default()).await?;
        stays(&fixture, end).await?;
        drop(paused);

        until_node_is(&kubelet, &fixture, "True").await?;
        fixture.until("ada", Phase::Ready).await?;
        fixture.until("bob", Phase::Suspended).await?;
        fixture.until_nothing_is_left("eve").await?;
        assert_eq!(observe(&fixture).await?, before);
        let target = units::target(Mode::Query, &fixture.unit("ada"))?;
        first_success(proxy, &target, Reuse::Fresh, SOON).await?;
        fixture.delete("ada").await
    })
    .await
}
