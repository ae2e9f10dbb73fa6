//! Pools and units: whether the operator reconciles them.

use computing_unit_api::{ConditionType, Conditions, Phase};
use k8s_openapi::jiff::Timestamp;
use kube::{ResourceExt, api::ListParams};

use super::{Check, Context, send};
use crate::object::{Pool, Unit};

/// Age at which an object without a status is not being reconciled.
const RECONCILED_WITHIN: i64 = 10;
/// What to do if the operator does not reconcile.
const NOT_RECONCILED: &str =
    "Check that the operator runs and leads, and that operator.watchNamespaces of its chart includes the namespace.";

/// The pools, and a check of each.
pub async fn pools(context: &Context) -> (Vec<Pool>, Vec<Check>) {
    let pools = match send(context, context.api::<Pool>().list(&ListParams::default())).await {
        Ok(pools) => pools.items,
        Err(error) => return (vec![], vec![Check::error("Pools", &error)]),
    };
    let mut checks: Vec<_> =
        pools.iter().map(|pool| pool_check(pool, Timestamp::now(), &context.connection.flags)).collect();
    if pools.is_empty() {
        checks.push(Check::warn(
            "Pools",
            format!("there is no pool in {}, so no unit can start there", context.place()),
            "Create a ComputingUnitPool: docs/pools.md. Choose another namespace with -n, or -A.",
        ));
    }
    (pools, checks)
}

/// Whether a pool is ready.
pub fn pool_check(pool: &Pool, now: Timestamp, flags: &str) -> Check {
    let (namespace, name) = (pool.namespace().unwrap_or_default(), pool.name_any());
    let subject = format!("Pool {namespace}/{name}");
    let status = pool.status.as_ref();
    let Some(condition) = status.and_then(|status| status.conditions.find(ConditionType::Ready)) else {
        return unreconciled(
            subject,
            "the operator has not reconciled it",
            pool.creation_timestamp().map(|at| at.0),
            now,
        );
    };
    let observed = status.and_then(|status| status.observed_generation);
    if observed.zip(pool.metadata.generation).is_some_and(|(seen, now)| seen < now) {
        return Check::warn(subject, "the operator has not reconciled the last change of it", NOT_RECONCILED);
    }
    if condition.status == "True" {
        return Check::ok(subject, "it is ready");
    }
    Check::fail(
        subject,
        format!("it is not ready: {}: {}", condition.reason, condition.message),
        format!(
            "Look up the reason in docs/reference/conditions.md. See: kubectl describe computingunitpool {name} -n {namespace}{flags}"
        ),
    )
}

/// Whether units are reconciled, and none has failed.
pub async fn check(context: &Context) -> Vec<Check> {
    match send(context, context.api::<Unit>().list(&ListParams::default())).await {
        Ok(units) => vec![units_check(&units.items, Timestamp::now(), &context.place(), &context.options())],
        Err(error) => vec![Check::error("Units", &error)],
    }
}

/// Whether units are reconciled, and none has failed.
pub fn units_check(units: &[Unit], now: Timestamp, place: &str, options: &str) -> Check {
    let unseen = |unit: &&Unit| unit.status.as_ref().is_none_or(|status| status.conditions.is_empty());
    let late = |unit: &&Unit| {
        unit.creation_timestamp().is_some_and(|at| now.duration_since(at.0).as_secs() > RECONCILED_WITHIN)
    };
    let names = |units: Vec<&Unit>| units.iter().map(|unit| unit.name_any()).collect::<Vec<_>>().join(", ");
    let unreconciled: Vec<_> = units.iter().filter(unseen).filter(late).collect();
    if !unreconciled.is_empty() {
        return Check::fail(
            "Units",
            format!("the operator has not reconciled {}", names(unreconciled)),
            NOT_RECONCILED,
        );
    }
    let phase = |unit: &Unit| unit.status.as_ref().and_then(|status| status.phase);
    let failed: Vec<_> = units.iter().filter(|unit| phase(unit) == Some(Phase::Failed)).collect();
    if !failed.is_empty() {
        return Check::warn(
            "Units",
            format!("failed: {}", names(failed)),
            format!("See the reasons: kubectl cu list {options}"),
        );
    }
    let ready = units.iter().filter(|unit| phase(unit) == Some(Phase::Ready)).count();
    Check::ok("Units", format!("{ready} of {} are ready in {place}", units.len()))
}

/// An object without a status, which is a failure once it is some seconds old.
fn unreconciled(subject: String, message: &str, created: Option<Timestamp>, now: Timestamp) -> Check {
    if created.is_some_and(|at| now.duration_since(at).as_secs() > RECONCILED_WITHIN) {
        Check::fail(subject, message, NOT_RECONCILED)
    } else {
        Check::warn(subject, format!("{message} yet"), "Repeat the command in some seconds.")
    }
}
