//! Decides whether a unit may run as it is specified: turns a `ComputingUnit` and its pool into a [`Unit`], or a
//! [`Rejection`] that says what to do.
//!
//! Pure. What the API server validates by itself is not checked again.

mod env;
mod limits;
mod names;
mod offers;
mod rejection;
mod schedule;

use std::sync::Arc;

use computing_unit_api::{
    ComputingUnit, ComputingUnitPool, ConditionType, Conditions, ImageSecurityContext, Reason, RoutingType,
};
use kube::ResourceExt;

pub use self::rejection::Rejection;
use super::snapshot::Snapshot;
use crate::{
    controllers::pool_conflict::PoolConflict,
    image_catalog::{Image, ImageCatalog},
    routing::{
        self, Address,
        keys::{Holder, Reservation},
    },
};

/// An accepted unit, with everything that its pool decides resolved.
#[derive(Clone, Debug)]
pub struct Unit {
    pub object: Arc<ComputingUnit>,
    pub pool: Arc<ComputingUnitPool>,
    /// The image of its container.
    pub image: String,
    /// Restrictions of the container that come with the image.
    pub restrictions: ImageSecurityContext,
    /// The key that requests carry.
    pub key: String,
    /// Where it is reached.
    pub address: Address,
    /// Its URL. `None` if its Gateway has no address.
    pub url: Option<String>,
}

