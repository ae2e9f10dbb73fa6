//! Images that single tests need in the cluster, and are not there from the start.

use std::path::PathBuf;

use anyhow::Context;

use crate::{
    attach::Cluster,
    cluster::{images, layout::Layout},
    kubelet::Kubelet,
};

/// Builds an image and brings it into the local cluster. False on another cluster, to which no image can be brought.
///
/// # Errors
/// If the image cannot be built, or containerd does not take it.
pub async fn bring(image: impl FnOnce() -> anyhow::Result<PathBuf> + Send + 'static) -> anyhow::Result<bool> {
    // The shared Gateway shows whose cluster it is, whichever Gateway a test uses.
    let Some(kubelet) = Kubelet::of(&Cluster::attach().await?).await? else {
        println!("NOT RUN: an image cannot be brought into the cluster in use");
        return Ok(false);
    };
    let layout = Layout::of_node(kubelet.node())?.context("the cluster of this machine")?;
    tokio::task::spawn_blocking(move || images::import(&layout, &[image()?])).await??;
    Ok(true)
}
