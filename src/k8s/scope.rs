//! Which namespaces are watched: each one that is listed, or all of them.

use kube::{
    Api, Client, Resource,
    core::{DeserializeGuard, NamespaceResourceScope},
};

/// One scope for each namespace, or a single scope of all namespaces (`None`) if none is listed.
pub fn scopes(namespaces: &[String]) -> Vec<Option<String>> {
    if namespaces.is_empty() { vec![None] } else { namespaces.iter().cloned().map(Some).collect() }
}

/// The API of the objects of one namespace, or of all.
pub fn in_scope<K>(client: &Client, namespace: Option<&str>) -> Api<DeserializeGuard<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
