//! The PersistentVolumeClaims of a unit: one for each template of its pool, named `<template>-<unit>`.
//!
//! A claim belongs to a unit by its labels. Its owner reference decides only whether it is garbage-collected with the unit,
//! so a retained claim is found by a later unit of the same name and owner. The spec of a claim is never changed.

use computing_unit_api::{
    ClaimRetention, ComputingUnit, VolumeClaimTemplate,
    names::{self, RESERVED_PREFIX, labels},
};
use k8s_openapi::{api::core::v1::PersistentVolumeClaim, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::ResourceExt;

use crate::controllers::unit::validate::Unit;

pub fn name(template: &VolumeClaimTemplate, unit: &ComputingUnit) -> String {
    format!("{}-{}", template.metadata.name, unit.name_any())
}

pub fn pvcs(unit: &Unit) -> Vec<PersistentVolumeClaim> {
    unit.pool.spec.volume_claim_templates.iter().map(|template| pvc(unit, template)).collect()
}

fn pvc(unit: &Unit, template: &VolumeClaimTemplate) -> PersistentVolumeClaim {
    let object = &unit.object;
    let mut all_labels = template.metadata.labels.clone();
    all_labels.retain(|key, _| !labels::reserved(key));
    all_labels.extend(names::child_labels(object, unit.cuid()));
    let mut annotations = template.metadata.annotations.clone();
    annotations.retain(|key, _| !key.starts_with(RESERVED_PREFIX));
    annotations.extend(object.spec.owner.clone().map(|owner| (names::OWNER.to_owned(), owner)));
    let deleted_with_unit =
        unit.pool.spec.persistent_volume_claim_retention_policy.when_deleted == ClaimRetention::Delete;
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(name(template, object)),
            namespace: object.namespace(),
            labels: Some(all_labels),
            annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
            owner_references: deleted_with_unit.then(|| vec![names::owner_reference(object)]),
            ..ObjectMeta::default()
        },
        spec: Some(template.spec.clone()),
        status: None,
    }
}

/// Whether a claim has its labels, and an owner reference if and only if it should.
pub fn matches(current: &PersistentVolumeClaim, desired: &PersistentVolumeClaim, uid: &str) -> bool {
    let owned = |claim: &PersistentVolumeClaim| claim.owner_references().iter().any(|owner| owner.uid == uid);
    let own_labels = desired.labels().iter().filter(|(key, _)| labels::reserved(key));
    let labelled = own_labels.into_iter().all(|(key, value)| current.labels().get(key) == Some(value));
    labelled && owned(current) == owned(desired)
}

/// The claim with its own labels and owner restored, and those of others kept.
pub fn repaired(current: &PersistentVolumeClaim, desired: &PersistentVolumeClaim, uid: &str) -> PersistentVolumeClaim {
    let mut repaired = current.clone();
    repaired.labels_mut().extend(desired.labels().clone());
    let owners = repaired.owner_references_mut();
    owners.retain(|owner| owner.uid != uid);
    owners.extend(desired.owner_references().iter().cloned());
    repaired
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::testing;

    fn unit(policy: &str) -> Unit {
        let mut unit = testing::accepted(testing::query_routing());
        let spec = &mut Arc::make_mut(&mut unit.pool).spec;
        spec.volume_claim_templates = serde_json::from_value(json!([{
            "metadata": {
                "name": "data",
                "labels": {"tier": "fast", "type": "mine", "texera.apache.org/unit": "bob"},
                "annotations": {"note": "kept", "texera.apache.org/x": "dropped"},
            },
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }]))
        .unwrap();
        spec.persistent_volume_claim_retention_policy = serde_json::from_value(json!({"whenDeleted": policy})).unwrap();
        unit
    }

    #[test]
    fn pvc_has_the_name_and_labels_of_its_unit() {
        let claim = pvcs(&unit("Delete")).remove(0);
        assert_eq!((claim.name_any().as_str(), claim.namespace().as_deref()), ("data-ada", Some("units")));
        let label = |key: &str| claim.labels().get(key).map(String::as_str);
        assert_eq!((label("tier"), label("type")), (Some("fast"), Some("computing-unit")));
        assert_eq!(label(labels::UNIT), Some("ada"), "a template cannot assign a claim to another unit");
        assert_eq!(claim.annotations().keys().collect::<Vec<_>>(), ["note"]);
        assert_eq!(claim.spec.unwrap().access_modes.unwrap(), ["ReadWriteOnce"]);
    }

    #[test]
    fn owner_of_a_pvc_follows_the_retention_policy() {
        let (goes, stays) = (pvcs(&unit("Delete")).remove(0), pvcs(&unit("Retain")).remove(0));
        assert_eq!(goes.owner_references()[0].uid, "ada-uid");
        assert!(stays.owner_references().is_empty());
        for (seen, desired) in [(&goes, &stays), (&stays, &goes)] {
            assert!(matches(seen, seen, "ada-uid") && !matches(seen, desired, "ada-uid"));
            assert!(matches(&repaired(seen, desired, "ada-uid"), desired, "ada-uid"));
        }
        let mut others = goes.clone();
        others.labels_mut().insert("by".into(), "hand".into());
        others.owner_references_mut()[0].uid = "another".into();
        let repaired = repaired(&others, &stays, "ada-uid");
        assert_eq!(repaired.owner_references().len(), 1, "owner references of others are kept");
        assert_eq!(repaired.labels().get("by").map(String::as_str), Some("hand"));
    }
}
