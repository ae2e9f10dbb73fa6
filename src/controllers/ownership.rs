//! Which objects belong to a unit.
//!
//! Pure. An object that belongs to somebody else is never touched; one of an earlier unit is awaited.

use std::sync::Arc;

use computing_unit_api::{
    ComputingUnit,
    names::{OWNER, labels},
};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{Resource, ResourceExt};

/// An object with the name of a child.
#[derive(Clone, Debug, Default)]
pub enum Child<K> {
    /// There is none in the cache or the overlay.
    #[default]
    Absent,
    /// The unit controls it.
    Owned(Arc<K>),
    /// The unit or an earlier unit of its name controls it, and it is being deleted.
    Terminating,
}

impl<K> Child<K> {
    /// The object, if the unit controls it and it is not being deleted.
    pub fn owned(&self) -> Option<&K> {
        match self {
            Self::Owned(object) => Some(object),
            Self::Absent | Self::Terminating => None,
        }
    }

    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// Whether a PersistentVolumeClaim belongs to the unit. A retained claim has no owner reference: it belongs to the unit of
/// its name that has the same `spec.owner` as the unit that it was created for. `None` if it belongs to somebody else.
pub fn owned_pvc(unit: &ComputingUnit, claim: Arc<PersistentVolumeClaim>) -> Option<Child<PersistentVolumeClaim>> {
    let label = |key: &str| claim.labels().get(key).map(String::as_str);
    let labelled =
        label(labels::UNIT) == Some(&*unit.name_any()) && label(labels::MANAGED_BY) == Some(labels::OPERATOR);
    let same_owner = claim.annotations().get(OWNER) == unit.spec.owner.as_ref();
    let controlled = claim.owner_references().iter().any(|owner| owner.controller == Some(true));
    let going = claim.metadata.deletion_timestamp.is_some();
    if labelled && same_owner && !controlled && !going { Some(Child::Owned(claim)) } else { owned_child(unit, claim) }
}

/// Whether an object with the name of a child belongs to the unit, or to an earlier unit and is about to be
/// garbage-collected. `None` if it belongs to somebody else.
pub fn owned_child<K: Resource>(unit: &ComputingUnit, object: Arc<K>) -> Option<Child<K>> {
    let controller = object.owner_references().iter().find(|owner| owner.controller == Some(true));
    let own = controller.is_some_and(|owner| Some(&owner.uid) == unit.metadata.uid.as_ref());
    let earlier = controller
        .is_some_and(|owner| owner.kind == ComputingUnit::kind(&()) && owner.name == unit.name_any() && !own)
        && object.labels().get(labels::UNIT) == Some(&unit.name_any());
    match (own, object.meta().deletion_timestamp.is_some()) {
        (true, false) => Some(Child::Owned(object)),
        (_, true) => Some(Child::Terminating),
        (false, false) if earlier => Some(Child::Terminating),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Service;

    use super::*;
    use crate::testing;
    use computing_unit_api::names::owner_reference;

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
            Some(Child::Terminating) => "leaving",
            Some(Child::Absent) => "absent",
            None => "another's",
        }
    }

    #[test]
    fn child_is_identified_by_the_uid_of_its_controller() {
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
            assert_eq!(word(owned_child(&unit, Arc::new(object.clone()))), expected, "{:?}", object.metadata);
        }
    }

    #[test]
    fn retained_pvc_is_used_again_for_the_same_owner_only() {
        let claim_of = |owner: Option<&str>| {
            let mut claim: PersistentVolumeClaim = object(None);
            claim.metadata.annotations = owner.map(|owner| [(OWNER.to_owned(), owner.to_owned())].into());
            Arc::new(claim)
        };
        for (first, second, expected) in [
            (Some("ada"), Some("ada"), "own"),
            (Some("ada"), Some("bob"), "another's"),
            (Some("ada"), None, "another's"),
            (None, Some("ada"), "another's"),
            (None, None, "own"),
        ] {
            let mut unit = testing::unit("ada", Some(42), "2026-01-01T00:00:00Z");
            unit.spec.owner = second.map(str::to_owned);
            assert_eq!(word(owned_pvc(&unit, claim_of(first))), expected, "{first:?} {second:?}");
        }
    }

    #[test]
    fn pvc_without_an_owner_is_identified_by_its_labels() {
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
            assert_eq!(word(owned_pvc(&unit, Arc::new(claim.clone()))), expected, "{:?}", claim.metadata);
        }
    }
}
