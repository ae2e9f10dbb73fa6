//! The images of a catalog that the units of a pool can use.

use computing_unit_api::{ComputingUnitPool, ImageSecurityContext};

use super::{
    ImageCatalog,
    entry::{Image, InvalidImage},
};

/// What a catalog has for a name or a reference.
#[derive(Debug, PartialEq, Eq)]
pub enum Offer<'a> {
    Image(&'a Image),
    /// An image of that name, which cannot be used.
    Invalid(InvalidImage),
    Nothing,
}

/// What the catalog of a pool offers to a unit: the image of that name, or the first by name with that reference.
pub fn offer<'a>(pool: &ComputingUnitPool, catalog: &'a ImageCatalog, wanted: &str) -> Offer<'a> {
    if let Some(named) = catalog.images.get(wanted) {
        return usable(pool, wanted, named).map_or_else(Offer::Invalid, Offer::Image);
    }
    let valid = catalog.images.iter().filter_map(|(name, image)| usable(pool, name, image).ok());
    valid.filter(|image| image.reference == wanted).map(Offer::Image).next().unwrap_or(Offer::Nothing)
}

/// The images that the units of a pool cannot use.
pub fn invalid<'a>(
    pool: &'a ComputingUnitPool,
    catalog: &'a ImageCatalog,
) -> impl Iterator<Item = (&'a str, InvalidImage)> {
    catalog.images.iter().filter_map(|(name, image)| Some((name.as_str(), usable(pool, name, image).err()?)))
}

fn usable<'a>(
    pool: &ComputingUnitPool,
    name: &str,
    image: &'a Result<Image, InvalidImage>,
) -> Result<&'a Image, InvalidImage> {
    let image = image.as_ref().map_err(Clone::clone)?;
    if pool.spec.images.iter().any(|own| own.name == name) {
        return Err(InvalidImage::Shadowed);
    }
    other_user(pool, &image.restrictions).map_or(Ok(image), Err)
}

/// Whether an image has another user or group than the pool's template. Files on volumes may belong to that one.
fn other_user(pool: &ComputingUnitPool, given: &ImageSecurityContext) -> Option<InvalidImage> {
    let spec = pool.spec.template.spec.as_ref();
    let container = spec.and_then(|spec| spec.containers.first()?.security_context.as_ref());
    let pod = spec.and_then(|spec| spec.security_context.as_ref());
    let user = container.and_then(|own| own.run_as_user).or(pod.and_then(|pod| pod.run_as_user));
    let group = container.and_then(|own| own.run_as_group).or(pod.and_then(|pod| pod.run_as_group));
    [("runAsUser", given.run_as_user, user), ("runAsGroup", given.run_as_group, group)].into_iter().find_map(
        |(field, given, value)| {
            let value = value.filter(|value| given.is_some_and(|given| given != *value))?;
            Some(InvalidImage::OtherUser { field, value })
        },
    )
}
