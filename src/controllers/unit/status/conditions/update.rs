//! The conditions `UpdatePending`, `Replacing` and `ResizePending`.

use computing_unit_api::{ConditionType, Reason};
use k8s_openapi::api::core::v1::{Pod, PodCondition, ResourceRequirements};

use super::super::Facts;
use crate::controllers::{
    condition::{Draft, ReasonText},
    unit::{
        assess::update::{Pending, Replacement, amount, running_container, same},
        build::{Children, pod::AMOUNTS},
        pod,
    },
};

/// Those of the three conditions that apply.
pub(super) fn conditions(facts: Facts<'_>) -> impl Iterator<Item = Draft> {
    let replacing = replacing(facts);
    let pending = if replacing.is_some() { None } else { update_pending(facts) };
    [pending, replacing, resize_pending(facts)].into_iter().flatten()
}

/// The condition `Replacing`.
pub(super) fn replacing(facts: Facts<'_>) -> Option<Draft> {
    let yes = |reason, message| Some(Draft::yes(ConditionType::Replacing, reason, message));
    if facts.assessment.replacing() {
        return yes(
            Reason::RouteClosing,
            "the unit or its pool changed: the route is being withdrawn; the pod is recreated afterwards",
        );
    }
    if facts.assessment.update.between_pods {
        return yes(
            Reason::PodStopping,
            "the unit or its pool changed: the next pod is created when the previous one has terminated",
        );
    }
    None
}

/// The condition `UpdatePending`.
fn update_pending(facts: Facts<'_>) -> Option<Draft> {
    let type_ = ConditionType::UpdatePending;
    facts.wanted.as_ref().ok()?;
    facts.snapshot.pod.owned().filter(|pod| !pod::terminated(pod))?;
    if let Some(blocked) = facts.assessment.update.blocked_replacement.as_ref() {
        return Some(Draft::yes(type_, blocked.reason, &blocked.message));
    }
    if facts.assessment.update.replacement == Replacement::Queued {
        return Some(Draft::yes(
            type_,
            Reason::Queued,
            "the unit or its pool changed after the pod was created: the pod is recreated when a rollout slot of the pool \
             is free; to recreate it now, suspend and resume the unit",
        ));
    }
    Some(match facts.assessment.update.pending.as_ref()? {
        Pending::Template => Draft::yes(
            type_,
            Reason::TemplateChanged,
            "the unit or its pool changed after the pod was created: the change takes effect at the next start",
        ),
        Pending::Resize(refused) => Draft::yes(
            type_,
            refused.reason,
            format!(
                "the resources of the running pod cannot be changed ({}): the change takes effect at the next start",
                refused.message
            ),
        ),
    })
}

/// The condition `ResizePending`: how far the node is with a resize.
fn resize_pending(facts: Facts<'_>) -> Option<Draft> {
    let type_ = ConditionType::ResizePending;
    let children = facts.wanted.as_ref().ok()?;
    let current = facts.snapshot.pod.owned().filter(|pod| !pod::terminated(pod))?;
    if !facts.assessment.update.resizes.is_empty() {
        let blocked = facts
            .assessment
            .update
            .blocked_resize
            .as_ref()
            .filter(|blocked| blocked.reason != Reason::ResizeRefused)?;
        return Some(Draft::yes(type_, blocked.reason, &blocked.message));
    }
    // A condition of an earlier resize says nothing about this one.
    let is_current = |condition: &&PodCondition| {
        condition.status == "True"
            && condition
                .observed_generation
                .is_none_or(|seen| current.metadata.generation.is_none_or(|now| seen >= now))
    };
    let reported = |condition: &PodCondition, default: Reason, silence: &str| {
        let reason = condition.reason.as_deref().filter(|reason| !reason.is_empty());
        let reason = reason.map_or(default.into(), |reason| {
            Reason::parse(reason).map_or_else(|| ReasonText::Reported(reason.to_owned()), ReasonText::Own)
        });
        let message = condition.message.clone().filter(|message| !message.is_empty());
        Some(Draft::yes(type_, reason, message.unwrap_or_else(|| silence.to_owned())))
    };
    if let Some(condition) = pod::condition(current, "PodResizePending").filter(is_current) {
        return reported(condition, Reason::Deferred, "the node does not report why the resize is pending");
    }
    if let Some(condition) = pod::condition(current, "PodResizeInProgress").filter(is_current) {
        return reported(condition, Reason::InProgress, "the node is changing the resources of the running pod");
    }
    (!resized(current, children)).then(|| {
        Draft::yes(type_, Reason::Proposed, "the resize of the pod was requested; its node has not responded yet")
    })
}

