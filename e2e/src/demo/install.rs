//! Installs the operator as the demo has it: by its chart, for the namespaces of units that there are.

use std::env;

use anyhow::Context;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

use super::show::run;
use crate::{
    attach::Cluster,
    cluster::images::{self, Own},
};

/// Where the operator is installed.
pub const SYSTEM: &str = "computing-unit-system";
/// Where units live, as the samples have it.
pub const UNITS: &str = "computing-units";
/// Where a deployment of Texera's shape has its services and its Gateway.
pub const TEXERA: &str = "texera";
/// Where it has its units.
pub const TEXERA_UNITS: &str = "texera-workflow-computing-unit-pool";

/// Installs the operator, or upgrades it.
///
/// # Errors
/// If Helm does not.
pub async fn operator(cluster: &Cluster) -> anyhow::Result<()> {
    let image = image()?;
    let units = existing(cluster, &[UNITS, TEXERA_UNITS]).await?.join(",");
    let gateways = existing(cluster, &[&cluster.gateway().namespace, TEXERA]).await?.join(",");
    let line = format!(
        "helm upgrade --install computing-unit-operator charts/computing-unit-operator --namespace {SYSTEM} \
         --create-namespace --take-ownership --force-conflicts --wait --timeout 3m --hide-notes {image} \
         --set operator.watchNamespaces={{{units}}} --set operator.gatewayNamespaces={{{gateways}}}"
    );
    run(cluster, &line).await
}

async fn existing<'a>(cluster: &Cluster, names: &[&'a str]) -> anyhow::Result<Vec<&'a str>> {
    let api = Api::<Namespace>::all(cluster.client());
    let mut all = vec![];
    for name in names {
        if api.get_metadata_opt(name).await?.is_some() {
            all.push(*name);
        }
    }
    Ok(all)
}

/// Which image, in the words of the chart.
fn image() -> anyhow::Result<String> {
    if let Ok(image) = env::var("OPERATOR_IMAGE") {
        let (repository, tag) = image.rsplit_once(':').context("OPERATOR_IMAGE: write repository:tag")?;
        return Ok(format!("--set image.repository={repository} --set image.tag={tag}"));
    }
    // The tag stays the same from build to build; the annotation makes a new build roll out.
    let archive = images::own(Own::Operator)?;
    let build = archive.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    Ok(format!("--set image.tag=dev --set podAnnotations.build={build}"))
}
