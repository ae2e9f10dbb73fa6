//! Pools that suspend idle units, and conditions to wait for on their units.

use std::time::Duration;

use anyhow::{Context, ensure};
use computing_unit_api::{Activity, ComputingUnit, ComputingUnitPool, OperatingMode, Phase, names};
use k8s_openapi::jiff::Timestamp;
use kube::{
    api::{Patch, PatchParams},
    runtime::wait::await_condition,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    fixture::{Fixture, SOON},
    units::{Mode, with},
    wait::until,
};

/// The idle timeout.
pub const IDLE: Duration = Duration::from_secs(6);
/// How long a unit is observed to check that it is not suspended.
const WHILE: Duration = Duration::from_secs(10);

/// The pool named `default` with the idle timeout [`IDLE`], and with `activity` merged into `spec.activity`.
#[must_use]
pub fn pool(fixture: &Fixture, activity: Value) -> ComputingUnitPool {
    let quick = json!({"spec": {
        "lifecycle": {"idleTimeout": "6s"},
        "activity": {"interval": "1s", "gracePeriod": "1s"},
    }});
    with(&with(&fixture.pool(Mode::Query), &quick), &json!({"spec": {"activity": activity}}))
}

/// Creates [`pool`].
///
/// # Errors
/// If the API server rejects it.
pub async fn make_pool(fixture: &Fixture, activity: Value) -> anyhow::Result<()> {
    fixture.create_pool(&pool(fixture, activity)).await.map(drop)
}

/// Suspends a unit as the operator does when the unit is idle, and waits until it is suspended.
///
/// # Errors
/// If the unit changes at the same time, or is not suspended in time.
pub async fn suspend(fixture: &Fixture, name: &str) -> anyhow::Result<()> {
    let unit = fixture.units().get(name).await?;
    let next = unit.metadata.generation.unwrap_or_default() + 1;
    let patch = json!({
        "metadata": {
            "resourceVersion": unit.metadata.resource_version,
            "annotations": {names::IDLE: format!("{next} {}", Timestamp::now())},
        },
        "spec": {"operatingMode": OperatingMode::Suspended},
    });
    fixture.units().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    fixture.until(name, Phase::Suspended).await.map(drop)
}

/// The activity in the status of a unit.
#[must_use]
pub fn activity(unit: Option<&ComputingUnit>) -> Option<&Activity> {
    unit?.status.as_ref()?.activity.as_ref()
}

/// Waits until the activity in the status of a unit satisfies `so`.
///
/// # Errors
/// If it does not in time.
pub async fn until_activity(
    fixture: &Fixture,
    name: &str,
    what: &str,
    so: impl Fn(&Activity) -> bool,
) -> anyhow::Result<Activity> {
    let unit = until(what, SOON, fixture.units(), name, |unit: Option<&ComputingUnit>| activity(unit).is_some_and(&so));
    activity(unit.await?.as_ref()).cloned().context("no activity in the status")
}

/// Waits until the last activity of a unit has this source.
///
/// # Errors
/// If that does not happen in time.
pub async fn until_source(fixture: &Fixture, name: &str, source: &str) -> anyhow::Result<Activity> {
    until_activity(fixture, name, source, |activity| activity.source.as_deref() == Some(source)).await
}

/// Waits until the status of a unit reports unknown activity, with this text in the message. Such a unit is not
/// suspended.
///
/// # Errors
/// If that does not happen in time.
pub async fn until_unreadable(fixture: &Fixture, name: &str, words: &str) -> anyhow::Result<Activity> {
    let says = |activity: &Activity| {
        activity.idle_at.is_none() && activity.message.as_ref().is_some_and(|message| message.contains(words))
    };
    until_activity(fixture, name, words, says).await
}

/// Observes the unit for longer than the idle timeout, and checks that it is not suspended.
///
/// # Errors
/// If it is suspended.
pub async fn stays(fixture: &Fixture, name: &str) -> anyhow::Result<()> {
    let stopped = |unit: Option<&ComputingUnit>| {
        unit.is_none_or(|unit| {
            unit.spec.operating_mode == OperatingMode::Suspended || unit.metadata.deletion_timestamp.is_some()
        })
    };
    match timeout(WHILE, await_condition(fixture.units(), name, stopped)).await {
        Ok(unit) => anyhow::bail!("the unit was suspended: {:#?}", unit?),
        Err(_) => Ok(()),
    }
}

/// Waits until a unit is suspended with the reason `Idle`.
///
/// # Errors
/// If that does not happen in time.
pub async fn suspended(fixture: &Fixture, name: &str) -> anyhow::Result<()> {
    fixture.until(name, Phase::Suspended).await?;
    let message = fixture.until_condition(name, "Suspended", "True", "Idle").await?;
    ensure!(message.contains("idle since"), "{message}");
    Ok(())
}