impl Unit {
    /// Its `spec.cuid`, if that is its routing key. In other modes nothing keeps it unique, so nothing may rely on it.
    pub fn cuid(&self) -> Option<i64> {
        self.object.spec.cuid.filter(|_| self.pool.spec.routing.r#type == RoutingType::Query)
    }
}

/// Decides whether the unit of a snapshot may run.
///
/// # Errors
/// Why it is not accepted.
pub fn of(snapshot: &Snapshot) -> Result<Unit, Rejection> {
    let (pool, catalog) = (snapshot.pool.as_ref(), snapshot.catalog.as_deref());
    let unit = validate(&snapshot.unit, pool, snapshot.pool_conflict.as_ref(), catalog, snapshot.key.as_ref())?;
    let origin = snapshot.gateway.as_ref().and_then(|binding| binding.origin.as_ref());
    let url = routing::url(&unit.address, unit.pool.spec.routing.base_url.as_deref(), origin);
    Ok(Unit { url, ..unit })
}

/// Decides whether `object` may run from `pool`, which is `None` if it does not exist. `conflict` is why
/// `pool` is not accepted, `catalog` its image catalog if that exists, and `key` the reservation of the unit's routing key.
///
/// # Errors
/// Why the unit is not accepted.
pub fn validate(
    object: &Arc<ComputingUnit>,
    pool: Option<&Arc<ComputingUnitPool>>,
    conflict: Option<&PoolConflict>,
    catalog: Option<&ImageCatalog>,
    key: Option<&Reservation>,
) -> Result<Unit, Rejection> {
    let spec = &object.spec;
    let Some(pool) = pool else {
        let namespace = object.namespace().unwrap_or_default();
        return Err(Rejection::new(
            Reason::PoolNotFound,
            format!(
                "ComputingUnitPool {:?} does not exist in namespace {namespace:?}: create it, or create the unit in another \
                 pool; to list the pools, run kubectl get computingunitpools -n {namespace}",
                spec.pool_name,
            ),
        ));
    };
    if let Some(conflict) = conflict {
        return Err(Rejection::new(Reason::PoolNotAccepted, conflict.message(pool)));
    }
    let Image { reference: image, restrictions } = offers::image(spec.image.as_deref(), pool, catalog)?;
    offers::references(object, pool)?;
    env::check(object, pool)?;
    limits::resources(object, pool)?;
    limits::shared_memory(object, pool)?;
    limits::times_to_live(object, pool)?;
    limits::idle_timeout(object, pool)?;
    schedule::check(object)?;
    let name = object.name_any();
    let address = routing::address(&pool.spec.routing, &name, spec.cuid).ok_or_else(|| {
        Rejection::new(Reason::PoolNotAccepted, format!("the routing of pool {:?} is incomplete", spec.pool_name))
    })?;
    names::check(object, pool)?;
    check_key(object, pool, key)?;
    let key = routing::key(&pool.spec.routing, &name, spec.cuid);
    Ok(Unit { object: object.clone(), pool: pool.clone(), image, restrictions, key, address, url: None })
}

/// A key that no unit holds is accepted: the request for it is the next step.
fn check_key(object: &ComputingUnit, pool: &ComputingUnitPool, key: Option<&Reservation>) -> Result<(), Rejection> {
    let other_namespace = |message: &str| Err(Rejection::new(Reason::KeyConflictInOtherNamespace, message));
    // Both are immutable.
    let by_cuid = object.spec.cuid.is_some() && pool.spec.routing.r#type == RoutingType::Query;
    let other_key = if by_cuid { "another spec.cuid" } else { "another name" };
    match key.map(|key| &key.holder) {
        Some(Holder::Nobody | Holder::Unit) if refused_for_other_namespace(object) => other_namespace(
            "a unit in another namespace had this key when this unit requested it, and requests for that unit may still \
             be in flight: edit the spec or recreate the unit to take over the key",
        ),
        None | Some(Holder::Nobody | Holder::Unit) => Ok(()),
        Some(Holder::Other(name)) => Err(Rejection::new(
            Reason::KeyConflict,
            format!("unit {name:?} holds the same key: delete that unit, or recreate this one with {other_key}"),
        )),
        Some(Holder::OtherNamespace) => other_namespace(&format!(
            "a unit in another namespace holds the same key on this Gateway: recreate this unit with {other_key}"
        )),
    }
}

/// A key that a unit in another namespace had is not taken over without a change of the unit.
fn refused_for_other_namespace(object: &ComputingUnit) -> bool {
    object.status.as_ref().and_then(|status| status.conditions.find(ConditionType::Accepted)).is_some_and(|accepted| {
        accepted.reason == Reason::KeyConflictInOtherNamespace
            && accepted.observed_generation == object.metadata.generation
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{routing::keys::RoutingKey, testing};
    use computing_unit_api::ComputingUnitSpec;

    fn check(spec: serde_json::Value, pool: serde_json::Value) -> Result<Unit, Rejection> {
        let mut object = testing::unit("ada", Some(42), "2026-01-01T00:00:00Z");
        object.spec = serde_json::from_value::<ComputingUnitSpec>(spec).unwrap();
        let mut default = serde_json::to_value(testing::pool(testing::query_routing())).unwrap();
        for (key, value) in pool.as_object().unwrap() {
            default["spec"][key] = value.clone();
        }
        let pool = Arc::new(serde_json::from_value(default).unwrap());
        validate(&Arc::new(object), Some(&pool), None, None, None)
    }

    fn reason(spec: serde_json::Value, pool: serde_json::Value) -> Reason {
        check(spec, pool).unwrap_err().reason
    }

    #[test]
    fn unit_without_an_image_runs_that_of_the_template() {
        let unit = check(json!({"cuid": 42}), json!({})).unwrap();
        assert_eq!((unit.image.as_str(), unit.key.as_str()), ("engine:1", "42"));
    }

    #[test]
    fn image_is_chosen_by_name_or_reference_from_those_offered() {
        let offer = json!({"images": [
            {"name": "r", "image": "engine-r@sha256:0"}, {"name": "py", "image": "engine-py:2", "default": true},
        ]});
        assert_eq!(check(json!({}), offer.clone()).unwrap().image, "engine-py:2");
        assert_eq!(check(json!({"image": "r"}), offer.clone()).unwrap().image, "engine-r@sha256:0");
        assert_eq!(check(json!({"image": "engine-r@sha256:0"}), offer.clone()).unwrap().image, "engine-r@sha256:0");
        let rejection = check(json!({"image": "mine:1"}), offer).unwrap_err();
        assert_eq!(rejection.reason, Reason::ImageNotOffered);
        assert!(rejection.message.contains("r, py"), "{}", rejection.message);
    }

    const DIGEST: &str = "r@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn image_is_chosen_from_the_catalog_of_the_pool() {
        let mut object = testing::unit("ada", Some(42), "2026-01-01T00:00:00Z");
        let mut pool = testing::pool(testing::query_routing());
        pool.spec.images = serde_json::from_value(json!([{"name": "py", "image": "py:1"}])).unwrap();
        pool.spec.image_catalog = serde_json::from_value(json!({"configMapName": "cat"})).unwrap();
        let pool = Arc::new(pool);
        let text = json!({"image": DIGEST, "securityContext": {"runAsUser": 7}}).to_string();
        let data = json!({"r": text, "tag": "image: r:1", "py": text});
        let catalog: ImageCatalog = serde_json::from_value(json!({"metadata": {"name": "cat"}, "data": data})).unwrap();
        let mut ask = |image: &str, catalog: Option<&ImageCatalog>| {
            object.spec.image = Some(image.to_owned());
            let unit = validate(&Arc::new(object.clone()), Some(&pool), None, catalog, None);
            unit.map(|unit| (unit.image, unit.restrictions.run_as_user)).map_err(|rejection| {
                assert_eq!(rejection.reason, Reason::ImageNotOffered);
                rejection.message
            })
        };
        for image in ["r", DIGEST] {
            assert_eq!(ask(image, Some(&catalog)), Ok((DIGEST.to_owned(), Some(7))));
        }
        assert_eq!(ask("py", Some(&catalog)), Ok(("py:1".to_owned(), None)), "the pool's own");
        assert_eq!(
            ask("r:1", Some(&catalog)).unwrap_err(),
            "pool \"default\" does not offer image \"r:1\", and its image catalog, ConfigMap \"cat\", does not have it: choose \
             one of py, or add it there with its digest, and name it as there or as repository@sha256:..."
        );
        assert_eq!(
            ask("tag", Some(&catalog)).unwrap_err(),
            "image \"tag\" of the image catalog of pool \"default\", ConfigMap \"cat\", cannot be used: image \"r:1\" has no \
             digest: give it as repository@sha256:..., with 64 hexadecimal digits in lower case"
        );
        let missing = ask("r", None).unwrap_err();
        assert!(missing.contains("does not exist or lacks the label"), "{missing}");
        assert_eq!(ask("py", None), Ok(("py:1".to_owned(), None)), "images of the pool do not depend on the catalog");
    }

    #[test]
    fn only_references_of_the_pool_are_allowed() {
        let asks =
            |secret: &str| json!({"env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": secret, "key": "k"}}}]});
        let allows = json!({"references": {"secrets": ["shared", "{unit}-keys"]}});
        assert!(check(asks("shared"), allows.clone()).is_ok());
        assert!(check(asks("ada-keys"), allows.clone()).is_ok());
        assert_eq!(reason(asks("bob-keys"), allows.clone()), Reason::ReferenceNotAllowed);
        let by_uid = json!({"references": {"secrets": ["cu-{uid}"]}});
        assert!(check(asks("cu-ada-uid"), by_uid.clone()).is_ok());
        assert_eq!(reason(asks("cu-ada"), by_uid), Reason::ReferenceNotAllowed);
        assert_eq!(reason(asks("shared"), json!({})), Reason::ReferenceNotAllowed);
        let all = json!({"envFrom": [{"configMapRef": {"name": "shared"}}]});
        assert_eq!(reason(all, allows), Reason::ReferenceNotAllowed, "a Secret's name allows no ConfigMap");
    }

    #[test]
    fn idle_timeout_is_limited_by_the_pool() {
        let wants = |timeout: &str| json!({"lifecycle": {"idleTimeout": timeout}});
        assert!(check(wants("59m"), wants("1h")).is_ok());
        assert!(check(wants("60m"), wants("1h")).is_ok());
        assert!(check(json!({}), wants("1h")).is_ok());
        for (pool, words) in [(wants("1h"), "more than the 1h"), (json!({}), "does not stop idle units")] {
            let rejection = check(wants("61m"), pool).unwrap_err();
            assert_eq!(rejection.reason, Reason::LimitExceeded);
            assert!(rejection.message.contains(words), "{}", rejection.message);
        }
    }

    #[test]
    fn times_to_live_are_limited_by_the_pool() {
        for field in ["ttlSecondsAfterFinished", "ttlSecondsAfterSuspended"] {
            let wants = |seconds: i32| json!({"lifecycle": {field: seconds}});
            assert!(check(wants(60), wants(60)).is_ok() && check(wants(61), json!({})).is_ok());
            let rejection = check(wants(61), wants(60)).unwrap_err();
            assert_eq!(rejection.reason, Reason::LimitExceeded);
            assert!(rejection.message.contains(&format!("{field} 61 is more than the 60")), "{}", rejection.message);
        }
    }

    #[test]
    fn schedule_of_a_unit_must_be_valid() {
        let wants = |zone: &str| json!({"lifecycle": {"schedule": {"timeZone": zone, "suspend": ["0 20 * * *"]}}});
        assert!(check(wants("Europe/Berlin"), json!({})).is_ok());
        let rejection = check(wants("Europe/Bonn"), json!({})).unwrap_err();
        assert_eq!(rejection.reason, Reason::InvalidSchedule);
        assert!(
            rejection.message.starts_with("spec.lifecycle.schedule.timeZone: \"Europe/Bonn\""),
            "{}",
            rejection.message
        );
        assert!(check(json!({}), wants("Europe/Bonn")).is_ok(), "that of the pool is a condition of the pool");
    }

    #[test]
    fn shared_memory_is_limited_by_the_memory_limit() {
        let template = json!({"template": {"spec": {"containers": [
            {"name": "e", "image": "i", "resources": {"limits": {"memory": "1Gi"}}}
        ]}}});
        assert!(check(json!({"sharedMemory": "1Gi"}), template.clone()).is_ok());
        assert_eq!(reason(json!({"sharedMemory": "2Gi"}), template.clone()), Reason::LimitExceeded);
        let raised = json!({"sharedMemory": "2Gi", "resources": {"limits": {"memory": "4Gi"}}});
        assert!(check(raised, template).is_ok());
    }

    #[test]
    fn shared_memory_needs_a_memory_limit() {
        let rejection = check(json!({"sharedMemory": "1Mi"}), json!({})).unwrap_err();
        assert_eq!(rejection.reason, Reason::LimitExceeded);
        assert!(rejection.message.contains("needs a memory limit"), "{}", rejection.message);
        assert!(check(json!({"sharedMemory": "1Mi", "resources": {"limits": {"memory": "1Mi"}}}), json!({})).is_ok());
    }

    #[test]
    fn only_resources_of_the_pool_can_be_requested() {
        let asks = |list: &str, name: &str, amount: &str| json!({"resources": {list: {name: amount}}});
        let allows = json!({"resources": {"max": {"cpu": "4", "nvidia.com/gpu": 2}}});
        for list in ["limits", "requests"] {
            for name in ["cpu", "memory", "ephemeral-storage"] {
                assert!(check(asks(list, name, "100"), json!({})).is_ok());
            }
            for name in ["nvidia.com/gpu", "hugepages-2Mi", "devices.kubevirt.io/kvm"] {
                let rejection = check(asks(list, name, "1"), json!({})).unwrap_err();
                assert_eq!(rejection.reason, Reason::LimitExceeded);
                assert!(rejection.message.contains(name), "{}", rejection.message);
            }
            assert!(check(asks(list, "nvidia.com/gpu", "2"), allows.clone()).is_ok());
            assert!(check(asks(list, "memory", "1Ti"), allows.clone()).is_ok());
            assert!(check(asks(list, "cpu", "4000m"), allows.clone()).is_ok());
            assert_eq!(reason(asks(list, "nvidia.com/gpu", "3"), allows.clone()), Reason::LimitExceeded);
            assert_eq!(reason(asks(list, "cpu", "4001m"), allows.clone()), Reason::LimitExceeded);
        }
    }

    #[test]
    fn names_in_host_names_are_distinct_from_those_of_ports_and_fit() {
        let check = |name: &str, routing| {
            let object = testing::unit(name, Some(42), "2026-01-01T00:00:00Z");
            let mut pool = testing::pool(routing);
            pool.spec.ports = serde_json::from_value(json!([{"name": "tensorboard", "port": 6006}])).unwrap();
            validate(&Arc::new(object), Some(&Arc::new(pool)), None, None, None).err().map(|rejection| rejection.reason)
        };
        let long = "a".repeat(63);
        for (name, reason) in [
            ("ada", None),
            ("dev--ada", Some(Reason::NameNotAllowed)),
            (&long, Some(Reason::NameNotAllowed)),
            (&long[13..], None),
        ] {
            assert_eq!(check(name, testing::host_routing()), reason, "{name}");
            assert_eq!(check(name, testing::path_routing()), None, "{name}");
        }
    }

    #[test]
    fn cuid_counts_only_if_it_is_the_routing_key() {
        assert_eq!(testing::accepted(testing::query_routing()).cuid(), Some(42));
        assert_eq!(testing::accepted(testing::path_routing()).cuid(), None);
        assert_eq!(testing::accepted(testing::host_routing()).cuid(), None);
    }

    #[test]
    fn advice_on_a_key_conflict_can_be_followed() {
        let object = testing::unit("ada", Some(42), "2026-01-01T00:00:00Z");
        for (routing, advice) in [
            (testing::query_routing(), "with another spec.cuid"),
            (testing::path_routing(), "with another name"),
            (testing::host_routing(), "with another name"),
        ] {
            let pool = Arc::new(testing::pool(routing));
            let key = RoutingKey::new(&object, &pool);
            for holder in [Holder::Other("bob".to_owned()), Holder::OtherNamespace] {
                let key = Reservation { key: key.clone(), holder, requested: false };
                let rejection = validate(&Arc::new(object.clone()), Some(&pool), None, None, Some(&key)).unwrap_err();
                assert!(rejection.message.contains(advice), "{}", rejection.message);
            }
        }
    }

    #[test]
    fn key_of_another_namespace_is_taken_over_only_after_an_edit() {
        let mut object = testing::unit("ada", Some(42), "2026-01-01T00:00:00Z");
        let pool = Arc::new(testing::pool(testing::query_routing()));
        let ask = |object: &ComputingUnit, holder| {
            let key = Reservation { key: RoutingKey::new(object, &pool), holder, requested: false };
            validate(&Arc::new(object.clone()), Some(&pool), None, None, Some(&key))
        };
        assert_eq!(ask(&object, Holder::OtherNamespace).unwrap_err().reason, Reason::KeyConflictInOtherNamespace);
        object.status = Some(
            serde_json::from_value(json!({"conditions": [{
                "type": "Accepted", "status": "False", "reason": Reason::KeyConflictInOtherNamespace, "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
            }]}))
            .unwrap(),
        );
        assert!(ask(&object, Holder::Nobody).is_err() && ask(&object, Holder::Unit).is_err());
        object.metadata.generation = Some(2);
        assert!(ask(&object, Holder::Nobody).is_ok());
    }
}
