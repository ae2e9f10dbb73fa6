//! Finds the Deployments of the operator, which usually is in another namespace than the units.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, ResourceExt, api::ListParams};

use crate::connection::Connection;

/// Labels of the chart on the Deployment.
const SELECTOR: &str = "app.kubernetes.io/part-of=texera,app.kubernetes.io/component=operator";
/// Label of the chart with the version.
const VERSION: &str = "app.kubernetes.io/version";
/// Namespace that the documentation installs the operator in.
const USUAL: &str = "computing-unit-system";

/// The Deployments of operators: those of a namespace, or of all. If all cannot be listed, those of the usual namespace.
///
/// # Errors
/// If they cannot be listed.
pub async fn deployments(connection: &Connection, namespace: Option<&str>) -> kube::Result<Vec<Deployment>> {
    let client = || connection.client.clone();
    let params = ListParams::default().labels(SELECTOR);
    if let Some(namespace) = namespace {
        return Ok(Api::namespaced(client(), namespace).list(&params).await?.items);
    }
    match Api::all(client()).list(&params).await {
        Ok(list) => Ok(list.items),
        Err(error) if is_forbidden(&error) => {
            let usual = Api::namespaced(client(), USUAL).list(&params).await;
            // The first error concerns the request of the user.
            Ok(usual.map_err(|_| error)?.items)
        }
        Err(error) => Err(error),
    }
}

/// Whether the user is not allowed to send the request.
pub fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

/// The version that the chart has labelled the Deployment with.
pub fn version(deployment: &Deployment) -> Option<&String> {
    deployment.labels().get(VERSION)
}

/// Namespace and name.
pub fn label(deployment: &Deployment) -> String {
    format!("{}/{}", deployment.namespace().unwrap_or_default(), deployment.name_any())
}

/// A variable of the operator's container.
pub fn variable<'a>(deployment: &'a Deployment, name: &str) -> Option<&'a str> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    let env = pod.containers.first()?.env.as_ref()?;
    env.iter().find(|variable| variable.name == name)?.value.as_deref()
}

/// The label selector of the pods.
pub fn pods_selector(deployment: &Deployment) -> String {
    let labels: BTreeMap<_, _> =
        deployment.spec.as_ref().and_then(|spec| spec.selector.match_labels.clone()).unwrap_or_default();
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
