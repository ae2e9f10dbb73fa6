//! Pools that suspend idle units, and what to wait for on their units.

use std::time::Duration;

use anyhow::{Context, ensure};
use computing_unit_api::{Activity, ComputingUnit, ComputingUnitPool, OperatingMode, Phase};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    fixture::{Fixture, SOON},
    units::{Mode, with},
    wait::until,
};

/// The idle timeout.
pub const IDLE: Duration = Duration::from_secs(6);
/// How long a unit is watched to see that it is not suspended.
const WHILE: Duration = Duration::from_secs(10);

/// The pool named `default`, whose units may be idle for [`IDLE`], with more of `spec.activity`.
#[must_use]
pub fn pool(fixture: &Fixture, activity: Value) -> ComputingUnitPool {
    let quick = json!({"spec": {
        "lifecycle": {"idleTimeout": "6s"},
        "activity": {"interval": "1s", "gracePeriod": "1s"},
    }});
    with(&with(&fixture.pool(Mode::Query), &quick), &json!({"spec": {"activity": activity}}))
}

/// Makes [`pool`].
///
/// # Errors
/// If the API server refuses it.
pub async fn make_pool(fixture: &Fixture, activity: Value) -> anyhow::Result<()> {
    fixture.create_pool(&pool(fixture, activity)).await.map(drop)
}

/// The activity in the status of a unit.
#[must_use]
pub fn activity(unit: Option<&ComputingUnit>) -> Option<&Activity> {
    unit?.status.as_ref()?.activity.as_ref()
}

/// Waits until the activity in the status of a unit satisfies `so`.
///
/// # Errors
/// If it does not become so.
pub async fn until_activity(
    fixture: &Fixture,
    name: &str,
    what: &str,
    so: impl Fn(&Activity) -> bool,
) -> anyhow::Result<Activity> {
    let unit = until(what, SOON, fixture.units(), name, |unit: Option<&ComputingUnit>| activity(unit).is_some_and(&so));
    activity(unit.await?.as_ref()).cloned().context("its activity")
}

/// Waits until the last activity of a unit comes from that source.
///
/// # Errors
/// If it is not.
pub async fn until_source(fixture: &Fixture, name: &str, source: &str) -> anyhow::Result<Activity> {
    until_activity(fixture, name, source, |activity| activity.source.as_deref() == Some(source)).await
}

/// Waits until the status says that the activity of a unit is unknown, with this text in the message. Such a unit is not suspended.
///
/// # Errors
/// If it does not.
pub async fn until_unreadable(fixture: &Fixture, name: &str, words: &str) -> anyhow::Result<Activity> {
    let says = |activity: &Activity| {
        activity.idle_at.is_none() && activity.message.as_ref().is_some_and(|message| message.contains(words))
    };
    until_activity(fixture, name, words, says).await
}

/// Checks that the unit is not suspended for longer than the idle timeout.
///
/// # Errors
/// If somebody does.
pub async fn stays(fixture: &Fixture, name: &str) -> anyhow::Result<()> {
    let stopped = |unit: Option<&ComputingUnit>| {
        unit.is_none_or(|unit| {
            unit.spec.operating_mode == OperatingMode::Suspended || unit.metadata.deletion_timestamp.is_some()
        })
    };
    match timeout(WHILE, await_condition(fixture.units(), name, stopped)).await {
        Ok(unit) => anyhow::bail!("it was suspended: {:#?}", unit?),
        Err(_) => Ok(()),
    }
}

/// Waits until a unit is suspended with the reason `Idle`.
///
/// # Errors
/// If it is not.
pub async fn suspended(fixture: &Fixture, name: &str) -> anyhow::Result<()> {
    fixture.until(name, Phase::Suspended).await?;
    let message = fixture.until_condition(name, "Suspended", "True", "Idle").await?;
    ensure!(message.contains("idle since"), "{message}");
    Ok(())
}
