//! A kubeconfig file for a proxy, without credentials. It is removed on drop.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

/// A file that is removed on drop.
#[derive(Debug)]
pub(super) struct Kubeconfig(PathBuf);

impl Kubeconfig {
    /// Writes the file for an API server at `address` that serves plain HTTP.
    pub(super) fn write(address: SocketAddr, namespace: &str) -> anyhow::Result<Self> {
        let name = format!("proxy-{}-{}.kubeconfig", std::process::id(), address.port());
        let path = std::env::temp_dir().join(name);
        // JSON is YAML.
        let content = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{
                "name": "proxy",
                "context": {"cluster": "proxy", "user": "proxy", "namespace": namespace},
            }],
            "current-context": "proxy",
        });
        fs::write(&path, content.to_string()).with_context(|| format!("write {}", path.display()))?;
        Ok(Self(path))
    }

    /// The path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Kubeconfig {
    fn drop(&mut self) {
        // It may have been removed already.
        let _ = fs::remove_file(&self.0);
    }
}
