//! A unit is changed while it runs: CPU and memory in the pod as it runs, all else by another pod, later or at once.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use computing_unit_api::{ComputingUnit, Phase};
use computing_unit_operator::controllers::unit::build::route::is_guarded;
use e2e::{
    faults::{LastWrite, Verb},
    killer::Killer,
    stage::{SOON, Stage, play},
    traffic::Hammer,
    units::{self, Mode, says},
    wait::until,
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};

const QUIET: Duration = Duration::from_secs(12);

async fn start(stage: &Stage, spec: Value) -> anyhow::Result<Pod> {
    stage.make_pool(Mode::Query).await?;
    stage.make(&units::with(&stage.unit("ada"), &json!({"spec": spec}))).await?;
    stage.until("ada", Phase::Ready).await?;
    Ok(stage.pods().get("ada").await?)
}

/// What the node has given the engine, and how often it was started.
fn given(pod: &Pod) -> (Value, i32) {
    let status = &pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0];
    (json!(status.resources), status.restart_count)
}

async fn until_it_does_not_say(stage: &Stage, type_: &str) -> anyhow::Result<()> {
    let silent = |unit: Option<&ComputingUnit>| says(unit, type_, "True").is_none();
    until(&format!("end of {type_}"), SOON, stage.units(), "ada", silent).await.map(drop)
}

