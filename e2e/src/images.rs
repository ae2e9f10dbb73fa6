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
    // The shared Gateway identifies the local cluster, even if the test uses another Gateway.
    let Some(kubelet) = Kubelet::of(&Cluster::attach().await?).await? else {
        println!("NOT RUN: images cannot be imported into the current cluster");
        return Ok(false);
    };
    let layout = Layout::of_node(kubelet.node())?.context("no local cluster")?;
    tokio::task::spawn_blocking(move || images::import(&layout, &[image()?])).await??;
    Ok(true)
}
