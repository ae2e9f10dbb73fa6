//! What a pool offers to its units: images, and the Secrets and ConfigMaps that they may refer to.

use computing_unit_api::{ComputingUnit, ComputingUnitPool, ImageSecurityContext, Reason, References};
use k8s_openapi::api::core::v1::EnvVar;
use kube::ResourceExt;

use super::Rejection;
use crate::image_catalog::{self, Image, ImageCatalog, Offer};

/// The image of a unit: the one that it names, if its pool or the catalog of its pool offers that.
pub(super) fn image(
    wanted: Option<&str>,
    pool: &ComputingUnitPool,
    catalog: Option<&ImageCatalog>,
) -> Result<Image, Rejection> {
    let offered = &pool.spec.images;
    let own = pool
        .spec
        .template
        .spec
        .as_ref()
        .and_then(|pod| pod.containers.first())
        .and_then(|engine| engine.image.as_deref())
        .filter(|image| !image.is_empty());
    let unrestricted =
        |image: &str| Image { reference: image.to_owned(), restrictions: ImageSecurityContext::default() };
    let Some(wanted) = wanted else {
        let default = offered.iter().find(|image| image.default).map(|image| image.image.as_str());
        let message = || format!("pool {:?} has no default image: set spec.image", pool.name_any());
        let default = default.or(own).map(unrestricted);
        return default.ok_or_else(|| Rejection::new(Reason::ImageNotOffered, message()));
    };
    // Who may change the catalog must not change what the pool itself offers.
    let of_pool = offered.iter().find(|image| image.name == wanted || image.image == wanted);
    if let Some(image) = of_pool.map(|image| image.image.as_str()).or(own.filter(|own| *own == wanted)) {
        return Ok(unrestricted(image));
    }
    match catalog.map(|catalog| image_catalog::offer(pool, catalog, wanted)) {
        Some(Offer::Image(image)) => Ok(image.clone()),
        Some(Offer::Invalid(error)) => {
            let catalog = pool.spec.image_catalog.as_ref().map(|catalog| catalog.config_map_name.as_str());
            let message = format!(
                "image {wanted:?} of the image catalog of pool {:?}, ConfigMap {:?}, cannot be used: {error}",
                pool.name_any(),
                catalog.unwrap_or_default()
            );
            Err(Rejection::new(Reason::ImageNotOffered, message))
        }
        Some(Offer::Nothing) | None => {
            Err(Rejection::new(Reason::ImageNotOffered, not_offered(wanted, pool, catalog.is_some())))
        }
    }
}

fn not_offered(wanted: &str, pool: &ComputingUnitPool, catalog_exists: bool) -> String {
    let pool_name = pool.name_any();
    let names: Vec<_> = pool.spec.images.iter().map(|image| image.name.as_str()).collect();
    let of_pool = (!names.is_empty()).then(|| format!("choose one of {}", names.join(", ")));
    let Some(catalog) = pool.spec.image_catalog.as_ref().map(|catalog| &catalog.config_map_name) else {
        let choice = of_pool.unwrap_or_else(|| "remove spec.image".to_owned());
        return format!("pool {pool_name:?} does not offer image {wanted:?}: {choice}");
    };
    let (problem, remedy) = if catalog_exists {
        ("does not have it", "add it there with its digest, and name it as there or as repository@sha256:...")
    } else {
        ("does not exist or lacks the label texera.apache.org/image-catalog=true", "create the catalog with the image")
    };
    let choice = of_pool.map(|of_pool| format!("{of_pool}, or ")).unwrap_or_default();
    format!(
        "pool {pool_name:?} does not offer image {wanted:?}, and its image catalog, ConfigMap {catalog:?}, {problem}: \
         {choice}{remedy}"
    )
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
