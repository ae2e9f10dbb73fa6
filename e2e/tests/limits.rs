//! A unit whose time is over is stopped without an error for requests, stays so until its time is moved, and is deleted
//! when it has been finished for long enough.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use anyhow::ensure;
use computing_unit_api::Phase;
use e2e::{
    faults::LastWrite,
    killer::Killer,
    stage::{SOON, Stage, play},
    traffic::Hammer,
    units::{self, Mode, with},
};
use k8s_openapi::{
    api::events::v1::Event,
    jiff::{SignedDuration, Timestamp},
};
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::{Value, json};

const PAST: &str = "2020-01-01T00:00:00Z";

async fn make_pool(stage: &Stage, lifecycle: Value) -> anyhow::Result<()> {
    stage.make_pool_with(&json!({"lifecycle": lifecycle})).await
}

async fn edit(stage: &Stage, name: &str, lifecycle: Value) -> anyhow::Result<()> {
    stage.edit(name, json!({"lifecycle": lifecycle})).await
}

fn soon(seconds: i64) -> String {
    (Timestamp::now() + SignedDuration::from_secs(seconds)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

async fn finished(stage: &Stage, name: &str, reason: &str) -> anyhow::Result<String> {
    stage.until(name, Phase::Finished).await?;
    ensure!(stage.pods().get_opt(name).await?.is_none(), "its pod is gone");
    ensure!(stage.routes().get_opt(name).await?.is_none(), "its route is gone");
    stage.until_says(name, "Finished", "True", reason).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_whose_time_is_over_at_its_creation_is_never_started() -> anyhow::Result<()> {
    play("past", |stage| async move {
        stage.make_pool(Mode::Query).await?;
        let _operator = stage.start().await?;
        let before = stage.proxy.counts();
        stage.make(&with(&stage.unit("ada"), &json!({"spec": {"lifecycle": {"shutdownTime": PAST}}}))).await?;
        let message = finished(&stage, "ada", "ShutdownTime").await?;
        ensure!(message.contains("set it to a later time, or take it out"), "{message}");
        stage.proxy.quiet(Duration::from_secs(3), SOON).await?;
        let pods = stage.proxy.counts().since(&before).only(|call| call.resource == "pods" && call.is_write()).total();
        assert_eq!(pods, 0, "no pod was made");
        edit(&stage, "ada", json!({"shutdownTime": null})).await?;
        stage.until("ada", Phase::Ready).await?;
        stage.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_when_time_is_over() -> anyhow::Result<()> {
    play("load", |stage| async move {
        stage.make_pool(Mode::Query).await?;
        let _operator = stage.start().await?;
        let unit = stage.unit("ada");
        stage.make(&unit).await?;
        let ready = stage.until("ada", Phase::Ready).await?;
        let service = stage.services().get("ada").await?;
        let load = Hammer::new(&stage.cluster.proxies().await?, units::target(Mode::Query, &unit)?);
        let load = load.connections(8).start()?;
        load.answer_more(200, SOON).await?;
        for _ in 0..2 {
            edit(&stage, "ada", json!({"shutdownTime": soon(3)})).await?;
            finished(&stage, "ada", "ShutdownTime").await?;
            let rests = stage.units().get("ada").await?;
            assert_eq!(ready.status.as_ref().unwrap().url, rests.status.unwrap().url, "it keeps its URL");
            assert_eq!(service.uid(), stage.services().get("ada").await?.uid(), "and its Service");
            edit(&stage, "ada", json!({"shutdownTime": soon(3600)})).await?;
            stage.until("ada", Phase::Ready).await?;
            load.answer_more(200, SOON).await?;
        }
        load.stop().await?.assert_all_of(&[200, 404])?;
        stage.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_is_too_old_is_finished_also_while_it_is_suspended() -> anyhow::Result<()> {
    play("age", |stage| async move {
        make_pool(&stage, json!({"maxAge": "8s"})).await?;
        let _operator = stage.start().await?;
        stage.make(&stage.unit("ada")).await?;
        stage.make(&with(&stage.unit("bob"), &json!({"spec": {"operatingMode": "Suspended"}}))).await?;
        stage.until("ada", Phase::Ready).await?;
        stage.until("bob", Phase::Suspended).await?;
        let message = finished(&stage, "ada", "MaxAge").await?;
        ensure!(message.contains("maxAge") && message.contains("create another unit"), "{message}");
        finished(&stage, "bob", "MaxAge").await?;
        stage.delete("ada").await?;
        stage.delete("bob").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_unit_is_deleted_in_time() -> anyhow::Result<()> {
    play("ttl", |stage| async move {
        make_pool(&stage, json!({"ttlSecondsAfterFinished": 5})).await?;
        let operator = stage.start().await?;
        let lifecycle = |lifecycle: Value| json!({"spec": {"lifecycle": lifecycle}});
        let greedy = lifecycle(json!({"ttlSecondsAfterFinished": 6}));
        stage.make(&with(&stage.unit("greedy"), &greedy)).await?;
        let message = stage.until_says("greedy", "Accepted", "False", "LimitExceeded").await?;
        ensure!(message.contains("ttlSecondsAfterFinished 6 is more than the 5"), "{message}");

        let own = lifecycle(json!({"shutdownTime": PAST, "ttlSecondsAfterFinished": 1}));
        stage.make(&with(&stage.unit("own"), &own)).await?;
        stage.make(&with(&stage.unit("pools"), &lifecycle(json!({"shutdownTime": PAST})))).await?;
        stage.until("pools", Phase::Finished).await?;
        // The time goes on while no operator runs.
        operator.kill().await?;
        let _operator = stage.start().await?;
        stage.until_nothing_is_left("own").await?;
        stage.until_nothing_is_left("pools").await?;
        // One that runs is deleted in the same order.
        let running = lifecycle(json!({"shutdownTime": soon(4), "ttlSecondsAfterFinished": 0}));
        stage.make(&with(&stage.unit("brief"), &running)).await?;
        stage.until_nothing_is_left("brief").await?;
        let events = Api::<Event>::namespaced(stage.cluster.client(), &stage.namespace);
        let expired = |name: &'static str| {
            let events = events.clone();
            async move {
                let all = events.list(&ListParams::default()).await?;
                let of = |event: &Event| event.regarding.as_ref().and_then(|of| of.name.clone());
                anyhow::Ok(
                    all.iter()
                        .any(|event| event.reason.as_deref() == Some("Expired") && of(event).as_deref() == Some(name)),
                )
            }
        };
        for name in ["own", "pools", "brief"] {
            ensure!(expired(name).await?, "{name} has no Event");
        }
        stage.delete("greedy").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_killed_at_any_write_is_no_matter() -> anyhow::Result<()> {
    play("killed", |stage| async move {
        stage.make_pool(Mode::Query).await?;
        let mut killer = Killer::start(&stage).await?;
        stage.make(&stage.unit("ada")).await?;
        stage.until("ada", Phase::Ready).await?;
        let round = async |killer: &mut Killer| {
            for (time, phase) in [(soon(0), Phase::Finished), (soon(3600), Phase::Ready)] {
                let done = async || stage.until("ada", phase).await.map(drop);
                killer.during(edit(&stage, "ada", json!({"shutdownTime": time})), done).await?;
            }
            Ok(())
        };
        let kills = killer.at_each_write(&[LastWrite::Refused, LastWrite::Unanswered], 5, round).await?;
        assert!(kills >= 14, "{kills} kills");
        let failure = stage.units().get("ada").await?.status.unwrap().last_failure;
        assert_eq!(failure, None, "a pod that the operator stopped is not lost");
        stage.delete("ada").await
    })
    .await
}
