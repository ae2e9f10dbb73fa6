//! Units that are stopped when nobody uses them, in the words of tests.

use std::time::Duration;

use anyhow::{Context, ensure};
use computing_unit_operator::api::{Activity, ComputingUnit, ComputingUnitPool, OperatingMode, Phase};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    fixture::{Fixture, SOON},
    units::{Mode, with},
    wait::until,
};

/// How long a unit may be idle here.
pub const IDLE: Duration = Duration::from_secs(6);
/// How long a unit is used for to see that it is not stopped.
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

/// What is published of the use of a unit.
#[must_use]
pub fn activity(unit: Option<&ComputingUnit>) -> Option<&Activity> {
    unit?.status.as_ref()?.activity.as_ref()
}

/// Waits until what is published of a unit's use is as `so` wants it.
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

/// Waits until a unit's last use is told by that source.
///
/// # Errors
/// If it is not.
pub async fn until_source(fixture: &Fixture, name: &str, source: &str) -> anyhow::Result<Activity> {
    until_activity(fixture, name, source, |activity| activity.source.as_deref() == Some(source)).await
}

/// Waits until it is said that a unit's use cannot be told, in those words, so that it is not stopped.
///
/// # Errors
/// If it is not said.
pub async fn until_unreadable(fixture: &Fixture, name: &str, words: &str) -> anyhow::Result<Activity> {
    let says = |activity: &Activity| {
        activity.idle_at.is_none() && activity.message.as_ref().is_some_and(|message| message.contains(words))
    };
    until_activity(fixture, name, words, says).await
}

/// For longer than a unit may be idle nobody stops it.
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
        Ok(unit) => anyhow::bail!("it was stopped: {:#?}", unit?),
        Err(_) => Ok(()),
    }
}

/// Waits until a unit is suspended for being idle, and says so.
///
/// # Errors
/// If it is not.
pub async fn suspended(fixture: &Fixture, name: &str) -> anyhow::Result<()> {
    fixture.until(name, Phase::Suspended).await?;
    let message = fixture.until_condition(name, "Suspended", "True", "Idle").await?;
    ensure!(message.contains("idle since"), "{message}");
    Ok(())
}
