//! Images that only some tests need.

use std::path::PathBuf;

use anyhow::Context;

use crate::{
    attach::Cluster,
    cluster::{images, layout::Layout},
    kubelet::Kubelet,
};

/// Builds an image and imports it into the local cluster. Returns false for any other cluster.
///
/// # Errors
/// If the image cannot be built, or containerd rejects it.
pub async fn bring(image: impl FnOnce() -> anyhow::Result<PathBuf> + Send + 'static) -> anyhow::Result<bool> {
    let Some(layout) = local().await? else { return Ok(false) };
    tokio::task::spawn_blocking(move || images::import(&layout, &[image()?])).await??;
    Ok(true)
}

/// The reference by digest of an image of the local cluster. `None` for any other cluster.
///
/// # Errors
/// If the cluster does not have the image.
pub async fn by_digest(reference: &'static str) -> anyhow::Result<Option<String>> {
    let Some(layout) = local().await? else { return Ok(None) };
    tokio::task::spawn_blocking(move || images::by_digest(&layout, reference)).await?.map(Some)
}

async fn local() -> anyhow::Result<Option<Layout>> {
    // The shared Gateway identifies the local cluster, even if the test uses another Gateway.
    let Some(kubelet) = Kubelet::of(&Cluster::attach().await?).await? else {
        println!("NOT RUN: the images of the current cluster cannot be changed");
        return Ok(None);
    };
    Layout::of_node(kubelet.node())?.context("no local cluster").map(Some)
}
