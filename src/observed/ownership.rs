//! Whose an object of a child's name is.
//!
//! Pure. What is somebody else's is never touched, and what is an earlier unit's is waited for.

use std::sync::Arc;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{Resource, ResourceExt};

use super::Child;
use crate::{api::ComputingUnit, names::labels};

/// Whose a claim is. One that was kept has no owner: it is told by its labels.
#[must_use]
pub fn whose_claim(unit: &ComputingUnit, claim: Arc<PersistentVolumeClaim>) -> Option<Child<PersistentVolumeClaim>> {
    let label = |key: &str| claim.labels().get(key).map(String::as_str);
    let labelled =
        label(labels::UNIT) == Some(&*unit.name_any()) && label(labels::MANAGED_BY) == Some(labels::OPERATOR);
    let controlled = claim.owner_references().iter().any(|owner| owner.controller == Some(true));
    let going = claim.metadata.deletion_timestamp.is_some();
    if labelled && !controlled && !going { Some(Child::Owned(claim)) } else { whose(unit, claim) }
}

/// Whose an object of a child's name is: the unit's, an earlier unit's that is about to be collected, or somebody
/// else's, which is `None`.
#[must_use]
pub fn whose<K: Resource>(unit: &ComputingUnit, object: Arc<K>) -> Option<Child<K>> {
    let controller = object.owner_references().iter().find(|owner| owner.controller == Some(true));
    let own = controller.is_some_and(|owner| Some(&owner.uid) == unit.metadata.uid.as_ref());
    let earlier = controller
        .is_some_and(|owner| owner.kind == ComputingUnit::kind(&()) && owner.name == unit.name_any() && !own)
        && object.labels().get(labels::UNIT) == Some(&unit.name_any());
    match (own, object.meta().deletion_timestamp.is_some()) {
        (true, false) => Some(Child::Owned(object)),
        (_, true) => Some(Child::Leaving),
        (false, false) if earlier => Some(Child::Leaving),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Service;

    use super::*;
    use crate::{names::owner_reference, testing};

    /// An object of the unit's name, labelled as its child, with that owner.
    fn object<K: Resource + Default>(owner: Option<(&str, &str)>) -> K {
        let mut object = K::default();
        let meta = object.meta_mut();
        meta.name = Some("ada".into());
        meta.labels = testing::children().pod.metadata.labels;
        meta.owner_references = owner.map(|(name, uid)| {
            let mut unit = testing::unit(name, None, "2026-01-01T00:00:00Z");
            unit.metadata.uid = Some(uid.into());
            vec![owner_reference(&unit)]
        });
        object
    }

    fn going<K: Resource>(mut object: K) -> K {
        object.meta_mut().deletion_timestamp = Some(testing::time("2026-01-01T00:00:00Z"));
        object
    }

    fn word<K>(child: Option<Child<K>>) -> &'static str {
        match child {
            Some(Child::Owned(_)) => "own",
            Some(Child::Leaving) => "leaving",
            Some(Child::Absent) => "absent",
            None => "another's",
        }
    }

    #[test]
    fn a_child_is_told_by_the_uid_of_its_owner() {
        let unit = testing::unit("ada", Some(42), "2026-01-01T00:00:00Z");
        let unlabelled = |mut service: Service| {
            service.metadata.labels = None;
            service
        };
        let shared = |mut service: Service| {
            service.metadata.owner_references.as_mut().unwrap()[0].controller = None;
            service
        };
        for (object, expected) in [
            (object(Some(("ada", "ada-uid"))), "own"),
            (unlabelled(object(Some(("ada", "ada-uid")))), "own"),
            (going(object(Some(("ada", "ada-uid")))), "leaving"),
            // Made for an earlier unit of the name, and about to be collected.
            (object(Some(("ada", "earlier"))), "leaving"),
            (unlabelled(object(Some(("ada", "earlier")))), "another's"),
            (object(Some(("bob", "bob-uid"))), "another's"),
            (shared(object(Some(("ada", "ada-uid")))), "another's"),
            (object(None), "another's"),
            (going(object(None)), "leaving"),
        ] {
            assert_eq!(word(whose(&unit, Arc::new(object.clone()))), expected, "{:?}", object.metadata);
        }
    }

    #[test]
    fn a_claim_without_an_owner_is_told_by_its_labels() {
        let unit = testing::unit("ada", Some(42), "2026-01-01T00:00:00Z");
        let of = |label: &str, value: &str| {
            let mut claim: PersistentVolumeClaim = object(None);
            claim.metadata.labels.get_or_insert_default().insert(label.into(), value.into());
            claim
        };
        for (claim, expected) in [
            (object(None), "own"),
            (going(object(None)), "leaving"),
            (object(Some(("ada", "ada-uid"))), "own"),
            (object(Some(("ada", "earlier"))), "leaving"),
            (of(labels::UNIT, "bob"), "another's"),
            (of(labels::MANAGED_BY, "helm"), "another's"),
        ] {
            assert_eq!(word(whose_claim(&unit, Arc::new(claim.clone()))), expected, "{:?}", claim.metadata);
        }
    }
}
