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

/// Name of the operator's image and program.
const PROGRAM: &str = "computing-unit-operator";
/// Variables of the operator begin with this.
const VARIABLES: &str = "CU_";

/// The Deployments of operators: those of a namespace, or of all. If all cannot be listed, those of the usual namespace.
/// They are known by the labels of the chart. If none has them, by their image, command or variables.
///
/// # Errors
/// If they cannot be listed.
pub async fn deployments(connection: &Connection, namespace: Option<&str>) -> kube::Result<Vec<Deployment>> {
    let labelled = listed(connection, namespace, &ListParams::default().labels(SELECTOR)).await?;
    if !labelled.is_empty() {
        return Ok(labelled);
    }
    let mut all = listed(connection, namespace, &ListParams::default()).await?;
    all.retain(runs_operator);
    Ok(all)
}

/// Whether a Deployment runs the operator.
pub fn runs_operator(deployment: &Deployment) -> bool {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod.is_some_and(|pod| {
        pod.containers.iter().any(|container| {
            let words = container.image.iter().chain(container.command.iter().flatten());
            let is_program = |word: &String| {
                word.rsplit('/').next().is_some_and(|last| last.split([':', '@']).next() == Some(PROGRAM))
            };
            let mut variables = container.env.iter().flatten();
            words.into_iter().any(is_program) || variables.any(|variable| variable.name.starts_with(VARIABLES))
        })
    })
}

async fn listed(
    connection: &Connection,
    namespace: Option<&str>,
    params: &ListParams,
) -> kube::Result<Vec<Deployment>> {
    let client = || connection.client.clone();
    if let Some(namespace) = namespace {
        return Ok(Api::namespaced(client(), namespace).list(params).await?.items);
    }
    match Api::all(client()).list(params).await {
        Ok(list) => Ok(list.items),
        Err(error) if is_forbidden(&error) => {
            let usual = Api::namespaced(client(), USUAL).list(params).await;
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

/// An option of the operator's container: of its command line, or a variable.
pub fn option<'a>(deployment: &'a Deployment, flag: &str, name: &str) -> Option<&'a str> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    let mut args = pod.containers.iter().flat_map(|one| one.command.iter().chain(&one.args).flatten());
    let given = args.find_map(|arg| arg.strip_prefix(flag)?.strip_prefix('='));
    given.or_else(|| variable(deployment, name))
}

/// A variable of the operator's container.
fn variable<'a>(deployment: &'a Deployment, name: &str) -> Option<&'a str> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    let mut env = pod.containers.iter().flat_map(|container| container.env.iter().flatten());
    env.find(|variable| variable.name == name)?.value.as_deref()
}

/// The label selector of the pods.
pub fn pods_selector(deployment: &Deployment) -> String {
    let labels: BTreeMap<_, _> =
        deployment.spec.as_ref().and_then(|spec| spec.selector.match_labels.clone()).unwrap_or_default();
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
