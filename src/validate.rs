//! Whether a unit may run as it is written: a `ComputingUnit` and its pool become a [`Unit`], or a [`Rejection`] that
//! says what to do.
//!
//! Pure. What the API server refuses by itself (see [`crate::api`]) is not checked again.

mod limits;
mod offers;
mod rejection;

use std::sync::Arc;

use kube::ResourceExt;

use crate::{
    api::{ComputingUnit, ComputingUnitPool},
    routing::{self, Address, claim::Holder},
};

pub use rejection::{Rejection, reasons};

/// A unit that may run, with everything that its pool decides resolved.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The object.
    pub object: Arc<ComputingUnit>,
    /// Its pool.
    pub pool: Arc<ComputingUnitPool>,
    /// The image that its engine runs.
    pub image: String,
    /// What requests carry.
    pub key: String,
    /// Where it is opened.
    pub address: Address,
}

/// Decides whether `object` may run from `pool`, which is `None` where it does not exist.
///
/// `overlapped` is the older pool that makes `pool` unusable. `holder` says who has the unit's key; it is asked only
/// once everything else is in order.
///
/// # Errors
/// Why it may not run, in words for the unit's owner.
pub fn validate(
    object: &Arc<ComputingUnit>,
    pool: Option<&Arc<ComputingUnitPool>>,
    overlapped: Option<&ComputingUnitPool>,
    holder: impl FnOnce(&ComputingUnitPool) -> Holder,
) -> Result<Unit, Rejection> {
    let spec = &object.spec;
    let Some(pool) = pool else {
        return Err(Rejection::new(
            reasons::POOL_NOT_FOUND,
            format!(
                "there is no ComputingUnitPool {:?} in namespace {:?}: create it, or create the unit in another pool",
                spec.pool_name,
                object.namespace().unwrap_or_default()
            ),
        ));
    };
    if let Some(older) = overlapped {
        return Err(Rejection::new(
            reasons::POOL_NOT_ACCEPTED,
            format!(
                "the requests of pool {:?} overlap those of an older pool of the same Gateway{}: give the pool other \
                 paths, another prefix or another domain",
                spec.pool_name,
                if older.namespace() == pool.namespace() { format!(" ({})", older.name_any()) } else { String::new() },
            ),
        ));
    }
    let image = offers::image(spec.image.as_deref(), pool)?;
    offers::references(object, pool)?;
    limits::shared_memory(object, pool)?;
    limits::time_to_live(object, pool)?;
    limits::idle_timeout(object, pool)?;
    let name = object.name_any();
    let address = routing::address(&pool.spec.routing, &name, spec.cuid).ok_or_else(|| {
        Rejection::new(reasons::POOL_NOT_ACCEPTED, format!("the routing of pool {:?} is incomplete", spec.pool_name))
    })?;
    key_is_free(object, holder(pool))?;
    let key = routing::key(&pool.spec.routing, &name, spec.cuid);
    Ok(Unit { object: object.clone(), pool: pool.clone(), image, key, address })
}

fn key_is_free(object: &ComputingUnit, holder: Holder) -> Result<(), Rejection> {
    let elsewhere = |message: &str| Err(Rejection::new(reasons::KEY_CONFLICT_ELSEWHERE, message));
    match holder {
        Holder::Asker if was_taken_elsewhere(object) => elsewhere(
            "a unit of another namespace had this key when this unit asked for it; requests meant for that one may \
             still be under way: edit spec or create the unit anew to take the key now",
        ),
        Holder::Asker => Ok(()),
        Holder::Neighbour(name) => Err(Rejection::new(
            reasons::KEY_CONFLICT,
            format!("unit {name:?} is older and has the same key: choose another spec.cuid, or delete that unit"),
        )),
        Holder::Elsewhere => {
            elsewhere("an older unit of another namespace has the same key on this Gateway: choose another spec.cuid")
        }
    }
}

