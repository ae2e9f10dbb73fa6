//! Identifies an attempt: what the API server rejects in one attempt it may accept in another.
//!
//! Pure.

use computing_unit_api::names::{TEMPLATE_AMOUNTS, TEMPLATE_HASH};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::api::resource::Quantity as Amount};
use kube::ResourceExt;
use serde_json::json;

/// A resource amount of the running pod that should be different.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    /// `limits` or `requests`.
    pub list: &'static str,
    /// `cpu` or `memory`.
    pub name: &'static str,
    pub wanted: Amount,
}

/// The resize of one pod to those amounts.
pub fn resize(pod: &Pod, resizes: &[Resize]) -> String {
    let amounts: Vec<_> = resizes.iter().map(|resize| (resize.list, resize.name, &resize.wanted)).collect();
    json!([pod.uid(), amounts]).to_string()
}

/// The replacement of one pod by another: by template and by amounts, of which all else follows.
pub fn replacement(current: &Pod, next: &Pod) -> String {
    let inputs = [TEMPLATE_HASH, TEMPLATE_AMOUNTS].map(|key| next.annotations().get(key));
    json!([current.uid(), inputs]).to_string()
}
