//! Installs the operator for the demo: with Helm, for the unit namespaces that exist.

use std::env;

use anyhow::Context;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

pub use crate::cluster::kubeconfig::UNITS;

use super::show::run;
use crate::{
    attach::Cluster,
    cluster::images::{self, Own, REPOSITORY},
};

/// The namespace of the operator.
pub const SYSTEM: &str = "computing-unit-system";
/// The namespace of Texera's services and of their Gateway.
pub const TEXERA: &str = "texera";
/// The namespace of Texera's units.
pub const TEXERA_UNITS: &str = "texera-workflow-computing-unit-pool";

/// Installs or upgrades the operator.
///
/// # Errors
/// If Helm fails.
pub async fn operator(cluster: &Cluster) -> anyhow::Result<()> {
    let image = image()?;
    let units = existing(cluster, &[UNITS, TEXERA_UNITS]).await?.join(",");
    let gateways = existing(cluster, &[&cluster.gateway().namespace, TEXERA]).await?.join(",");
    // Not by the release: the CRDs may exist already and belong to no release.
    cluster.install_definitions().await?;
    let line = format!(
        "helm upgrade --install computing-unit-operator charts/computing-unit-operator --namespace {SYSTEM} \
         --create-namespace --set crds.install=false --wait --timeout 3m --hide-notes {image} \
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

/// The Helm flags for the image.
fn image() -> anyhow::Result<String> {
    if let Ok(image) = env::var("OPERATOR_IMAGE") {
        let (repository, tag) = image.rsplit_once(':').context("OPERATOR_IMAGE: expected repository:tag")?;
        return Ok(format!("--set image.repository={repository} --set image.tag={tag}"));
    }
    // The tag is the same for all builds. The annotation triggers a rollout of each new build.
    let archive = images::own(Own::Operator)?;
    let build = archive.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    let repository = format!("{REPOSITORY}/computing-unit-operator");
    Ok(format!("--set image.repository={repository} --set image.tag=dev --set podAnnotations.build={build}"))
}
