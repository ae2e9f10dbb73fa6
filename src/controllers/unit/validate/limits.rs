//! Limits of the pool, and of the unit itself, that a unit must not exceed.

use computing_unit_api::{ComputingUnit, ComputingUnitPool, Quantity, Reason};
use kube::ResourceExt;

use super::Rejection;

pub(super) fn times_to_live(object: &ComputingUnit, pool: &ComputingUnitPool) -> Result<(), Rejection> {
    let (own, ceiling) = (object.spec.lifecycle.as_ref(), &pool.spec.lifecycle);
    let finished = own.and_then(|own| own.ttl_seconds_after_finished).zip(ceiling.ttl_seconds_after_finished);
    let suspended = own.and_then(|own| own.ttl_seconds_after_suspended).zip(ceiling.ttl_seconds_after_suspended);
    for (field, ttl) in [("ttlSecondsAfterFinished", finished), ("ttlSecondsAfterSuspended", suspended)] {
        if let Some((own, ceiling)) = ttl.filter(|(own, ceiling)| own > ceiling) {
            return Err(Rejection::new(
                Reason::LimitExceeded,
                format!(
                    "spec.lifecycle.{field} {own} is more than the {ceiling} that pool {:?} allows: lower it, or remove it \
                     to use that of the pool",
                    pool.name_any()
                ),
            ));
        }
    }
    Ok(())
}

pub(super) fn idle_timeout(object: &ComputingUnit, pool: &ComputingUnitPool) -> Result<(), Rejection> {
    let own = object.spec.lifecycle.as_ref().and_then(|own| own.idle_timeout);
    let name = pool.name_any();
    let message = match (own, pool.spec.lifecycle.idle_timeout) {
        (Some(own), Some(ceiling)) if own > ceiling => format!(
            "spec.lifecycle.idleTimeout {own} is more than the {ceiling} that pool {name:?} allows: lower it, or \
             remove it to use that of the pool"
        ),
        (Some(own), None) => format!(
            "spec.lifecycle.idleTimeout {own} is set, but pool {name:?} does not stop idle units: remove it, or have the \
             pool set one"
        ),
        _ => return Ok(()),
    };
    Err(Rejection::new(Reason::LimitExceeded, message))
}

/// Resources that a unit can request although its pool does not list them.
const ALWAYS: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// A resource other than these may be a device of the node, so the pool has to list it.
pub(super) fn resources(object: &ComputingUnit, pool: &ComputingUnitPool) -> Result<(), Rejection> {
    let Some(resources) = &object.spec.resources else { return Ok(()) };
    let max = &pool.spec.resources.max;
    let pool = pool.name_any();
    for (list, amounts) in [("limits", &resources.limits), ("requests", &resources.requests)] {
        for (name, amount) in amounts {
            let field = format!("spec.resources.{list}[{name}]");
            let message = match max.get(name) {
                None if ALWAYS.contains(&name.as_str()) => continue,
                None => {
                    format!("{field}: pool {pool:?} does not offer this resource: remove it, or have the pool list it")
                }
                Some(max) if amount.value().zip(max.value()).is_some_and(|(amount, max)| amount <= max) => continue,
                Some(max) => format!("{field} {amount} is more than the {max} that pool {pool:?} allows: lower it"),
            };
            return Err(Rejection::new(Reason::LimitExceeded, message));
        }
    }
    Ok(())
}

/// The API server compares the two if the unit sets both. Here the limit may be the pool's.
pub(super) fn shared_memory(object: &ComputingUnit, pool: &ComputingUnitPool) -> Result<(), Rejection> {
    let Some(wanted) = &object.spec.shared_memory else { return Ok(()) };
    let own = object.spec.resources.as_ref().and_then(|resources| resources.limits.get("memory")).cloned();
    let limit = own.or_else(|| {
        let engine = pool.spec.template.spec.as_ref()?.containers.first()?;
        let limit = engine.resources.as_ref()?.limits.as_ref()?.get("memory")?;
        Some(Quantity(limit.0.clone()))
    });
    let Some(limit) = limit else {
        // Otherwise it could take all memory of the node.
        return Err(Rejection::new(
            Reason::LimitExceeded,
            "spec.sharedMemory needs a memory limit, which includes it: set spec.resources.limits.memory",
        ));
    };
    match (wanted.value(), limit.value()) {
        (Some(wanted_bytes), Some(limit_bytes)) if wanted_bytes <= limit_bytes => Ok(()),
        _ => Err(Rejection::new(
            Reason::LimitExceeded,
            format!(
                "spec.sharedMemory {wanted} is more than the memory limit {limit}, which includes it: lower it, or \
                 raise spec.resources.limits.memory"
            ),
        )),
    }
}
