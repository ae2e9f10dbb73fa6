//! The kubelet of the node, which a test can pause. Only on the local cluster. If the test is killed, the next test or
//! `make cluster` resumes the kubelet.

use anyhow::Context;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, ResourceExt, api::ListParams};

use crate::{
    attach::Cluster,
    cluster::{layout::Layout, process::Processes},
    gateway,
};

/// The name of its process.
const NAME: &str = "kubelet";

/// The kubelet of a local cluster.
#[derive(Clone, Debug)]
pub struct Kubelet {
    node: String,
    processes: Processes,
}

impl Kubelet {
    /// The kubelet of the current cluster. `None` if that is not a local cluster of this machine.
    ///
    /// # Errors
    /// If the API server cannot be read.
    pub async fn of(cluster: &Cluster) -> anyhow::Result<Option<Self>> {
        if !gateway::is_ours(cluster).await? {
            return Ok(None);
        }
        let nodes = Api::<Node>::all(cluster.client()).list_metadata(&ListParams::default()).await?;
        let node = nodes.items.first().context("no node")?.name_any();
        let Some(layout) = Layout::of_node(&node)? else { return Ok(None) };
        Ok(Some(Self { node, processes: Processes::of(&layout)? }))
    }

    /// The name of the node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Pauses the kubelet until the returned value is dropped.
    ///
    /// # Errors
    /// If it is not running.
    pub fn pause(&self) -> anyhow::Result<Paused> {
        self.processes.pause(NAME)?;
        Ok(Paused(self.clone()))
    }

    /// Resumes the kubelet if a killed test left it paused.
    ///
    /// # Errors
    /// If it is not running.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.processes.resume(NAME)
    }
}

/// A paused kubelet, which is resumed on drop.
#[derive(Debug)]
pub struct Paused(Kubelet);

impl Drop for Paused {
    fn drop(&mut self) {
        if let Err(error) = self.0.resume() {
            eprintln!("cannot resume the kubelet: {error:#}");
        }
    }
}
