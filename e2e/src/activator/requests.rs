//! Requests that the activator answers.

use anyhow::ensure;
use computing_unit_api::{ComputingUnit, Phase};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::pool::{create_pool, path, pool};
use crate::{
    faults::{Call, Counts, Verb},
    fixture::{Fixture, SOON},
    traffic::{Answer, Connection, Target},
    units::{self, Mode},
    wait::{eventually, until},
};

/// An activator that starts every suspended unit.
pub const WAKES: fn() -> Value = || json!({"wake": "Always", "hold": "30s"});

/// Sends a request to the first proxy, over a new connection.
///
/// # Errors
/// If there is no response.
pub async fn send(fixture: &Fixture, target: &Target) -> anyhow::Result<Answer> {
    let proxy = fixture.cluster.proxies().await?[0];
    Ok(Connection::open(proxy).await?.send(target).await?)
}

/// A request for a unit of the test's own pool.
///
/// # Errors
/// If the name of the unit is not valid in a request.
pub fn target(fixture: &Fixture, mode: Mode, unit: &ComputingUnit) -> anyhow::Result<Target> {
    match mode {
        Mode::Query => {
            let path = format!("{}?cuid={}", path(fixture), unit.spec.cuid.unwrap_or_default());
            Ok(Target::new("localhost", &path)?.engine(&unit.name_any()))
        }
        _ => units::target(mode, unit),
    }
}

/// The problem details (RFC 9457) of a response.
///
/// # Errors
/// If the body is not problem details.
pub fn problem(answer: &Answer) -> anyhow::Result<Value> {
    ensure!(
        answer.headers["content-type"] == "application/problem+json",
        "{:?}: {}",
        answer.headers,
        answer.start(200)
    );
    Ok(serde_json::from_slice(&answer.body)?)
}

/// Waits until the activator answers through the proxies, which may be later than the acceptance of its route.
///
/// # Errors
/// If it does not answer in time.
pub async fn until_served(fixture: &Fixture, target: &Target) -> anyhow::Result<Answer> {
    let served = || async {
        let answer = send(fixture, target).await?;
        Ok((answer.headers.contains_key("x-computing-unit-activator") && answer.status != 503).then_some(answer))
    };
    eventually("response of the activator", SOON, served).await
}

/// Creates a pool with this activator, and a suspended unit. Returns a request for the unit.
///
/// # Errors
/// If they do not reach that state in time.
pub async fn suspended(fixture: &Fixture, mode: Mode, activator: &Value, name: &str) -> anyhow::Result<Target> {
    create_pool(fixture, &pool(fixture, mode, activator)).await?;
    until_served(fixture, &target(fixture, mode, &fixture.unit("nobody"))?).await?;
    let unit = units::with(&fixture.unit(name), &json!({"spec": {"operatingMode": "Suspended"}}));
    fixture.create(&unit).await?;
    fixture.until(name, Phase::Suspended).await?;
    // The last write of its creation, because tests count later writes.
    until("Service", SOON, fixture.services(), name, |service| service.is_some()).await?;
    target(fixture, mode, &unit)
}

/// The number of writes since `earlier` that start or suspend units.
#[must_use]
pub fn starts(fixture: &Fixture, before: &Counts) -> u64 {
    let spec =
        |call: &Call| call.verb == Verb::Patch && call.resource == "computingunits" && call.subresource.is_empty();
    fixture.proxy.counts().since(before).only(spec).total()
}
