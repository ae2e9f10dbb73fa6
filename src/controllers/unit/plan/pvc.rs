//! PersistentVolumeClaims: created before the pod; afterwards only their owner changes.
//!
//! No step deletes a PersistentVolumeClaim: it is garbage-collected with its owner, or deleted by a person.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

use super::Step;
use crate::controllers::unit::{
    blocked::Write,
    build::{Children, pvc},
    snapshot::{Child, Snapshot},
};

/// The steps for all claims. A unit at rest keeps those that it has and gets no others.
pub(super) fn steps(snapshot: &Snapshot, children: &Children, at_rest: bool) -> Vec<Step> {
    if snapshot.blocked.blocks(Write::PersistentVolumeClaim) {
        return vec![];
    }
    let uid = snapshot.uid();
    let step = |desired: &PersistentVolumeClaim| match snapshot.pvcs.get(&desired.name_any()) {
        Some(Child::Owned(current)) if !pvc::matches(current, desired, &uid) => {
            Some(Step::RepairPvc(Box::new(pvc::repaired(current, desired, &uid))))
        }
        Some(Child::Owned(_) | Child::Terminating) => None,
        Some(Child::Absent) | None if at_rest => None,
        Some(Child::Absent) | None => Some(Step::CreatePvc(Box::new(desired.clone()))),
    };
    children.pvcs.iter().filter_map(step).collect()
}

/// Whether the pod can be created: it would mount any claim of that name.
pub(super) fn all_exist(snapshot: &Snapshot, children: &Children) -> bool {
    let exists = |claim: &PersistentVolumeClaim| {
        snapshot.pvcs.get(&claim.name_any()).is_some_and(|child| child.owned().is_some())
    };
    children.pvcs.iter().all(exists)
}
