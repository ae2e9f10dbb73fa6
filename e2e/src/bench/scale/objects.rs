//! The size of the objects of one unit.

use anyhow::Context;
use serde_json::Value;

use super::{report::ObjectSize, site::Site};

/// The resources of a unit, with the paths of their APIs. An EndpointSlice has a generated name.
const RESOURCES: [(&str, &str); 5] = [
    ("computingunits", "/apis/texera.apache.org/v1alpha1"),
    ("pods", "/api/v1"),
    ("services", "/api/v1"),
    ("httproutes", "/apis/gateway.networking.k8s.io/v1"),
    ("endpointslices", "/apis/discovery.k8s.io/v1"),
];

/// The sizes of the objects of a unit, as JSON.
///
/// # Errors
/// If one cannot be read.
pub async fn sizes(site: &Site, unit: &str) -> anyhow::Result<Vec<ObjectSize>> {
    let mut sizes = vec![];
    for (resource, api) in RESOURCES {
        let all = format!("{api}/namespaces/{}/{resource}", site.fixture.namespace);
        let path = match resource {
            "endpointslices" => format!("{all}?labelSelector=kubernetes.io%2Fservice-name%3D{unit}"),
            _ => format!("{all}/{unit}"),
        };
        let request = http::Request::get(&path).body(vec![])?;
        let answer = site.fixture.cluster.client().request_text(request).await.with_context(|| path.clone())?;
        let answer: Value = serde_json::from_str(&answer)?;
        let object = answer.pointer("/items/0").unwrap_or(&answer);
        let managed = object.pointer("/metadata/managedFields");
        sizes.push(ObjectSize {
            resource: resource.to_owned(),
            json_bytes: object.to_string().len(),
            managed_fields_bytes: managed.map_or(0, |fields| fields.to_string().len()),
        });
    }
    Ok(sizes)
}