fn env(pod: &Pod) -> Option<String> {
    let all = pod.spec.as_ref()?.containers[0].env.as_ref()?;
    all.iter().find(|variable| variable.name == "COLOUR")?.value.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn cpu_and_memory_are_changed_in_the_pod_as_it_runs() -> anyhow::Result<()> {
    play("resize", |stage| async move {
        let _operator = stage.start().await?;
        let asks = |cpu: &str, memory: &str| {
            json!({"resources": {"limits": {"memory": memory}, "requests": {"cpu": cpu, "memory": "16Mi"}}})
        };
        let before = start(&stage, asks("5m", "64Mi")).await?;
        let calls = stage.proxy.quiet(QUIET, SOON).await?;
        stage.edit("ada", asks("7m", "96Mi")).await?;
        let wanted = json!({"limits": {"memory": "96Mi"}, "requests": {"cpu": "7m", "memory": "16Mi"}});
        let so = |pod: Option<&Pod>| pod.is_some_and(|pod| given(pod) == (wanted.clone(), 0));
        let after = until("new amounts", SOON, stage.pods(), "ada", so).await?.unwrap();
        assert_eq!(after.uid(), before.uid());
        until_it_does_not_say(&stage, "ResizePending").await?;
        assert!(says(Some(&stage.units().get("ada").await?), "UpdatePending", "True").is_none());
        assert_eq!(units::phase(Some(&stage.units().get("ada").await?)), Some(Phase::Ready));
        let quiet = stage.proxy.quiet(QUIET, SOON).await?;
        let resizes = quiet.since(&calls).only(|call| call.subresource == "resize");
        assert_eq!(resizes.total(), 1, "{}", stage.proxy.describe(&calls));
        stage.proxy.quiet(QUIET, SOON).await?;
        assert_eq!(stage.proxy.counts().since(&quiet).writes(), 0, "{}", stage.proxy.describe(&quiet));
        stage.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_cannot_give_is_said_in_its_words() -> anyhow::Result<()> {
    play("infeasible", |stage| async move {
        let _operator = stage.start().await?;
        let asks = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
        let before = start(&stage, asks("5m")).await?;
        stage.edit("ada", asks("1000")).await?;
        let words = stage.until_says("ada", "ResizePending", "True", "Infeasible").await?;
        assert!(words.contains("enough") && words.contains("cpu, requested: 1000000"), "{words}");
        // As much as the node has, but others use some of it.
        let node = kube::Api::<k8s_openapi::api::core::v1::Node>::all(stage.cluster.client());
        let node = node.get(before.spec.as_ref().unwrap().node_name.as_ref().unwrap()).await?;
        let all = node.status.unwrap().allocatable.unwrap()["cpu"].0.clone();
        stage.edit("ada", asks(&all)).await?;
        let words = stage.until_says("ada", "ResizePending", "True", "Deferred").await?;
        assert!(words.contains("Node didn't have enough resource: cpu"), "{words}");
        stage.edit("ada", asks("6m")).await?;
        until_it_does_not_say(&stage, "ResizePending").await?;
        let after = stage.pods().get("ada").await?;
        assert_eq!((after.uid(), given(&after).1), (before.uid(), 0));
        assert_eq!(given(&after).0["requests"]["cpu"], "6m");
        stage.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_changed_in_place_waits_for_the_next_start() -> anyhow::Result<()> {
    play("refused", |stage| async move {
        let _operator = stage.start().await?;
        let asks = |limit: &str| {
            let amounts = |cpu: &str| json!({"cpu": cpu, "memory": "64Mi"});
            json!({"resources": {"limits": amounts(limit), "requests": amounts("50m")}})
        };
        let before = start(&stage, asks("50m")).await?;
        // Another quality of service.
        stage.edit("ada", asks("100m")).await?;
        let words = stage.until_says("ada", "UpdatePending", "True", "ResizeRefused").await?;
        assert!(words.contains("QOS"), "{words}");
        assert_eq!(stage.pods().get("ada").await?.uid(), before.uid());
        // A limit that the pod does not have.
        stage.edit("ada", json!({"resources": null})).await?;
        stage.until_says("ada", "UpdatePending", "True", "TemplateChanged").await?;
        for (mode, phase) in [("Suspended", Phase::Suspended), ("Running", Phase::Ready)] {
            stage.edit("ada", json!({"operatingMode": mode})).await?;
            stage.until("ada", phase).await?;
        }
        assert!(says(Some(&stage.units().get("ada").await?), "UpdatePending", "True").is_none());
        stage.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_template_waits_unless_it_may_not() -> anyhow::Result<()> {
    play("recreate", |stage| async move {
        let _operator = stage.start().await?;
        let first = start(&stage, json!({})).await?;
        let colour = |colour: &str| json!({"env": [{"name": "COLOUR", "value": colour}]});
        stage.edit("ada", colour("red")).await?;
        stage.until_says("ada", "UpdatePending", "True", "TemplateChanged").await?;
        assert_eq!(stage.pods().get("ada").await?.uid(), first.uid(), "running work is not interrupted");

        let route = stage.routes().get("ada").await?;
        let service = stage.services().get("ada").await?;
        let unit = stage.unit("ada");
        let load = Hammer::new(&stage.cluster.proxies().await?, units::target(Mode::Query, &unit)?);
        let load = load.connections(8).start()?;
        let mut last = first;
        for change_to in [json!({"updateStrategy": "Recreate"}), colour("blue"), colour("green")] {
            load.answer_more(500, SOON).await?;
            stage.edit("ada", change_to).await?;
            let uid = last.uid();
            let new = |pod: Option<&Pod>| pod.is_some_and(|pod| pod.uid() != uid);
            last = until("new pod", SOON, stage.pods(), "ada", new).await?.unwrap();
            stage.until("ada", Phase::Ready).await?;
            load.answer_more(500, SOON).await?;
        }
        assert_eq!(env(&last).as_deref(), Some("green"));
        load.stop().await?.assert_all_of(&[200, 404])?;
        assert_eq!(stage.routes().get("ada").await?.uid(), route.uid());
        assert_eq!(stage.services().get("ada").await?.uid(), service.uid());
        let unit = stage.units().get("ada").await?;
        for type_ in ["UpdatePending", "Replacing", "ResizePending"] {
            assert_eq!(says(Some(&unit), type_, "True"), None);
        }
        stage.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_killed_at_any_write_of_it_is_no_matter() -> anyhow::Result<()> {
    play("rekilled", |stage| async move {
        let mut killer = Killer::start(&stage).await?;
        start(&stage, json!({"updateStrategy": "Recreate"})).await?;
        let load = Hammer::new(&stage.cluster.proxies().await?, units::target(Mode::Query, &stage.unit("ada"))?);
        let load = load.connections(4).rate(200.0).start()?;
        let round = async |killer: &mut Killer| {
            let colour = killer.place();
            let new = |pod: Option<&Pod>| pod.is_some_and(|pod| env(pod).as_ref() == Some(&colour));
            let done = async || {
                until("new pod", SOON, stage.pods(), "ada", new).await?;
                stage.until("ada", Phase::Ready).await.map(drop)
            };
            killer.during(stage.edit("ada", json!({"env": [{"name": "COLOUR", "value": colour}]})), done).await?;
            assert!(!is_guarded(&stage.routes().get("ada").await?));
            Ok(())
        };
        let kills = killer.at_each_write(&[LastWrite::Refused, LastWrite::Unanswered], 6, round).await?;
        assert!(kills >= 8, "{kills} kills");
        load.stop().await?.assert_all_of(&[200, 404])?;
        let deletions = stage.proxy.counts().only(|call| call.verb == Verb::Delete && call.resource == "pods");
        assert!(deletions.total() >= 12, "each change takes a pod");
        stage.delete("ada").await
    })
    .await
}
