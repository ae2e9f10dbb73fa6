//! The claims of a unit: made before its pod, and from then on only given or taken their owner.
//!
//! Pure. Nothing here deletes a claim: that is left to its owner's end and to people.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

use super::Step;
use crate::{
    desired::{Children, claim},
    observed::{Child, Observed},
    obstacles::Kind,
};

/// The steps for all claims. A unit that is suspended keeps those that it has and is given no others.
pub(super) fn claims(observed: &Observed, children: &Children) -> Vec<Step> {
    if observed.obstacles.bars(Kind::Claim) {
        return vec![];
    }
    let uid = observed.unit.uid().unwrap_or_default();
    let step = |desired: &PersistentVolumeClaim| match observed.claims.get(&desired.name_any()) {
        Some(Child::Owned(seen)) if !claim::matches(seen, desired, &uid) => {
            Some(Step::RepairClaim(Box::new(claim::repaired(seen, desired, &uid))))
        }
        Some(Child::Owned(_) | Child::Leaving) => None,
        Some(Child::Absent) | None if observed.resting() => None,
        Some(Child::Absent) | None => Some(Step::CreateClaim(Box::new(desired.clone()))),
    };
    children.claims.iter().filter_map(step).collect()
}

/// Whether a pod can be made: it would mount whatever goes by the name of a claim.
pub(super) fn all_there(observed: &Observed, children: &Children) -> bool {
    let there = |claim: &PersistentVolumeClaim| {
        observed.claims.get(&claim.name_any()).is_some_and(|child| child.owned().is_some())
    };
    children.claims.iter().all(there)
}
