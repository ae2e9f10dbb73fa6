//! The API server, and the APIs that it serves.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, ResourceExt};

use super::{Check, Context, send};

/// APIs that units depend on: group and version, resources, and where they come from.
const APIS: [(&str, &[&str], &str); 2] = [
    (
        "texera.apache.org/v1alpha1",
        &["computingunits", "computingunitpools"],
        "Install the operator's chart, or the CRDs of its release with kubectl apply --server-side.",
    ),
    (
        "gateway.networking.k8s.io/v1",
        &["gateways", "httproutes"],
        "Install Envoy Gateway, whose chart has the CRDs of Gateway API.",
    ),
];

/// Whether the API server responds.
pub async fn server(context: &Context) -> Check {
    let connection = &context.connection;
    match send(context, connection.client.apiserver_version()).await {
        Ok(info) => Check::ok("API server", format!("{} runs {}", connection.server, info.git_version)),
        Err(error) => Check::fail(
            "API server",
            crate::explain::request(&error, connection.here()).join("; "),
            "Check the kubeconfig and the context, and that the cluster runs.",
        ),
    }
}

/// Whether the APIs are served, and have the fields that the plugin sets.
pub async fn check(context: &Context) -> Vec<Check> {
    let mut all = vec![];
    for (version, resources, source) in APIS {
        let subject = format!("API {version}");
        let served = match send(context, context.connection.client.list_api_group_resources(version)).await {
            Ok(list) => list.resources.into_iter().map(|resource| resource.name).collect(),
            Err(kube::Error::Api(status)) if status.code == 404 => BTreeSet::new(),
            Err(error) => {
                all.push(Check::error(subject, &error));
                continue;
            }
        };
        let missing: Vec<_> = resources.iter().filter(|name| !served.contains(**name)).copied().collect();
        all.push(if missing.is_empty() {
            Check::ok(subject, format!("{} are served", resources.join(" and ")))
        } else {
            Check::fail(subject, format!("the API server does not serve {}", missing.join(" and ")), source)
        });
    }
    if all.first().is_some_and(|check| check.level == super::Level::Ok) {
        all.extend(schemas(context).await);
    }
    all
}

/// Compares the fields of the CRDs with those of this release.
async fn schemas(context: &Context) -> Vec<Check> {
    let api: Api<CustomResourceDefinition> = Api::all(context.connection.client.clone());
    let mut all = vec![];
    for known in computing_unit_api::crds() {
        let name = known.name_any();
        match send(context, api.get(&name)).await {
            Ok(served) => all.push(compared(&known, &served)),
            // Most users cannot read CRDs, and need not.
            Err(error) if super::super::operators::is_forbidden(&error) => {
                all.push(Check::skip(format!("CRD {name}"), "you cannot read it, so its fields are not compared"));
            }
            Err(error) => all.push(Check::error(format!("CRD {name}"), &error)),
        }
    }
    all
}

/// Compares the CRD of this release with the one of the cluster.
pub fn compared(known: &CustomResourceDefinition, served: &CustomResourceDefinition) -> Check {
    let subject = format!("CRD {}", known.name_any());
    let (known, served) = (fields(known), fields(served));
    let missing: Vec<_> = known.difference(&served).cloned().collect();
    let others: Vec<_> = served.difference(&known).cloned().collect();
    if !missing.is_empty() {
        return Check::warn(
            subject,
            format!("it is older than this plugin, and has no field {}", missing.join(", ")),
            "Upgrade the CRDs with the operator's chart, or use the plugin of the operator's release.",
        );
    }
    if !others.is_empty() {
        return Check::warn(
            subject,
            format!("it is newer than this plugin, which does not know {}", others.join(", ")),
            "Install the plugin of the operator's release.",
        );
    }
    Check::ok(subject, "its fields are those of this release")
}

/// The fields of spec and status, by path.
fn fields(crd: &CustomResourceDefinition) -> BTreeSet<String> {
    let version = crd.spec.versions.iter().find(|version| version.name == "v1alpha1");
    let root = version.and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref()?.properties.as_ref());
    let mut all = BTreeSet::new();
    for part in ["spec", "status"] {
        let properties = root.and_then(|root| root.get(part)?.properties.as_ref());
        all.extend(properties.into_iter().flatten().map(|(name, _)| format!("{part}.{name}")));
    }
    all
}