/// A key that another namespace had is not taken over unasked: only a change of the unit asks again.
fn was_taken_elsewhere(object: &ComputingUnit) -> bool {
    object.status.as_ref().is_some_and(|status| {
        status.conditions.iter().any(|condition| {
            condition.type_ == "Accepted"
                && condition.reason == reasons::KEY_CONFLICT_ELSEWHERE
                && condition.observed_generation == object.metadata.generation
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{api::ComputingUnitSpec, testing};

    fn check(spec: serde_json::Value, pool: serde_json::Value) -> Result<Unit, Rejection> {
        let mut object = testing::unit("ada", Some(42), "2026-01-01T00:00:00Z");
        object.spec = serde_json::from_value::<ComputingUnitSpec>(spec).unwrap();
        let mut default = serde_json::to_value(testing::pool(testing::query_routing())).unwrap();
        for (key, value) in pool.as_object().unwrap() {
            default["spec"][key] = value.clone();
        }
        let pool = Arc::new(serde_json::from_value(default).unwrap());
        validate(&Arc::new(object), Some(&pool), None, |_| Holder::Asker)
    }

    fn reason(spec: serde_json::Value, pool: serde_json::Value) -> &'static str {
        check(spec, pool).unwrap_err().reason
    }

    #[test]
    fn a_plain_unit_runs_the_templates_image() {
        let unit = check(json!({"cuid": 42}), json!({})).unwrap();
        assert_eq!((unit.image.as_str(), unit.key.as_str()), ("engine:1", "42"));
    }

    #[test]
    fn images_go_by_name_or_reference_and_only_those_offered() {
        let offer = json!({"images": [
            {"name": "r", "image": "engine-r@sha256:0"}, {"name": "py", "image": "engine-py:2", "default": true},
        ]});
        assert_eq!(check(json!({}), offer.clone()).unwrap().image, "engine-py:2");
        assert_eq!(check(json!({"image": "r"}), offer.clone()).unwrap().image, "engine-r@sha256:0");
        assert_eq!(check(json!({"image": "engine-r@sha256:0"}), offer.clone()).unwrap().image, "engine-r@sha256:0");
        let rejection = check(json!({"image": "mine:1"}), offer).unwrap_err();
        assert_eq!(rejection.reason, reasons::IMAGE_NOT_OFFERED);
        assert!(rejection.message.contains("r, py"), "{}", rejection.message);
    }

    #[test]
    fn only_named_objects_are_read() {
        let asks =
            |secret: &str| json!({"env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": secret, "key": "k"}}}]});
        let allows = json!({"references": {"secrets": ["shared", "{unit}-keys"]}});
        assert!(check(asks("shared"), allows.clone()).is_ok());
        assert!(check(asks("ada-keys"), allows.clone()).is_ok());
        assert_eq!(reason(asks("bob-keys"), allows.clone()), reasons::REFERENCE_NOT_ALLOWED);
        assert_eq!(reason(asks("shared"), json!({})), reasons::REFERENCE_NOT_ALLOWED);
        let all = json!({"envFrom": [{"configMapRef": {"name": "shared"}}]});
        assert_eq!(reason(all, allows), reasons::REFERENCE_NOT_ALLOWED, "a Secret's name allows no ConfigMap");
    }

    #[test]
    fn an_idle_timeout_is_at_most_the_pools() {
        let wants = |timeout: &str| json!({"lifecycle": {"idleTimeout": timeout}});
        assert!(check(wants("59m"), wants("1h")).is_ok());
        assert!(check(wants("60m"), wants("1h")).is_ok());
        assert!(check(json!({}), wants("1h")).is_ok());
        for (pool, words) in [(wants("1h"), "more than the 1h"), (json!({}), "does not stop idle units")] {
            let rejection = check(wants("61m"), pool).unwrap_err();
            assert_eq!(rejection.reason, reasons::LIMIT_EXCEEDED);
            assert!(rejection.message.contains(words), "{}", rejection.message);
        }
    }

    #[test]
    fn shared_memory_is_held_against_the_pools_limit_too() {
        let template = json!({"template": {"spec": {"containers": [
            {"name": "e", "image": "i", "resources": {"limits": {"memory": "1Gi"}}}
        ]}}});
        assert!(check(json!({"sharedMemory": "1Gi"}), template.clone()).is_ok());
        assert_eq!(reason(json!({"sharedMemory": "2Gi"}), template.clone()), reasons::LIMIT_EXCEEDED);
        let raised = json!({"sharedMemory": "2Gi", "resources": {"limits": {"memory": "4Gi"}}});
        assert!(check(raised, template).is_ok());
    }

    #[test]
    fn a_key_that_another_namespace_had_is_taken_only_when_asked_for_again() {
        let mut object = testing::unit("ada", Some(42), "2026-01-01T00:00:00Z");
        let pool = Arc::new(testing::pool(testing::query_routing()));
        let ask = |object: &ComputingUnit, holder| validate(&Arc::new(object.clone()), Some(&pool), None, |_| holder);
        assert_eq!(ask(&object, Holder::Elsewhere).unwrap_err().reason, reasons::KEY_CONFLICT_ELSEWHERE);
        object.status = Some(
            serde_json::from_value(json!({"conditions": [{
                "type": "Accepted", "status": "False", "reason": reasons::KEY_CONFLICT_ELSEWHERE, "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
            }]}))
            .unwrap(),
        );
        assert!(ask(&object, Holder::Asker).is_err());
        object.metadata.generation = Some(2);
        assert!(ask(&object, Holder::Asker).is_ok());
    }
}
