//! The node's kubelet hangs for two minutes: whoever runs on the node runs on, nothing is made twice or lost, and all is
//! as it was afterwards. The kubelet serves all tests, so this one stands alone in its file.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use anyhow::ensure;
use computing_unit_api::Phase;
use e2e::{
    kubelet::Kubelet,
    stage::{SOON, Stage, play},
    traffic::{Reuse, first_success},
    units::{self, Mode},
    wait::until,
};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, ResourceExt, api::DeleteParams, runtime::wait::await_condition};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

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

async fn look(stage: &Stage) -> anyhow::Result<Same> {
    let pod = stage.pods().get("ada").await?;
    let status = stage.units().get("ada").await?.status.unwrap();
    Ok(Same {
        container_restarts: pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0].restart_count,
        pod: pod.uid(),
        service: stage.services().get("ada").await?.uid(),
        route: stage.routes().get("ada").await?.uid(),
        url: status.url,
        losses: status.restarts.map(|restarts| restarts.count),
        failure: status.last_failure.is_some(),
    })
}

async fn until_node_is(kubelet: &Kubelet, stage: &Stage, ready: &str) -> anyhow::Result<()> {
    let says = |node: &Node| {
        let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.into_iter().flatten().any(|one| one.type_ == "Ready" && one.status == ready)
    };
    let nodes = Api::<Node>::all(stage.cluster.client());
    until(&format!("Ready={ready}"), OUTAGE, nodes, kubelet.node(), |node| node.is_some_and(says)).await.map(drop)
}

/// Until `end` the pod is not touched.
async fn stays(stage: &Stage, end: Instant) -> anyhow::Result<()> {
    let uid = stage.pods().get("ada").await?.uid();
    let touched =
        |pod: Option<&Pod>| pod.is_none_or(|pod| pod.uid() != uid || pod.metadata.deletion_timestamp.is_some());
    match timeout_at(end, await_condition(stage.pods(), "ada", touched)).await {
        Ok(pod) => anyhow::bail!("the pod did not stay: {:#?}", pod?),
        Err(_) => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubelet_that_hangs_for_two_minutes_is_no_matter() -> anyhow::Result<()> {
    play("kubelet", |stage| async move {
        let Some(kubelet) = Kubelet::of(&stage.cluster).await? else {
            println!("NOT RUN: the node of the cluster in use is not this machine");
            return Ok(());
        };
        // Less than the outage: a unit that was Ready is not given up.
        stage.make_pool_with(&json!({"startTimeout": "60s"})).await?;
        let _operator = stage.start().await?;
        for name in ["ada", "bob", "eve"] {
            stage.make(&stage.unit(name)).await?;
        }
        for name in ["ada", "bob", "eve"] {
            stage.until(name, Phase::Ready).await?;
        }
        let before = look(&stage).await?;
        let proxy = stage.cluster.proxies().await?[0];

        let end = Instant::now() + OUTAGE;
        let paused = kubelet.pause()?;
        until_node_is(&kubelet, &stage, "Unknown").await?;
        stage.until("ada", Phase::NotReady).await?;
        let words = stage.until_says("ada", "PodReady", "False", "NodeNotReady").await?;
        ensure!(words.contains(kubelet.node()), "{words}");
        println!("{:?} before the end of the outage: {words}", end.saturating_duration_since(Instant::now()));
        // What is asked for meanwhile is done afterwards.
        stage.ask("bob", "Suspended").await?;
        stage.units().delete("eve", &DeleteParams::default()).await?;
        stays(&stage, end).await?;
        drop(paused);

        until_node_is(&kubelet, &stage, "True").await?;
        stage.until("ada", Phase::Ready).await?;
        stage.until("bob", Phase::Suspended).await?;
        stage.until_nothing_is_left("eve").await?;
        assert_eq!(look(&stage).await?, before);
        let target = units::target(Mode::Query, &stage.unit("ada"))?;
        first_success(proxy, &target, Reuse::Fresh, SOON).await?;
        stage.delete("ada").await
    })
    .await
}
