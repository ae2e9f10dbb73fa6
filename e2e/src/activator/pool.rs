//! Pools with an activator.

use computing_unit_api::ComputingUnitPool;
use kube::{
    Api,
    api::DynamicObject,
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, SOON},
    units::{Mode, with},
    wait::until,
};

/// The pool named `default` with an activator. Its paths and host names are unique to the test, so that it gets no
/// requests of other tests.
#[must_use]
pub fn pool(fixture: &Fixture, mode: Mode, activator: &Value) -> ComputingUnitPool {
    let pool = with(&fixture.pool(mode), &json!({"spec": {"activator": activator}}));
    if mode != Mode::Query {
        return pool;
    }
    let (path, expression) = (path(fixture), format!(r"^/api/{}/executions/\d+$", fixture.namespace));
    with(
        &pool,
        &json!({"spec": {"routing": {"query": {"paths": [
            {"type": "PathPrefix", "value": path},
            {"type": "RegularExpression", "value": expression},
            {"type": "Exact", "value": format!("{path}/exactly")},
        ]}}}}),
    )
}

/// The path of units in Query mode.
#[must_use]
pub fn path(fixture: &Fixture) -> String {
    format!("/wsapi/{}", fixture.namespace)
}

/// The status, reason and message of the condition `Activator` of a pool.
#[must_use]
pub fn condition(pool: Option<&ComputingUnitPool>) -> Option<(String, String, String)> {
    let conditions = &pool?.status.as_ref()?.conditions;
    let activator = conditions.iter().find(|condition| condition.type_ == "Activator")?;
    Some((activator.status.clone(), activator.reason.clone(), activator.message.clone()))
}

/// Creates a pool, and waits until the gateway has accepted the route of its activator.
///
/// # Errors
/// If that does not happen in time.
pub async fn create_pool(fixture: &Fixture, pool: &ComputingUnitPool) -> anyhow::Result<()> {
    fixture.create_pool(pool).await?;
    until_accepted(fixture).await
}

/// Waits until the gateway has accepted the route of the activator.
///
/// # Errors
/// If that does not happen in time.
pub async fn until_accepted(fixture: &Fixture) -> anyhow::Result<()> {
    let served = |pool: Option<&ComputingUnitPool>| condition(pool).is_some_and(|(status, ..)| status == "True");
    until("activator", SOON, fixture.pools(), "default", served).await.map(drop)
}

/// The `SecurityPolicies` of the fixture's namespace.
#[must_use]
pub fn policies(fixture: &Fixture) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("gateway.envoyproxy.io", "v1alpha1", "SecurityPolicy");
    let resource = ApiResource::from_gvk_with_plural(&kind, "securitypolicies");
    Api::namespaced_with(fixture.cluster.client(), &fixture.namespace, &resource)
}
