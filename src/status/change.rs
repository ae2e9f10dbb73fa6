//! What is said of a change that the running pod has not taken up, or not yet.

use k8s_openapi::api::core::v1::{Pod, PodCondition, ResourceRequirements};

use super::{
    Facts,
    conditions::{Said, obstacle},
    pod, types,
};
use crate::{
    changes::{self, INFEASIBLE, Pending, amount, same},
    desired::{Children, pod::AMOUNTS},
    observed::ended,
    obstacles::Kind,
};

/// Reason: a node cannot give as much now.
pub const DEFERRED: &str = "Deferred";
/// Reason: the kubelet has tried and failed.
pub const ERROR: &str = "Error";

/// The conditions `UpdatePending`, `Replacing` and `ResizePending`, where they have anything to say.
pub fn conditions(facts: Facts<'_>) -> impl Iterator<Item = Said> {
    let replacing = replacing(facts);
    let pending = if replacing.is_some() { None } else { update_pending(facts) };
    [pending, replacing, resize_pending(facts)].into_iter().flatten()
}

/// Whether the pod is being made anew, as the unit asks for when it is changed.
pub fn replacing(facts: Facts<'_>) -> Option<Said> {
    let yes = |reason, message| Some(Said::yes(types::REPLACING, reason, message));
    if changes::replacing(facts.observed, facts.wanted) {
        return yes("RouteClosing", "the unit or its pool was changed: the route is closed, then the pod is made anew");
    }
    if changes::between_pods(facts.observed) {
        return yes("PodStopping", "the unit or its pool was changed: the next pod is made when the previous one has ended");
    }
    None
}

fn update_pending(facts: Facts<'_>) -> Option<Said> {
    let children = facts.wanted.as_ref().ok()?;
    facts.observed.pod.owned().filter(|pod| !ended(pod))?;
    Some(match changes::pending(facts.observed, children)? {
        Pending::Template => Said::yes(
            types::UPDATE_PENDING,
            "TemplateChanged",
            "the unit or its pool was changed since the pod was made: the change takes effect when the unit is next \
             started",
        ),
        Pending::Resize(refused) => Said::yes(
            types::UPDATE_PENDING,
            refused.rejection.reason,
            format!(
                "CPU and memory of the running pod cannot be changed ({}): the change takes effect when the unit is \
                 next started",
                refused.rejection.message
            ),
        ),
    })
}

/// What the node says of a change of CPU and memory, as long as it is not done.
fn resize_pending(facts: Facts<'_>) -> Option<Said> {
    let observed = facts.observed;
    let children = facts.wanted.as_ref().ok()?;
    let pod = observed.pod.owned().filter(|pod| !ended(pod))?;
    let yes = |reason: &str, message: String| Some(Said::yes(types::RESIZE_PENDING, reason, message));
    if !changes::resizes(observed, children).is_empty() {
        let never = |obstacle: &_| is_infeasible(obstacle);
        let refused = obstacle(observed, never)?;
        return yes(INFEASIBLE, refused.rejection.message.clone());
    }
    // What was said of an earlier change is not said of this one.
    let of_now = |said: &&PodCondition| {
        said.status == "True" && said.observed_generation.is_none_or(|seen| pod.metadata.generation.is_none_or(|now| seen >= now))
    };
    let words = |said: &PodCondition, reason: &str, silence: &str| {
        let reason = said.reason.as_deref().filter(|reason| !reason.is_empty()).unwrap_or(reason).to_owned();
        (reason, said.message.clone().filter(|words| !words.is_empty()).unwrap_or_else(|| silence.to_owned()))
    };
    if let Some(said) = pod::named(pod, "PodResizePending").filter(of_now) {
        let (reason, message) = words(said, DEFERRED, "the node does not say why it waits");
        return yes(&reason, message);
    }
    if let Some(said) = pod::named(pod, "PodResizeInProgress").filter(of_now) {
        let (reason, message) = words(said, "InProgress", "the node is changing CPU and memory of the running pod");
        return yes(&reason, message);
    }
    (!done(pod, children)).then(|| {
        let message = "CPU and memory of the pod are to be changed; its node has not said anything yet";
        Said::yes(types::RESIZE_PENDING, "Proposed", message)
    })
}

fn is_infeasible(obstacle: &crate::obstacles::Obstacle) -> bool {
    obstacle.kind == Kind::Resize && obstacle.rejection.reason == INFEASIBLE
}

/// Whether the engine has what its pod says, as far as the node tells.
fn done(pod: &Pod, children: &Children) -> bool {
    let Some(asked) = changes::engine_of(pod, children) else { return true };
    let all = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let given = all.into_iter().find(|status| status.name == asked.name).and_then(|status| status.resources.as_ref());
    let none = ResourceRequirements::default();
    let asked = asked.resources.as_ref().unwrap_or(&none);
    let Some(given) = given else { return true };
    AMOUNTS.iter().all(|name| {
        ["limits", "requests"].iter().all(|list| match (amount(given, list, name), amount(asked, list, name)) {
            (Some(given), Some(asked)) => same(given, asked),
            _ => true,
        })
    })
}
