//! What a pool offers to its units: images, and the Secrets and ConfigMaps that they may refer to.

use computing_unit_api::{ComputingUnit, ComputingUnitPool, Reason, References};
use k8s_openapi::api::core::v1::EnvVar;
use kube::ResourceExt;

use super::Rejection;

/// The image of a unit: the one that it names, if its pool offers that.
pub(super) fn image(wanted: Option<&str>, pool: &ComputingUnitPool) -> Result<String, Rejection> {
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
                Reason::ImageNotOffered,
                format!("pool {:?} has no default image: set spec.image", pool.name_any()),
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
                "remove spec.image".into()
            } else {
                format!("choose one of {}", names.join(", "))
            };
            Rejection::new(
                Reason::ImageNotOffered,
                format!("pool {:?} does not offer image {wanted:?}: {choice}", pool.name_any()),
            )
        })
}

/// A unit may refer only to objects that its pool lists.
pub(super) fn references(object: &ComputingUnit, pool: &ComputingUnitPool) -> Result<(), Rejection> {
    let none = References::default();
    let allowed = pool.spec.references.as_ref().unwrap_or(&none);
    let (name, uid) = (object.name_any(), object.uid().unwrap_or_default());
    let check = |kind: &str, list: &[String], field: String, wanted: &str| {
        if list.iter().any(|entry| entry.replace("{unit}", &name).replace("{uid}", &uid) == wanted) {
            return Ok(());
        }
        Err(Rejection::new(
            Reason::ReferenceNotAllowed,
            format!(
                "{field}: pool {:?} does not allow units to refer to {kind} {wanted:?}: have it added to spec.references of \
                 the pool, or remove the reference",
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
