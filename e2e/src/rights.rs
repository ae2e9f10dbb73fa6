//! The rights of the operators of tests: those that the chart grants, never those of an administrator.

use std::time::Duration;

use anyhow::Context;
use futures::future::try_join_all;
use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    core::v1::Namespace,
};
use kube::{
    Api, Client, Config, Resource,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{attach::Cluster, tool, wait::eventually};

/// The name of the chart and of the service account.
const NAME: &str = "computing-unit-operator";
/// The group of Roles and their bindings.
const GROUP: &str = "rbac.authorization.k8s.io";
/// How long the API server may take to notice a binding.
const EFFECTIVE: Duration = Duration::from_secs(30);

/// The namespaces that the rights are for.
#[derive(Clone, Copy, Debug)]
pub struct Namespaces<'a> {
    /// `operator.watchNamespaces`. Empty: all.
    pub units: &'a [&'a str],
    /// `operator.gatewayNamespaces`. Empty: all.
    pub gateways: &'a [&'a str],
}

/// Grants what the chart grants if it is installed in the namespace `release`. The rights end with that namespace.
/// Granting again adds rights.
///
/// # Errors
/// If Helm fails, or the rights do not take effect in time.
pub async fn grant(cluster: &Cluster, release: &str, namespaces: Namespaces<'_>) -> anyhow::Result<()> {
    let client = cluster.client();
    let owner = Api::<Namespace>::all(client.clone()).get(release).await?.owner_ref(&()).context("no UID")?;
    let objects = rendered(cluster, release, namespaces).await?;
    try_join_all(objects.iter().map(|object| apply(&client, object, json!(owner)))).await?;
    let scope = |names: &[&str]| names.first().map_or_else(String::new, |name| (*name).to_owned());
    for (group, resource, namespace) in [
        ("", "pods", scope(namespaces.units)),
        ("gateway.networking.k8s.io", "gateways", scope(namespaces.gateways)),
        ("gateway.networking.k8s.io", "gatewayclasses", String::new()),
    ] {
        let allowed = || async { Ok(may(cluster, release, group, resource, "list", &namespace).await?.then_some(())) };
        eventually(&format!("right to list {resource}"), EFFECTIVE, allowed).await?;
    }
    Ok(())
}

/// The configuration of a client with these rights.
#[must_use]
pub fn config(cluster: &Cluster, release: &str) -> Config {
    let mut config = cluster.config();
    // The API server adds the groups of a service account.
    config.auth_info.impersonate = Some(account(release));
    config
}

/// Whether the operator that is installed in the namespace `release` may do that. An empty `namespace` stands for all
/// namespaces. `resource` may be `resource/subresource`.
///
/// # Errors
/// If the API server does not answer.
pub async fn may(
    cluster: &Cluster,
    release: &str,
    group: &str,
    resource: &str,
    verb: &str,
    namespace: &str,
) -> anyhow::Result<bool> {
    let (resource, subresource) = resource.split_once('/').map_or((resource, None), |(name, sub)| (name, Some(sub)));
    let attributes = ResourceAttributes {
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource: subresource.map(str::to_owned),
        verb: Some(verb.to_owned()),
        namespace: Some(namespace.to_owned()).filter(|name| !name.is_empty()),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some(account(release)),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let review = Api::all(cluster.client()).create(&PostParams::default(), &review).await?;
    Ok(review.status.is_some_and(|status| status.allowed))
}

fn account(release: &str) -> String {
    format!("system:serviceaccount:{release}:{NAME}")
}

/// The Roles and bindings of the chart.
async fn rendered(cluster: &Cluster, release: &str, namespaces: Namespaces<'_>) -> anyhow::Result<Vec<Value>> {
    let line = format!(
        "helm template {NAME} {} --namespace {release} --show-only templates/rbac.yaml \
         --set image.repository=registry.invalid/computing-unit-operator --set-json \
         operator.watchNamespaces={} --set-json operator.gatewayNamespaces={}",
        tool::file("charts/computing-unit-operator"),
        json!(namespaces.units),
        json!(namespaces.gateways)
    );
    let text = tool::line(cluster, &line).await?;
    let documents = text.split("\n---").map(serde_saphyr::from_str::<Value>);
    let objects: Vec<Value> = documents.collect::<Result<_, _>>().context("the chart's Roles")?;
    Ok(objects.into_iter().filter(|object| !object.is_null()).collect())
}

/// Applies an object that is deleted with its owner.
async fn apply(client: &Client, object: &Value, owner: Value) -> anyhow::Result<()> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (kind, name) = text("/kind").zip(text("/metadata/name")).context("an object without a name")?;
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, "v1", kind));
    let api: Api<DynamicObject> = match text("/metadata/namespace") {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let mut object = object.clone();
    object["metadata"]["ownerReferences"] = json!([owner]);
    api.patch(name, &PatchParams::apply("e2e").force(), &Patch::Apply(&object)).await?;
    Ok(())
}
