//! A schedule suspends and resumes a unit.

use anyhow::{Context, ensure};
use computing_unit_api::{OperatingMode, Phase};
use e2e::{
    fixture::{Fixture, SOON},
    tool,
    units::{self, Mode},
    wait::{eventually, until},
};
use k8s_openapi::{
    api::events::v1::Event,
    jiff::{SignedDuration, Timestamp},
};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use super::with_fixture;

/// The minute of that time, as cron and as a timestamp.
fn minute(time: Timestamp) -> (String, String) {
    (time.strftime("%M %H * * *").to_string(), time.strftime("%Y-%m-%dT%H:%M:00Z").to_string())
}

async fn events(fixture: &Fixture, words: &str) -> anyhow::Result<usize> {
    let all =
        Api::<Event>::namespaced(fixture.cluster.client(), &fixture.namespace).list(&ListParams::default()).await?;
    let notes = all.iter().filter(|event| event.reason.as_deref() == Some("Schedule"));
    Ok(notes.filter(|event| event.note.as_deref().unwrap_or_default().contains(words)).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn unit_is_suspended_at_a_time_that_was_missed_and_resumed_at_one_that_comes() -> anyhow::Result<()> {
    with_fixture("schedule", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        fixture.until("ada", Phase::Ready).await?;
        operator.kill().await?;
        let (suspend, missed) = minute(Timestamp::now() - SignedDuration::from_mins(2));
        let (resume, next) = minute(Timestamp::now() + SignedDuration::from_secs(75));
        let schedule = json!({"timeZone": "Etc/UTC", "suspend": [suspend], "resume": [resume]});
        fixture.edit_pool(json!({"lifecycle": {"schedule": schedule}})).await?;
        let recorded = Patch::Merge(json!({"status": {"schedule": {"nextSuspend": missed}}}));
        fixture.units().patch_status("ada", &PatchParams::default(), &recorded).await?;
        let operator = fixture.start().await?;
        let message = fixture.until_condition("ada", "Suspended", "True", "Schedule").await?;
        ensure!(message.contains(&missed), "{message}");
        eventually("Event", SOON, || async { Ok((events(&fixture, "suspends it").await? == 1).then_some(())) }).await?;
        let line = format!("kubectl cu describe ada -n {}", fixture.namespace);
        let text = tool::output(&fixture.cluster, &line).await?.stdout;
        ensure!(text.contains("Next resume:") && text.contains(&next), "{text}");

        let resumed = |unit: Option<&_>| units::phase(unit) == Some(Phase::Ready);
        let unit = until("the scheduled resume", SOON * 3, fixture.units(), "ada", resumed).await?.context("a unit")?;
        ensure!(Timestamp::now() >= next.parse::<Timestamp>()?, "not before {next}");
        ensure!(unit.spec.operating_mode == OperatingMode::Running);
        eventually("Event", SOON, || async { Ok((events(&fixture, "resumes it").await? == 1).then_some(())) }).await?;
        // The next process applies neither of the two again.
        operator.kill().await?;
        let before = fixture.proxy.counts();
        let _operator = fixture.start().await?;
        fixture.edit("ada", json!({"lifecycle": {"ttlSecondsAfterSuspended": 60}})).await?;
        let generation = fixture.units().get("ada").await?.metadata.generation;
        let observed = |unit: Option<&computing_unit_api::ComputingUnit>| {
            unit.and_then(|unit| unit.status.as_ref()?.observed_generation) == generation
        };
        until("a reconcile", SOON, fixture.units(), "ada", observed).await?;
        let modes =
            fixture.proxy.counts().since(&before).only(|call| call.resource == "computingunits" && call.is_write());
        assert_eq!(modes.total(), 1, "one status: {}", fixture.proxy.describe(&before));
        fixture.until("ada", Phase::Ready).await?;
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_schedule_is_reported_by_pool_and_unit() -> anyhow::Result<()> {
    with_fixture("timetables", |fixture| async move {
        let schedule = |zone: &str| json!({"schedule": {"timeZone": zone, "suspend": ["0 20 * * 1-5"]}});
        fixture.create_pool_with(&json!({"lifecycle": schedule("Europe/Bonn")})).await?;
        let _operator = fixture.start().await?;
        let unit = units::with(&fixture.unit("ada"), &json!({"spec": {"lifecycle": schedule("Nowhere")}}));
        fixture.create(&unit).await?;
        let message = fixture.until_condition("ada", "Accepted", "False", "InvalidSchedule").await?;
        ensure!(message.contains("spec.lifecycle.schedule.timeZone: \"Nowhere\" is not in"), "{message}");
        let invalid = |pool: Option<&computing_unit_api::ComputingUnitPool>| {
            let conditions = pool.and_then(|pool| pool.status.as_ref()).map(|status| &status.conditions);
            conditions.into_iter().flatten().any(|condition| {
                condition.type_ == "ScheduleValid"
                    && condition.reason == "InvalidSchedule"
                    && condition.message.contains("\"Europe/Bonn\"")
            })
        };
        until("condition of the pool", SOON, fixture.pools(), "default", invalid).await?;
        fixture.edit("ada", json!({"lifecycle": {"schedule": {"timeZone": "Europe/Berlin"}}})).await?;
        fixture.until("ada", Phase::Ready).await?;
        fixture.delete("ada").await
    })
    .await
}
