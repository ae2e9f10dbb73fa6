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
/// Reason: other units of the pool are made anew first.
const QUEUED: &str = "Queued";
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
        return yes(
            "PodStopping",
            "the unit or its pool was changed: the next pod is made when the previous one has ended",
        );
    }
    None
}

fn update_pending(facts: Facts<'_>) -> Option<Said> {
    let children = facts.wanted.as_ref().ok()?;
    facts.observed.pod.owned().filter(|pod| !ended(pod))?;
    if changes::due(facts.observed, facts.wanted) {
        return Some(Said::yes(
            types::UPDATE_PENDING,
            QUEUED,
            "the unit or its pool was changed since the pod was made: the pod is made anew when it is its turn, for the \
             units of a pool take turns; suspend and resume the unit to have it now",
        ));
    }
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
        said.status == "True"
            && said.observed_generation.is_none_or(|seen| pod.metadata.generation.is_none_or(|now| seen >= now))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        api::UpdateStrategy,
        desired,
        names::TEMPLATE_HASH,
        observed::{Child, Observed},
        obstacles::Obstacle,
        plan::Wanted,
        testing,
        turns::Turn,
        validate::Rejection,
    };

    /// A unit with 2 CPUs, whose pod says `spec` of them, and of which its node says the rest.
    fn running(spec: &str, given: &str, conditions: Value) -> (Observed, Wanted) {
        let mut unit = testing::accepted(testing::query_routing());
        Arc::make_mut(&mut unit.object).spec.resources =
            serde_json::from_value(json!({"limits": {"cpu": "2"}})).unwrap();
        let children = desired::children(&unit);
        let mut pod = children.pod.clone();
        pod.metadata.generation = Some(3);
        let engine = &mut pod.spec.as_mut().unwrap().containers[0];
        engine.resources.as_mut().unwrap().limits = Some([("cpu".to_owned(), Quantity(spec.to_owned()))].into());
        let status = json!({"phase": "Running", "conditions": conditions, "containerStatuses": [{
            "name": "engine", "image": "", "imageID": "", "ready": true, "restartCount": 0,
            "resources": {"limits": {"cpu": given}},
        }]});
        pod.status = serde_json::from_value(status).unwrap();
        let mut observed = testing::observed("2026-01-01T01:00:00Z");
        (observed.unit, observed.pod) = (unit.object, Child::Owned(Arc::new(pod)));
        (observed, Ok(children))
    }

    fn said((observed, wanted): &(Observed, Wanted)) -> Vec<(&'static str, String, String)> {
        let facts = Facts { observed, wanted, probe: None };
        conditions(facts).map(|said| (said.type_, said.reason, said.message)).collect()
    }

    fn reasons(of: &(Observed, Wanted)) -> Vec<(&'static str, String)> {
        said(of).into_iter().map(|(type_, reason, _)| (type_, reason)).collect()
    }

    #[test]
    #[allow(clippy::large_stack_arrays, reason = "a table of situations")]
    fn a_resize_is_said_in_the_words_of_its_node() {
        let waits = |reason: &str, generation: i64| {
            json!([{"type": "PodResizePending", "status": "True", "reason": reason, "message": "no room",
                    "observedGeneration": generation}])
        };
        let works = |message: &str| json!([{"type": "PodResizeInProgress", "status": "True", "message": message}]);
        for (of, wanted) in [
            (running("2", "2", json!([])), None),
            (running("2", "2000m", json!([])), None),
            (running("2", "1", json!([])), Some("Proposed")),
            (running("2", "1", waits("Deferred", 3)), Some("Deferred")),
            (running("2", "1", waits("Infeasible", 3)), Some("Infeasible")),
            (running("2", "1", waits("Infeasible", 2)), Some("Proposed")),
            (running("2", "1", works("")), Some("InProgress")),
            // It has not been asked for yet.
            (running("1", "1", json!([])), None),
        ] {
            let wanted = wanted.map(|reason| (types::RESIZE_PENDING, reason.to_owned()));
            assert_eq!(reasons(&of), Vec::from_iter(wanted));
        }
        assert_eq!(said(&running("2", "1", waits("Deferred", 3)))[0].2, "no room");
        assert_eq!(said(&running("2", "1", works("below its use")))[0].2, "below its use");
    }

    #[test]
    fn what_the_cluster_refuses_is_not_said_to_be_under_way() {
        let refused = |reason| {
            let (mut observed, wanted) = running("1", "1", json!([]));
            if let Child::Owned(pod) = &mut observed.pod {
                Arc::make_mut(pod).metadata.annotations.as_mut().unwrap().remove(crate::names::TEMPLATE_AMOUNTS);
            }
            let rejection = Rejection::new(reason, "words");
            observed.obstacles.all.push(Obstacle { kind: Kind::Resize, rejection, refuses_unit: false });
            (observed, wanted)
        };
        assert_eq!(reasons(&refused(changes::REFUSED)), [(types::UPDATE_PENDING, changes::REFUSED.to_owned())]);
        assert_eq!(reasons(&refused(INFEASIBLE)), [(types::RESIZE_PENDING, INFEASIBLE.to_owned())]);
    }

    #[test]
    fn a_pod_of_another_template_waits_or_is_replaced() {
        let (mut observed, wanted) = running("2", "2", json!([]));
        if let Child::Owned(pod) = &mut observed.pod {
            let notes = Arc::make_mut(pod).metadata.annotations.as_mut().unwrap();
            notes.insert(TEMPLATE_HASH.to_owned(), "v2-another".to_owned());
        }
        assert_eq!(
            reasons(&(observed.clone(), wanted.clone())),
            [(types::UPDATE_PENDING, "TemplateChanged".to_owned())]
        );
        Arc::make_mut(&mut observed.unit).spec.update_strategy = UpdateStrategy::Recreate;
        observed.turn = Turn::Later;
        assert_eq!(reasons(&(observed.clone(), wanted.clone())), [(types::UPDATE_PENDING, QUEUED.to_owned())]);
        observed.turn = Turn::Now;
        assert_eq!(reasons(&(observed.clone(), wanted.clone())), [(types::REPLACING, "RouteClosing".to_owned())]);
        // Said until the next pod is there.
        let unit = Arc::make_mut(&mut observed.unit);
        let condition = json!({"type": "Replacing", "status": "True", "reason": "", "message": "",
                               "lastTransitionTime": "2026-01-01T00:00:00Z"});
        unit.status = serde_json::from_value(json!({"conditions": [condition]})).unwrap();
        for child in [Child::Leaving, Child::Absent] {
            observed.pod = child;
            assert_eq!(reasons(&(observed.clone(), wanted.clone())), [(types::REPLACING, "PodStopping".to_owned())]);
        }
        assert_eq!(reasons(&running("2", "2", json!([]))), []);
    }
}
