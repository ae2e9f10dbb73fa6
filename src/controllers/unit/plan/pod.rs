//! The pod of a unit that runs: created when its volumes exist, repaired, resized, and deleted after its end is recorded.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::{Step, pvc};
use crate::controllers::unit::{
    assess::{
        Assessment,
        state::UnitState,
        update::{self, Replacement},
    },
    blocked::Write,
    build::{Children, Wanted},
    snapshot::{Child, Snapshot},
};

pub(super) fn step(snapshot: &Snapshot, children: &Children, assessment: &Assessment) -> Option<Step> {
    match &snapshot.pod {
        _ if snapshot.blocked.blocks(Write::Pod) => None,
        Child::Owned(current) if assessment.state == UnitState::PodTerminated => {
            Some(Step::DeletePod { pod: Box::new(current.as_ref().clone()), overdue: false })
        }
        _ if assessment.state != UnitState::Running => None,
        Child::Absent => pvc::all_exist(snapshot, children).then(|| Step::CreatePod(Box::new(children.pod.clone()))),
        Child::Owned(current) => match assessment.drifts.pod.repair() {
            Some(pod) => Some(Step::RepairPod(Box::new(pod.clone()))),
            None => resize(snapshot, current, children, assessment),
        },
        Child::Terminating => None,
    }
}

/// The dry run of the pod that is to replace the running one.
pub(super) fn dry_run(snapshot: &Snapshot, wanted: &Wanted, assessment: &Assessment) -> Option<Step> {
    let next = &wanted.as_ref().ok()?.pod;
    let due = assessment.update.replacement == Replacement::DryRun;
    let current = snapshot.pod.owned().filter(|_| due)?;
    Some(Step::DryRunPod { current: Box::new(current.clone()), next: Box::new(next.clone()) })
}

/// The list of the Events of a pod that is not set up in time.
pub(super) fn events(snapshot: &Snapshot, assessment: &Assessment) -> Option<Step> {
    let pod = snapshot.pod.owned().filter(|_| assessment.pod_events_in == Some(Duration::ZERO))?;
    Some(Step::ListPodEvents(Box::new(pod.clone())))
}

fn resize(snapshot: &Snapshot, current: &Pod, children: &Children, assessment: &Assessment) -> Option<Step> {
    let resizes = assessment.update.resizes.clone();
    let blocked = assessment.update.blocked_resize.is_some() && snapshot.blocked.blocks(Write::Resize);
    if resizes.is_empty() || blocked {
        return None;
    }
    let container = update::running_container(current, children)?;
    let (sent, stored) = (update::resized(container, &resizes), json!(container.resources));
    if snapshot.admissions.repeats(Write::Resize, &sent, &stored) {
        return None;
    }
    let container = container.name.clone();
    Some(Step::ResizePod { pod: Box::new(current.clone()), container, resizes })
}