/// Whether the running container has the amounts of its spec, as far as the node reports them.
fn resized(pod: &Pod, children: &Children) -> bool {
    let Some(container) = running_container(pod, children) else { return true };
    let all = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let actual =
        all.into_iter().find(|status| status.name == container.name).and_then(|status| status.resources.as_ref());
    let none = ResourceRequirements::default();
    let wanted = container.resources.as_ref().unwrap_or(&none);
    let Some(actual) = actual else { return true };
    AMOUNTS.iter().all(|name| {
        ["limits", "requests"].iter().all(|list| match (amount(actual, list, name), amount(wanted, list, name)) {
            (Some(actual), Some(wanted)) => same(actual, wanted),
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
        controllers::unit::{
            assess::{assess, attempt},
            blocked::{BlockedWrite, Fault, Write},
            build::{self, Wanted},
            rollout::Slot,
            snapshot::{Child, Snapshot},
        },
        testing,
    };
    use computing_unit_api::{UpdateStrategy, names::TEMPLATE_HASH};

    /// A unit with 2 CPUs, whose pod spec has `spec` of them, and whose node reports the rest.
    fn running(spec: &str, given: &str, conditions: Value) -> (Snapshot, Wanted) {
        let mut unit = testing::accepted(testing::query_routing());
        Arc::make_mut(&mut unit.object).spec.resources =
            serde_json::from_value(json!({"limits": {"cpu": "2"}})).unwrap();
        let children = build::children(&unit);
        let mut pod = children.pod.clone();
        pod.metadata.generation = Some(3);
        let engine = &mut pod.spec.as_mut().unwrap().containers[0];
        engine.resources.as_mut().unwrap().limits = Some([("cpu".to_owned(), Quantity(spec.to_owned()))].into());
        let status = json!({"phase": "Running", "conditions": conditions, "containerStatuses": [{
            "name": "engine", "image": "", "imageID": "", "ready": true, "restartCount": 0,
            "resources": {"limits": {"cpu": given}},
        }]});
        pod.status = serde_json::from_value(status).unwrap();
        let mut snapshot = testing::snapshot("2026-01-01T01:00:00Z");
        (snapshot.unit, snapshot.pod) = (unit.object, Child::Owned(Arc::new(pod)));
        (snapshot, Ok(children))
    }

    fn drafts((snapshot, wanted): &(Snapshot, Wanted)) -> Vec<Draft> {
        let assessment = assess(snapshot, wanted);
        conditions(Facts { snapshot, wanted, assessment: &assessment }).collect()
    }

    fn reasons(of: &(Snapshot, Wanted)) -> Vec<(ConditionType, Reason)> {
        let own = |draft: &Draft| Reason::parse(draft.reason.as_str()).unwrap();
        drafts(of).iter().map(|draft| (draft.type_, own(draft))).collect()
    }

    #[test]
    #[allow(clippy::large_stack_arrays, reason = "a table of situations")]
    fn resize_is_reported_as_its_node_reports_it() {
        let waits = |reason: &str, generation: i64| {
            json!([{"type": "PodResizePending", "status": "True", "reason": reason, "message": "no room",
                    "observedGeneration": generation}])
        };
        let works = |message: &str| json!([{"type": "PodResizeInProgress", "status": "True", "message": message}]);
        for (of, wanted) in [
            (running("2", "2", json!([])), None),
            (running("2", "2000m", json!([])), None),
            (running("2", "1", json!([])), Some(Reason::Proposed)),
            (running("2", "1", waits("Deferred", 3)), Some(Reason::Deferred)),
            (running("2", "1", waits("Infeasible", 3)), Some(Reason::Infeasible)),
            (running("2", "1", waits("Infeasible", 2)), Some(Reason::Proposed)),
            (running("2", "1", works("")), Some(Reason::InProgress)),
            // It has not been asked for yet.
            (running("1", "1", json!([])), None),
        ] {
            let wanted = wanted.map(|reason| (ConditionType::ResizePending, reason));
            assert_eq!(reasons(&of), Vec::from_iter(wanted));
        }
        assert_eq!(drafts(&running("2", "1", waits("Deferred", 3)))[0].message, "no room");
        assert_eq!(drafts(&running("2", "1", works("below its use")))[0].message, "below its use");
    }

    #[test]
    fn refused_resize_is_not_reported_as_in_progress() {
        let refused = |reason| {
            let (mut snapshot, wanted) = running("1", "1", json!([]));
            if let Child::Owned(pod) = &mut snapshot.pod {
                Arc::make_mut(pod)
                    .metadata
                    .annotations
                    .as_mut()
                    .unwrap()
                    .remove(computing_unit_api::names::TEMPLATE_AMOUNTS);
            }
            let resizes = assess(&snapshot, &wanted).update.resizes;
            let attempt = Some(attempt::resize(snapshot.pod.owned().unwrap(), &resizes));
            let (write, message) = (Write::Resize, "no".to_owned());
            snapshot.blocked.all.push(BlockedWrite { write, reason, message, fault: Fault::Cluster, attempt });
            (snapshot, wanted)
        };
        assert_eq!(reasons(&refused(Reason::ResizeRefused)), [(ConditionType::UpdatePending, Reason::ResizeRefused)]);
        assert_eq!(reasons(&refused(Reason::Infeasible)), [(ConditionType::ResizePending, Reason::Infeasible)]);
    }

    #[test]
    fn outdated_pod_is_pending_queued_or_replaced() {
        let (mut snapshot, wanted) = running("2", "2", json!([]));
        if let Child::Owned(pod) = &mut snapshot.pod {
            let notes = Arc::make_mut(pod).metadata.annotations.as_mut().unwrap();
            notes.insert(TEMPLATE_HASH.to_owned(), "v2-another".to_owned());
        }
        assert_eq!(
            reasons(&(snapshot.clone(), wanted.clone())),
            [(ConditionType::UpdatePending, Reason::TemplateChanged)]
        );
        let unit = Arc::make_mut(&mut snapshot.unit);
        unit.spec.update_strategy = UpdateStrategy::Recreate;
        let reachable = json!({"observedGeneration": 1, "stages": {"reachable": "2026-01-01T00:00:00Z"}});
        unit.status = serde_json::from_value(reachable).unwrap();
        snapshot.slot = Slot::Queued { free: false };
        assert_eq!(reasons(&(snapshot.clone(), wanted.clone())), [(ConditionType::UpdatePending, Reason::Queued)]);
        snapshot.slot = Slot::Granted;
        let passed = attempt::replacement(snapshot.pod.owned().unwrap(), &wanted.as_ref().unwrap().pod);
        snapshot.passed_dry_run = Some(passed);
        assert_eq!(reasons(&(snapshot.clone(), wanted.clone())), [(ConditionType::Replacing, Reason::RouteClosing)]);
        // Reported until the next pod exists.
        let unit = Arc::make_mut(&mut snapshot.unit);
        let condition = json!({"type": "Replacing", "status": "True", "reason": "", "message": "",
                               "lastTransitionTime": "2026-01-01T00:00:00Z"});
        unit.status = serde_json::from_value(json!({"conditions": [condition]})).unwrap();
        for child in [Child::Terminating, Child::Absent] {
            snapshot.pod = child;
            assert_eq!(reasons(&(snapshot.clone(), wanted.clone())), [(ConditionType::Replacing, Reason::PodStopping)]);
        }
        assert_eq!(reasons(&running("2", "2", json!([]))), []);
    }
}
