//! Whether a unit may run as it is written: a `ComputingUnit` and its pool become a [`Unit`], or a [`Rejection`] that
//! says what to do.
//!
//! Pure. What the API server refuses by itself (see [`crate::api`]) is not checked again.

use std::sync::Arc;

use k8s_openapi::api::core::v1::EnvVar;
use kube::ResourceExt;

use crate::{
    api::{ComputingUnit, ComputingUnitPool, Quantity, References},
    routing::{self, Address, claim::Holder},
};

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

/// Why a unit may not run. `reason` is the condition's, from a closed set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Reason of the condition.
    pub reason: &'static str,
    /// What is wrong and what to do, as a sentence.
    pub message: String,
}

impl Rejection {
    /// A rejection.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// Reasons for which a unit is not accepted.
pub mod reasons {
    /// No pool of that name in the unit's namespace.
    pub const POOL_NOT_FOUND: &str = "PoolNotFound";
    /// The pool's routing overlaps an older pool's.
    pub const POOL_NOT_ACCEPTED: &str = "PoolNotAccepted";
    /// The image is not one of the pool's.
    pub const IMAGE_NOT_OFFERED: &str = "ImageNotOffered";
    /// A Secret or ConfigMap that the pool does not name.
    pub const REFERENCE_NOT_ALLOWED: &str = "ReferenceNotAllowed";
    /// More than the pool or the unit's own limits allow.
    pub const LIMIT_EXCEEDED: &str = "LimitExceeded";
    /// An older unit of the same namespace has the key.
    pub const KEY_CONFLICT: &str = "KeyConflict";
    /// A unit of another namespace has the key, or had it when this unit asked.
    pub const KEY_CONFLICT_ELSEWHERE: &str = "KeyConflictElsewhere";
    /// A child's name is taken by an object of somebody else.
    pub const CHILD_NOT_OWNED: &str = "ChildNotOwned";
    /// The API server refuses a child as it would have to be.
    pub const CHILD_REFUSED: &str = "ChildRefused";
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
    let image = image(spec.image.as_deref(), pool)?;
    references(object, pool)?;
    shared_memory(object, pool)?;
    time_to_live(object, pool)?;
    idle_timeout(object, pool)?;
    let name = object.name_any();
    let address = routing::address(&pool.spec.routing, &name, spec.cuid).ok_or_else(|| {
        Rejection::new(reasons::POOL_NOT_ACCEPTED, format!("the routing of pool {:?} is incomplete", spec.pool_name))
    })?;
    key_is_free(object, holder(pool))?;
    let key = routing::key(&pool.spec.routing, &name, spec.cuid);
    Ok(Unit { object: object.clone(), pool: pool.clone(), image, key, address })
}

fn image(wanted: Option<&str>, pool: &ComputingUnitPool) -> Result<String, Rejection> {
    let offered = &pool.spec.images;
    let own = pool
        .spec
        .template
        .spec
        .as_ref()
        .and_then(|pod| pod.containers.first())
        .and_then(|engine| engine.image.as_deref())
        .filter(|image| !image.is_empty());
    let Some(wanted) = wanted else {
        let default = offered.iter().find(|image| image.default).map(|image| image.image.as_str());
        return default.or(own).map(str::to_owned).ok_or_else(|| {
            Rejection::new(
                reasons::IMAGE_NOT_OFFERED,
                format!("pool {:?} has no default image: name one in spec.image", pool.name_any()),
            )
        });
    };
    offered
        .iter()
        .find(|image| image.name == wanted || image.image == wanted)
        .map(|image| image.image.as_str())
        .or(own.filter(|own| *own == wanted))
        .map(str::to_owned)
        .ok_or_else(|| {
            let names: Vec<_> = offered.iter().map(|image| image.name.as_str()).collect();
            let choice = if names.is_empty() {
                "leave spec.image out".into()
            } else {
                format!("choose one of {}", names.join(", "))
            };
            Rejection::new(
                reasons::IMAGE_NOT_OFFERED,
                format!("pool {:?} does not offer image {wanted:?}: {choice}", pool.name_any()),
            )
        })
}

fn references(object: &ComputingUnit, pool: &ComputingUnitPool) -> Result<(), Rejection> {
    let none = References::default();
    let allowed = pool.spec.references.as_ref().unwrap_or(&none);
    let name = object.name_any();
    let check = |kind: &str, list: &[String], field: String, wanted: &str| {
        if list.iter().any(|entry| entry.replace("{unit}", &name) == wanted) {
            return Ok(());
        }
        Err(Rejection::new(
            reasons::REFERENCE_NOT_ALLOWED,
            format!(
                "{field}: pool {:?} does not let units read {kind} {wanted:?}: ask for it to be added to the pool's \
                 spec.references, or leave it out",
                pool.name_any()
            ),
        ))
    };
    for EnvVar { name: variable, value_from, .. } in &object.spec.env {
        let Some(source) = value_from else { continue };
        let field = format!("spec.env[{variable}]");
        if let Some(secret) = &source.secret_key_ref {
            check("Secret", &allowed.secrets, field.clone(), &secret.name)?;
        }
        if let Some(map) = &source.config_map_key_ref {
            check("ConfigMap", &allowed.config_maps, field, &map.name)?;
        }
    }
    for (index, source) in object.spec.env_from.iter().enumerate() {
        let field = format!("spec.envFrom[{index}]");
        if let Some(secret) = &source.secret_ref {
            check("Secret", &allowed.secrets, field.clone(), &secret.name)?;
        }
        if let Some(map) = &source.config_map_ref {
            check("ConfigMap", &allowed.config_maps, field, &map.name)?;
        }
    }
    Ok(())
}

fn time_to_live(object: &ComputingUnit, pool: &ComputingUnitPool) -> Result<(), Rejection> {
    let own = object.spec.lifecycle.as_ref().and_then(|own| own.ttl_seconds_after_finished);
    let ceiling = pool.spec.lifecycle.ttl_seconds_after_finished;
    match own.zip(ceiling) {
        Some((own, ceiling)) if own > ceiling => Err(Rejection::new(
            reasons::LIMIT_EXCEEDED,
            format!(
                "spec.lifecycle.ttlSecondsAfterFinished {own} is more than the {ceiling} that pool {:?} allows: ask \
                 for less, or leave it out for the pool's",
                pool.name_any()
            ),
        )),
        _ => Ok(()),
    }
}

fn idle_timeout(object: &ComputingUnit, pool: &ComputingUnitPool) -> Result<(), Rejection> {
    let own = object.spec.lifecycle.as_ref().and_then(|own| own.idle_timeout);
    let name = pool.name_any();
    let message = match (own, pool.spec.lifecycle.idle_timeout) {
        (Some(own), Some(ceiling)) if own > ceiling => format!(
            "spec.lifecycle.idleTimeout {own} is more than the {ceiling} that pool {name:?} allows: ask for less, or \
             leave it out for the pool's"
        ),
        (Some(own), None) => format!(
            "spec.lifecycle.idleTimeout {own} is asked for, but pool {name:?} does not stop idle units: leave it out, or \
             ask for the pool to have one"
        ),
        _ => return Ok(()),
    };
    Err(Rejection::new(reasons::LIMIT_EXCEEDED, message))
}

/// The API server compares the two where the unit gives both; here the limit may be the pool's.
fn shared_memory(object: &ComputingUnit, pool: &ComputingUnitPool) -> Result<(), Rejection> {
    let Some(wanted) = &object.spec.shared_memory else { return Ok(()) };
    let own = object.spec.resources.as_ref().and_then(|resources| resources.limits.get("memory")).cloned();
    let limit = own.or_else(|| {
        let engine = pool.spec.template.spec.as_ref()?.containers.first()?;
        let limit = engine.resources.as_ref()?.limits.as_ref()?.get("memory")?;
        Some(Quantity(limit.0.clone()))
    });
    let Some(limit) = limit else { return Ok(()) };
    match (wanted.value(), limit.value()) {
        (Some(wanted_bytes), Some(limit_bytes)) if wanted_bytes <= limit_bytes => Ok(()),
        _ => Err(Rejection::new(
            reasons::LIMIT_EXCEEDED,
            format!(
                "spec.sharedMemory {wanted} is more than the memory limit {limit}, which it is taken from: ask for \
                 less, or for more memory in spec.resources.limits.memory"
            ),
        )),
    }
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
