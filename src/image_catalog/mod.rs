//! Image catalogs: ConfigMaps with images, which a backend can change without permission to change a pool.
//!
//! Pure. An invalid image affects no other one. A writer of a catalog decides which code runs in units, but never
//! with more privileges than the pool gives: an image can restrict its container, and nothing else.

mod entry;
mod images;
mod pool;
mod restrictions;

use std::collections::BTreeSet;

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use serde::Deserialize;

pub use self::{
    entry::Image,
    images::{Images, MAX_IMAGES},
    pool::{Offer, invalid, offer},
    restrictions::restrict,
};

/// A ConfigMap with images. They are parsed when the API server sends it, and its text is not kept.
#[derive(Resource, Clone, Debug, Default, Deserialize)]
#[resource(inherit = ConfigMap)]
pub struct ImageCatalog {
    pub metadata: ObjectMeta,
    #[serde(default, rename = "data")]
    pub images: Images,
}

impl ImageCatalog {
    /// What the API server increases with each change.
    pub fn version(&self) -> Option<String> {
        self.metadata.resource_version.clone()
    }
}

/// The names and references of the images that a change adds, removes or changes.
pub fn changed(before: Option<&ImageCatalog>, after: Option<&ImageCatalog>) -> BTreeSet<String> {
    let none = Images::default();
    let before = before.map_or(&none, |catalog| &catalog.images);
    let after = after.map_or(&none, |catalog| &catalog.images);
    let names: BTreeSet<&String> = before.names().chain(after.names()).collect();
    let differs = names.into_iter().filter(|name| before.get(name) != after.get(name));
    differs
        .flat_map(|name| {
            let references = [before, after].into_iter().filter_map(|images| images.get(name)?.as_ref().ok());
            references.map(|image| image.reference.clone()).chain([name.clone()])
        })
        .collect()
}

#[cfg(test)]
mod tests;
