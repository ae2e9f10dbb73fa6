//! The node's kubelet, stopped for a while: on the local cluster alone, and never for longer than whoever stopped it
//! lives and until the next test.

use anyhow::Context;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, ResourceExt, api::ListParams};

use crate::{
    attach::Cluster,
    cluster::{layout::Layout, process::Processes},
    gateway,
};

/// Its name among the cluster's processes.
const NAME: &str = "kubelet";

/// The kubelet of a local cluster.
#[derive(Clone, Debug)]
pub struct Kubelet {
    node: String,
    processes: Processes,
}

impl Kubelet {
    /// That of the cluster in use. None if that is not the tests' own, or not on this machine.
    ///
    /// # Errors
    /// If the API server does not tell.
    pub async fn of(cluster: &Cluster) -> anyhow::Result<Option<Self>> {
        if !gateway::is_ours(cluster).await? {
            return Ok(None);
        }
        let nodes = Api::<Node>::all(cluster.client()).list_metadata(&ListParams::default()).await?;
        let node = nodes.items.first().context("a node")?.name_any();
        let Some(layout) = Layout::of_node(&node)? else { return Ok(None) };
        Ok(Some(Self { node, processes: Processes::of(&layout)? }))
    }

    /// The name of its node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Stops it until what is returned is dropped.
    ///
    /// # Errors
    /// If it does not run.
    pub fn pause(&self) -> anyhow::Result<Paused> {
        self.processes.pause(NAME)?;
        Ok(Paused(self.clone()))
    }

    /// Has it go on, where a test that was killed has left it stopped.
    ///
    /// # Errors
    /// If it does not run.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.processes.resume(NAME)
    }
}

/// A kubelet that is stopped; dropping it has it go on.
#[derive(Debug)]
pub struct Paused(Kubelet);

impl Drop for Paused {
    fn drop(&mut self) {
        if let Err(error) = self.0.resume() {
            eprintln!("the kubelet does not go on: {error:#}");
        }
    }
}
