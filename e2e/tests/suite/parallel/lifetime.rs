//! A unit is finished at its shutdown time or maximum age without a failed request, and deleted after its TTL. So is one that
//! is suspended for long.

use std::time::Duration;

use anyhow::{Context, ensure};
use computing_unit_api::{ConditionType, Conditions, Phase};
use e2e::{
    faults::LastWrite,
    fixture::{Fixture, SOON},
    killer::Killer,
    units::{Mode, with},
};
use k8s_openapi::{
    api::events::v1::Event,
    jiff::{SignedDuration, Timestamp},
};
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::{Value, json};

use super::with_fixture;

const PAST: &str = "2020-01-01T00:00:00Z";

async fn make_pool(fixture: &Fixture, lifecycle: Value) -> anyhow::Result<()> {
    fixture.create_pool_with(&json!({"lifecycle": lifecycle})).await
}

async fn edit(fixture: &Fixture, name: &str, lifecycle: Value) -> anyhow::Result<()> {
    fixture.edit(name, json!({"lifecycle": lifecycle})).await
}

fn soon(seconds: i64) -> String {
    (Timestamp::now() + SignedDuration::from_secs(seconds)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

async fn finished(fixture: &Fixture, name: &str, reason: &str) -> anyhow::Result<String> {
    fixture.until(name, Phase::Finished).await?;
    ensure!(fixture.pods().get_opt(name).await?.is_none(), "its pod is gone");
    ensure!(fixture.routes().get_opt(name).await?.is_none(), "its route is gone");
    fixture.until_condition(name, "Finished", "True", reason).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_created_after_its_shutdown_time_is_never_started() -> anyhow::Result<()> {
    with_fixture("past", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        let before = fixture.proxy.counts();
        fixture.create(&with(&fixture.unit("ada"), &json!({"spec": {"lifecycle": {"shutdownTime": PAST}}}))).await?;
        let message = finished(&fixture, "ada", "ShutdownTime").await?;
        ensure!(message.contains("set a later time, or remove it"), "{message}");
        fixture.proxy.quiet(Duration::from_secs(3), SOON).await?;
        let pods =
            fixture.proxy.counts().since(&before).only(|call| call.resource == "pods" && call.is_write()).total();
        assert_eq!(pods, 0, "no pod was made");
        edit(&fixture, "ada", json!({"shutdownTime": null})).await?;
        fixture.until("ada", Phase::Ready).await?;
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_at_the_shutdown_time() -> anyhow::Result<()> {
    with_fixture("load", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        let unit = fixture.unit("ada");
        fixture.create(&unit).await?;
        let ready = fixture.until("ada", Phase::Ready).await?;
        let service = fixture.services().get("ada").await?;
        let load = fixture.load(Mode::Query, &unit).await?.connections(8).start()?;
        load.answer_more(200, SOON).await?;
        for _ in 0..2 {
            edit(&fixture, "ada", json!({"shutdownTime": soon(3)})).await?;
            finished(&fixture, "ada", "ShutdownTime").await?;
            let rests = fixture.units().get("ada").await?;
            assert_eq!(ready.status.as_ref().unwrap().url, rests.status.unwrap().url, "it keeps its URL");
            assert_eq!(service.uid(), fixture.services().get("ada").await?.uid(), "and its Service");
            edit(&fixture, "ada", json!({"shutdownTime": soon(3600)})).await?;
            fixture.until("ada", Phase::Ready).await?;
            load.answer_more(200, SOON).await?;
        }
        load.stop().await?.assert_all_of(&[200, 404])?;
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_beyond_its_max_age_is_finished_even_if_suspended() -> anyhow::Result<()> {
    with_fixture("age", |fixture| async move {
        make_pool(&fixture, json!({"maxAge": "1h"})).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        fixture.create(&with(&fixture.unit("bob"), &json!({"spec": {"operatingMode": "Suspended"}}))).await?;
        fixture.until("ada", Phase::Ready).await?;
        fixture.until("bob", Phase::Suspended).await?;
        // However long the start took, the units are older than this.
        fixture.edit_pool(json!({"lifecycle": {"maxAge": "1s"}})).await?;
        let message = finished(&fixture, "ada", "MaxAge").await?;
        ensure!(message.contains("maxAge") && message.contains("create another unit"), "{message}");
        finished(&fixture, "bob", "MaxAge").await?;
        fixture.delete("ada").await?;
        fixture.delete("bob").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_unit_is_deleted_after_its_ttl() -> anyhow::Result<()> {
    with_fixture("ttl", |fixture| async move {
        make_pool(&fixture, json!({"ttlSecondsAfterFinished": 5})).await?;
        let operator = fixture.start().await?;
        let lifecycle = |lifecycle: Value| json!({"spec": {"lifecycle": lifecycle}});
        let greedy = lifecycle(json!({"ttlSecondsAfterFinished": 6}));
        fixture.create(&with(&fixture.unit("greedy"), &greedy)).await?;
        let message = fixture.until_condition("greedy", "Accepted", "False", "LimitExceeded").await?;
        ensure!(message.contains("ttlSecondsAfterFinished 6 is more than the 5"), "{message}");

        let own = lifecycle(json!({"shutdownTime": PAST, "ttlSecondsAfterFinished": 1}));
        fixture.create(&with(&fixture.unit("own"), &own)).await?;
        fixture.create(&with(&fixture.unit("pools"), &lifecycle(json!({"shutdownTime": PAST})))).await?;
        fixture.until("pools", Phase::Finished).await?;
        // The time goes on while no operator runs.
        operator.kill().await?;
        let _operator = fixture.start().await?;
        fixture.until_nothing_is_left("own").await?;
        fixture.until_nothing_is_left("pools").await?;
        // One that runs is deleted in the same order.
        let running = lifecycle(json!({"shutdownTime": soon(4), "ttlSecondsAfterFinished": 0}));
        fixture.create(&with(&fixture.unit("brief"), &running)).await?;
        fixture.until_nothing_is_left("brief").await?;
        let events = Api::<Event>::namespaced(fixture.cluster.client(), &fixture.namespace);
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
        fixture.delete("greedy").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_survives_an_operator_crash_at_any_write() -> anyhow::Result<()> {
    with_fixture("killed", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let mut killer = Killer::start(&fixture).await?;
        fixture.create(&fixture.unit("ada")).await?;
        fixture.until("ada", Phase::Ready).await?;
        let round = async |killer: &mut Killer| {
            for (time, phase) in [(soon(0), Phase::Finished), (soon(3600), Phase::Ready)] {
                let done = async || fixture.until("ada", phase).await.map(drop);
                killer.during(edit(&fixture, "ada", json!({"shutdownTime": time})), done).await?;
            }
            Ok(())
        };
        let kills = killer.at_each_write(&[LastWrite::Refused, LastWrite::Unanswered], 5, round).await?;
        assert!(kills >= 14, "{kills} kills");
        let failure = fixture.units().get("ada").await?.status.unwrap().last_failure;
        assert_eq!(failure, None, "a pod that the operator stopped is not lost");
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_is_suspended_for_long_is_deleted_with_notice() -> anyhow::Result<()> {
    with_fixture("forgotten", |fixture| async move {
        make_pool(&fixture, json!({"ttlSecondsAfterSuspended": 20})).await?;
        let operator = fixture.start().await?;
        let suspended =
            |ttl: i32| json!({"spec": {"operatingMode": "Suspended", "lifecycle": {"ttlSecondsAfterSuspended": ttl}}});
        let greedy = json!({"spec": {"lifecycle": {"ttlSecondsAfterSuspended": 21}}});
        fixture.create(&with(&fixture.unit("greedy"), &greedy)).await?;
        let message = fixture.until_condition("greedy", "Accepted", "False", "LimitExceeded").await?;
        ensure!(message.contains("ttlSecondsAfterSuspended 21 is more than the 20"), "{message}");
        for name in ["ada", "kept"] {
            fixture.create(&with(&fixture.unit(name), &suspended(10))).await?;
        }
        for name in ["ada", "kept"] {
            let status = fixture.until(name, Phase::Suspended).await?.status.unwrap();
            let since = status.conditions.find(ConditionType::Suspended).unwrap().last_transition_time.0;
            let left = status.expires_at.context("a time")?.0.duration_since(since);
            assert_eq!(left, SignedDuration::from_secs(10));
        }
        // The time goes on while no operator runs.
        operator.kill().await?;
        let _operator = fixture.start().await?;
        let message = fixture.until_condition("kept", "Expiring", "True", "SuspendedTooLong").await?;
        ensure!(message.contains("resume it to keep it"), "{message}");
        fixture.set_mode("kept", "Running").await?;
        fixture.until_nothing_is_left("ada").await?;
        let kept = fixture.until("kept", Phase::Ready).await?.status.unwrap();
        ensure!(kept.expires_at.is_none() && kept.conditions.find(ConditionType::Expiring).is_none(), "{kept:?}");
        let events = Api::<Event>::namespaced(fixture.cluster.client(), &fixture.namespace);
        let all = events.list(&ListParams::default()).await?;
        let recorded = |name: &str| {
            let of = |event: &&Event| event.regarding.as_ref().and_then(|of| of.name.as_deref()) == Some(name);
            all.iter().filter(of).filter_map(|event| event.reason.clone()).collect::<Vec<_>>()
        };
        let (ada, kept) = (recorded("ada"), recorded("kept"));
        ensure!(ada.iter().any(|reason| reason == "SuspendedTooLong") && ada.iter().any(|reason| reason == "Expired"));
        ensure!(
            kept.iter().any(|reason| reason == "SuspendedTooLong") && !kept.iter().any(|reason| reason == "Expired")
        );
        fixture.delete("kept").await?;
        fixture.delete("greedy").await
    })
    .await
}
