//! Changes since the pod was created: what can be resized in place, and what needs another pod, now or at the next start.
//!
//! Pure. A pod created by a release with another hash version does not count as outdated.

use computing_unit_api::{
    ComputingUnit, ConditionType, Conditions, Reason, UpdateStrategy,
    names::{TEMPLATE_AMOUNTS, TEMPLATE_HASH},
};
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::ResourceExt;
use serde_json::{Value, json};

pub use super::amounts::{amount, running_container, same, unit_container};
use super::{
    admitted_amounts,
    attempt::{self, Resize},
    state::UnitState,
};
use crate::controllers::unit::{
    blocked::{BlockedWrite, Write},
    build::{
        Children, Wanted,
        pod::{AMOUNTS, outdated},
    },
    pod::terminated,
    rollout::Slot,
    snapshot::Snapshot,
};

/// How a change reaches the pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// Resources to be changed in the running pod.
    pub resizes: Vec<Resize>,
    /// The resize that the API server rejected for exactly these amounts of this pod.
    pub blocked_resize: Option<BlockedWrite>,
    /// What the running pod cannot take up.
    pub pending: Option<Pending>,
    /// Why the API server does not admit the pod that would replace the running one.
    pub blocked_replacement: Option<BlockedWrite>,
    /// Whether the pod is replaced for it.
    pub replacement: Replacement,
    /// Whether the previous pod was deleted for replacement and the next one does not exist yet. Read off the status, so
    /// that a restarted operator does not take the pod for lost.
    pub between_pods: bool,
}

/// What the running pod cannot take up.
#[derive(Clone, Debug, PartialEq)]
pub enum Pending {
    /// A change of the template.
    Template,
    /// A resize that the cluster refused.
    Resize(BlockedWrite),
}

/// Whether the pod is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replacement {
    /// It need not be.
    #[default]
    NotDue,
    /// It is due, and other units of the pool come first.
    Queued,
    /// It is due, and a dry run has to show first that the API server admits the next pod.
    DryRun,
    /// It is due, and the API server does not admit the next pod: the running one stays.
    Refused,
    /// It is under way.
    Now,
}

/// The resources of a container with the amounts of a resize, to be compared with those of another.
pub fn resized(container: &Container, resizes: &[Resize]) -> Value {
    let mut resources = json!(container.resources);
    for Resize { list, name, wanted } in resizes {
        resources[list][name] = json!(wanted);
    }
    resources
}

/// How the changes of a unit in that state reach its pod.
pub fn update(snapshot: &Snapshot, wanted: &Wanted, state: &UnitState) -> Update {
    let Ok(children) = wanted else {
        return Update { between_pods: between_pods(snapshot, state), ..Update::default() };
    };
    let resizes = resizes(snapshot, children);
    let blocked_resize = blocked_resize(snapshot, &resizes).cloned();
    let pending = pending(snapshot, children, blocked_resize.as_ref());
    let due = *state == UnitState::Running
        && snapshot.unit.spec.update_strategy == UpdateStrategy::Recreate
        && pending.is_some();
    let attempt = snapshot.pod.owned().filter(|_| due).map(|pod| attempt::replacement(pod, &children.pod));
    let blocked = attempt.as_ref().and_then(|attempt| snapshot.blocked.in_attempt(Write::DryRun, attempt));
    let replacement = if !due {
        Replacement::NotDue
    } else if blocked.is_some() && snapshot.blocked.blocks(Write::DryRun) {
        Replacement::Refused
    } else if snapshot.slot != Slot::Granted && !needs_no_slot(snapshot) {
        Replacement::Queued
    } else if attempt.is_some() && snapshot.passed_dry_run == attempt {
        Replacement::Now
    } else {
        Replacement::DryRun
    };
    let blocked_replacement = blocked.cloned();
    let between_pods = between_pods(snapshot, state);
    Update { resizes, blocked_resize, pending, blocked_replacement, replacement, between_pods }
}

fn blocked_resize<'a>(snapshot: &'a Snapshot, resizes: &[Resize]) -> Option<&'a BlockedWrite> {
    let pod = snapshot.pod.owned().filter(|_| !resizes.is_empty())?;
    snapshot.blocked.in_attempt(Write::Resize, &attempt::resize(pod, resizes))
}

/// The amounts of the running container that differ from the wanted ones. An amount that the pod lacks cannot be added
/// while it runs. If the pool's template has changed, only amounts that the unit itself sets are compared.
fn resizes(snapshot: &Snapshot, children: &Children) -> Vec<Resize> {
    let Some(pod) = snapshot.pod.owned().filter(|pod| !terminated(pod)) else { return vec![] };
    let own = snapshot.unit.spec.resources.clone().unwrap_or_default();
    let same_template =
        annotation(pod, TEMPLATE_HASH).is_some_and(|hash| annotation(&children.pod, TEMPLATE_HASH) == Some(hash));
    let (Some(has), Some(should)) = (running_container(pod, children), unit_container(children)) else {
        return vec![];
    };
    let (Some(has), Some(should)) = (&has.resources, &should.resources) else { return vec![] };
    let mut all = vec![];
    for name in AMOUNTS {
        let limited = own.limits.contains_key(name);
        for (list, given) in [("limits", limited), ("requests", limited || own.requests.contains_key(name))] {
            let pair = amount(has, list, name).zip(amount(should, list, name));
            if let Some((has, wanted)) = pair
                && (same_template || given)
                && !same(has, wanted)
                && !admitted_amounts::sent(pod, list, name, wanted)
            {
                all.push(Resize { list, name, wanted: wanted.clone() });
            }
        }
    }
    all
}

fn annotation<'a>(pod: &'a Pod, key: &str) -> Option<&'a String> {
    pod.annotations().get(key)
}

fn pending(snapshot: &Snapshot, children: &Children, blocked: Option<&BlockedWrite>) -> Option<Pending> {
    let pod = snapshot.pod.owned()?;
    if let (Some(made), Some(wanted)) = (annotation(pod, TEMPLATE_HASH), annotation(&children.pod, TEMPLATE_HASH))
        && outdated(made, wanted)
    {
        return Some(Pending::Template);
    }
    // If the API server itself changed the amounts at creation, another pod would not help.
    let requested = annotation(pod, TEMPLATE_AMOUNTS) != annotation(&children.pod, TEMPLATE_AMOUNTS);
    let refused = blocked.filter(|blocked| blocked.reason == Reason::ResizeRefused)?;
    requested.then(|| Pending::Resize(refused.clone()))
}

/// Whether the pod may be replaced without a rollout slot: the unit itself was edited, which concerns no other unit; it
/// has not been reachable with this pod, so nothing is lost; or the replacement has begun.
fn needs_no_slot(snapshot: &Snapshot) -> bool {
    let Some(status) = &snapshot.unit.status else { return true };
    status.observed_generation != snapshot.unit.metadata.generation
        || status.stages.reachable.is_none()
        || being_replaced(&snapshot.unit)
}

/// Whether the status records that the pod is being replaced.
pub fn being_replaced(unit: &ComputingUnit) -> bool {
    unit.status.as_ref().is_some_and(|status| status.conditions.holding(ConditionType::Replacing).is_some())
}

fn between_pods(snapshot: &Snapshot, state: &UnitState) -> bool {
    let may_have_pod = !snapshot.suspended() && !state.at_rest() && *state != UnitState::Terminating;
    being_replaced(&snapshot.unit) && snapshot.pod.owned().is_none() && may_have_pod
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
