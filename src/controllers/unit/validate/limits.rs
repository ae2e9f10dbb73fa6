//! What a unit may not ask for more of than its pool, or its own limits, allow.

use computing_unit_api::{ComputingUnit, ComputingUnitPool, Quantity, Reason};
use kube::ResourceExt;

use super::Rejection;

/// A unit is kept for at most as long as its pool allows.
pub(super) fn time_to_live(object: &ComputingUnit, pool: &ComputingUnitPool) -> Result<(), Rejection> {
    let own = object.spec.lifecycle.as_ref().and_then(|own| own.ttl_seconds_after_finished);
    let ceiling = pool.spec.lifecycle.ttl_seconds_after_finished;
    match own.zip(ceiling) {
        Some((own, ceiling)) if own > ceiling => Err(Rejection::new(
            Reason::LimitExceeded,
            format!(
                "spec.lifecycle.ttlSecondsAfterFinished {own} is more than the {ceiling} that pool {:?} allows: ask \
                 for less, or leave it out for the pool's",
                pool.name_any()
            ),
        )),
        _ => Ok(()),
    }
}

/// A unit may be idle for at most as long as its pool allows.
pub(super) fn idle_timeout(object: &ComputingUnit, pool: &ComputingUnitPool) -> Result<(), Rejection> {
    let own = object.spec.lifecycle.as_ref().and_then(|own| own.idle_timeout);
    let name = pool.name_any();
    let message = match (own, pool.spec.lifecycle.idle_timeout) {
        (Some(own), Some(ceiling)) if own > ceiling => format!(
            "spec.lifecycle.idleTimeout {own} is more than the {ceiling} that pool {name:?} allows: ask for less, or \
             leave it out for the pool's"
        ),
        (Some(own), None) => format!(
            "spec.lifecycle.idleTimeout {own} is asked for, but pool {name:?} does not stop idle units: leave it out, or \
             ask for the pool to have one"
        ),
        _ => return Ok(()),
    };
    Err(Rejection::new(Reason::LimitExceeded, message))
}

/// The API server compares the two where the unit gives both; here the limit may be the pool's.
pub(super) fn shared_memory(object: &ComputingUnit, pool: &ComputingUnitPool) -> Result<(), Rejection> {
    let Some(wanted) = &object.spec.shared_memory else { return Ok(()) };
    let own = object.spec.resources.as_ref().and_then(|resources| resources.limits.get("memory")).cloned();
    let limit = own.or_else(|| {
        let engine = pool.spec.template.spec.as_ref()?.containers.first()?;
        let limit = engine.resources.as_ref()?.limits.as_ref()?.get("memory")?;
        Some(Quantity(limit.0.clone()))
    });
    let Some(limit) = limit else { return Ok(()) };
    match (wanted.value(), limit.value()) {
        (Some(wanted_bytes), Some(limit_bytes)) if wanted_bytes <= limit_bytes => Ok(()),
        _ => Err(Rejection::new(
            Reason::LimitExceeded,
            format!(
                "spec.sharedMemory {wanted} is more than the memory limit {limit}, which it is taken from: ask for \
                 less, or for more memory in spec.resources.limits.memory"
            ),
        )),
    }
}
