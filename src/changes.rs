//! What has changed since a unit's pod was made, and what may be done about it: CPU and memory in the pod as it runs, and
//! all else by another pod, when the unit is next started or at once.
//!
//! Pure. A pod that was made by a release that noted its inputs otherwise is not held against its unit.

use k8s_openapi::{
    api::core::v1::{Container, Pod, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity as Amount,
};
use kube::ResourceExt;

use crate::{
    api::{ComputingUnit, Quantity, UpdateStrategy},
    desired::{
        Children,
        pod::{AMOUNTS, outdated},
    },
    life::{Life, life},
    names::{TEMPLATE_AMOUNTS, TEMPLATE_HASH},
    observed::{Observed, ended},
    obstacles::{Kind, Obstacle},
    plan::Wanted,
    status::types,
    turns::Turn,
};

/// An amount of a running engine that should be another.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    /// `limits` or `requests`.
    pub list: &'static str,
    /// `cpu` or `memory`.
    pub name: &'static str,
    /// How much there should be.
    pub wanted: Amount,
}

/// The amounts of the running engine that are not what they should be. One that the pod does not have cannot be added while
/// it runs. Where the pool's template has changed, only those that the unit itself gives are compared.
#[must_use]
pub fn resizes(observed: &Observed, children: &Children) -> Vec<Resize> {
    let Some(pod) = observed.pod.owned().filter(|pod| !ended(pod)) else { return vec![] };
    let asked = observed.unit.spec.resources.clone().unwrap_or_default();
    let untouched = noted(pod, TEMPLATE_HASH).is_some_and(|made| noted(&children.pod, TEMPLATE_HASH) == Some(made));
    let (Some(has), Some(should)) = (engine_of(pod, children), engine(children)) else { return vec![] };
    let (Some(has), Some(should)) = (&has.resources, &should.resources) else { return vec![] };
    let mut all = vec![];
    for name in AMOUNTS {
        let limited = asked.limits.contains_key(name);
        for (list, given) in [("limits", limited), ("requests", limited || asked.requests.contains_key(name))] {
            let pair = amount(has, list, name).zip(amount(should, list, name));
            if let Some((has, wanted)) = pair
                && (untouched || given)
                && !same(has, wanted)
            {
                all.push(Resize { list, name, wanted: wanted.clone() });
            }
        }
    }
    all
}

/// An amount of a container; a request that is absent is the limit.
#[must_use]
pub fn amount<'a>(resources: &'a ResourceRequirements, list: &str, name: &str) -> Option<&'a Amount> {
    let limit = || resources.limits.as_ref()?.get(name);
    if list == "limits" {
        return limit();
    }
    resources.requests.as_ref().and_then(|requests| requests.get(name)).or_else(limit)
}

/// Whether two amounts are the same, however they are written.
#[must_use]
pub fn same(a: &Amount, b: &Amount) -> bool {
    let value = |amount: &Amount| Quantity(amount.0.clone()).value();
    match (value(a), value(b)) {
        (Some(a), Some(b)) => (a - b).abs() <= f64::EPSILON * 4.0 * a.abs().max(b.abs()),
        _ => a == b,
    }
}

/// The engine as it should be.
#[must_use]
pub fn engine(children: &Children) -> Option<&Container> {
    children.pod.spec.as_ref()?.containers.first()
}

/// The engine of a pod, which others may have given a container before it.
#[must_use]
pub fn engine_of<'a>(pod: &'a Pod, children: &Children) -> Option<&'a Container> {
    let name = &engine(children)?.name;
    pod.spec.as_ref()?.containers.iter().find(|container| container.name == *name)
}

/// Something that the pod as it runs cannot take up.
#[derive(Clone, Debug, PartialEq)]
pub enum Pending<'a> {
    /// It was made from another template.
    Template,
    /// Its CPU and memory cannot be changed: why.
    Resize(&'a Obstacle),
}

fn noted<'a>(pod: &'a Pod, key: &str) -> Option<&'a String> {
    pod.annotations().get(key)
}

/// What waits for another pod, if anything does.
#[must_use]
pub fn pending<'a>(observed: &'a Observed, children: &Children) -> Option<Pending<'a>> {
    let pod = observed.pod.owned()?;
    if let (Some(made), Some(wanted)) = (noted(pod, TEMPLATE_HASH), noted(&children.pod, TEMPLATE_HASH))
        && outdated(made, wanted)
    {
        return Some(Pending::Template);
    }
    // Who is told other amounts by the API server than he asked for is not helped by another pod.
    let asked_for_others = noted(pod, TEMPLATE_AMOUNTS) != noted(&children.pod, TEMPLATE_AMOUNTS);
    let refused = observed
        .obstacles
        .all
        .iter()
        .find(|obstacle| obstacle.kind == Kind::Resize && obstacle.rejection.reason == REFUSED)?;
    (asked_for_others && !resizes(observed, children).is_empty()).then_some(Pending::Resize(refused))
}

/// Reason: the cluster does not change pods that run, or not so.
pub const REFUSED: &str = "ResizeRefused";
/// Reason: the node will never have as much.
pub const INFEASIBLE: &str = "Infeasible";

/// Whether the unit's pod is to be made anew as soon as it is its [turn](crate::turns).
#[must_use]
pub fn due(observed: &Observed, wanted: &Wanted) -> bool {
    let Ok(children) = wanted else { return false };
    !observed.deleting()
        && !observed.suspended()
        // What has become of the pod by itself comes first.
        && life(observed) == Life::Runs
        && observed.unit.spec.update_strategy == UpdateStrategy::Recreate
        && pending(observed, children).is_some()
}

/// Whether the unit's pod is being made anew: the only reason beside a suspension for which a pod is deleted.
#[must_use]
pub fn replacing(observed: &Observed, wanted: &Wanted) -> bool {
    observed.turn == Turn::Now && due(observed, wanted)
}

/// Whether the unit need not ask for a turn: it was edited itself, which concerns nobody else; it has not been reachable
/// with its pod yet, so that nothing is lost; or it has begun already.
#[must_use]
pub fn own_turn(observed: &Observed) -> bool {
    let Some(status) = &observed.unit.status else { return true };
    status.observed_generation != observed.unit.metadata.generation
        || status.stages.reachable.is_none()
        || told(&observed.unit)
}

/// Whether the status says that the unit is being replaced.
#[must_use]
pub fn told(unit: &ComputingUnit) -> bool {
    let conditions = unit.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|said| said.type_ == types::REPLACING && said.status == "True")
}

/// Whether the unit has no pod because it is being made anew. Kept in the status, so that a restarted operator does not
/// take the pod for lost.
#[must_use]
pub fn between_pods(observed: &Observed) -> bool {
    told(&observed.unit) && observed.pod.owned().is_none() && !observed.deleting() && !observed.resting()
}

#[cfg(test)]
mod tests;
