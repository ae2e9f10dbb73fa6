//! The pod of a unit that runs: created when its volumes exist, repaired, resized, and deleted after its end is recorded.

use k8s_openapi::api::core::v1::Pod;

use super::{Step, pvc};
use crate::controllers::unit::{
    assess::{Assessment, state::UnitState, update},
    blocked::Write,
    build::{Children, drift},
    snapshot::{Child, Snapshot},
};

pub(super) fn step(snapshot: &Snapshot, children: &Children, assessment: &Assessment) -> Option<Step> {
    match &snapshot.pod {
        Child::Owned(current) if assessment.state == UnitState::PodTerminated => {
            Some(Step::DeletePod { pod: Box::new(current.as_ref().clone()), overdue: false })
        }
        _ if snapshot.blocked.blocks(Write::Pod) || assessment.state != UnitState::Running => None,
        Child::Absent => pvc::all_exist(snapshot, children).then(|| Step::CreatePod(Box::new(children.pod.clone()))),
        Child::Owned(current) if !drift::metadata_matches(current.as_ref(), &children.pod) => {
            Some(Step::RepairPod(Box::new(drift::repaired(current.as_ref(), children.pod.clone()))))
        }
        Child::Owned(current) => resize(snapshot, current, children, assessment),
        Child::Terminating => None,
    }
}

fn resize(snapshot: &Snapshot, current: &Pod, children: &Children, assessment: &Assessment) -> Option<Step> {
    let resizes = assessment.update.resizes.clone();
    if resizes.is_empty() || snapshot.blocked.blocks(Write::Resize) {
        return None;
    }
    let container = update::unit_container(children)?.name.clone();
    Some(Step::ResizePod { pod: Box::new(current.clone()), container, resizes })
}
