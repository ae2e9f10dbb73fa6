//! Pools whose units are real applications, which run from the cache of this machine. Only on the local cluster.

use std::path::{Path, PathBuf};

use anyhow::Context;
use computing_unit_api::{ComputingUnitPool, names::PORT};
use serde_json::{Value, json};

use crate::{
    cluster::layout,
    fixture::Fixture,
    gateway,
    units::{Mode, with},
};

/// An application.
#[derive(Debug)]
pub struct Application {
    /// The folder that it is installed in.
    pub folder: PathBuf,
    /// Its command line.
    pub command: Vec<String>,
    /// The path that responds with 200 once it has started.
    pub ready: &'static str,
}

/// Installs an application. `None` if the cluster is not the local one.
///
/// # Errors
/// If it cannot be installed.
pub async fn install(
    fixture: &Fixture,
    install: impl FnOnce() -> anyhow::Result<PathBuf> + Send + 'static,
) -> anyhow::Result<Option<PathBuf>> {
    if !gateway::is_ours(&fixture.cluster).await? {
        println!("NOT RUN: pods of the current cluster do not see the folders of this machine");
        return Ok(None);
    }
    tokio::task::spawn_blocking(install).await?.map(Some)
}

impl Application {
    /// A pool in Host mode whose units run the application, and are stopped after one idle minute.
    #[must_use]
    pub fn pool(&self, fixture: &Fixture, busy_probes: &Value) -> ComputingUnitPool {
        let folder = |name: &str, path: &Path| json!({"name": name, "hostPath": {"path": path, "type": "Directory"}});
        let mount = |name: &str, path: &Path| json!({"name": name, "mountPath": path, "readOnly": true});
        let usr = Path::new("/usr");
        let pool = fixture.pool(Mode::Host);
        let mut template = json!(pool.spec.template);
        template["spec"]["volumes"] = json!([folder("usr", usr), folder("application", &self.folder)]);
        let engine = &mut template["spec"]["containers"][0];
        engine["volumeMounts"] = json!([mount("usr", usr), mount("application", &self.folder)]);
        engine["command"] = json!(self.command);
        engine["env"] = json!([
            {"name": "HOME", "value": "/tmp"}, {"name": "USER", "value": "unit"}, {"name": "PATH", "value": "/usr/bin"},
        ]);
        engine["readinessProbe"]["httpGet"] = json!({"path": self.ready, "port": PORT});
        engine["resources"] = json!({"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}});
        let spec = json!({
            "template": template, "lifecycle": {"idleTimeout": "1m"},
            "activity": {"interval": "5s", "gracePeriod": "1s", "busyProbes": busy_probes},
        });
        with(&pool, &json!({"spec": spec}))
    }
}

/// The busy probes that `docs/idle.md` has for an application, in Host mode.
///
/// # Errors
/// If it has none.
pub fn documented_probes(heading: &str) -> anyhow::Result<Value> {
    let page = std::fs::read_to_string(layout::checkout().join("docs/idle.md"))?;
    let section = page.split_once(heading).with_context(|| format!("no {heading} in docs/idle.md"))?.1;
    let yaml = section.split("```").nth(1).and_then(|block| block.strip_prefix("yaml")).context("no example")?;
    let mut probes: Value = serde_saphyr::from_str(yaml)?;
    let probes = probes["busyProbes"].take();
    // The example is for Path mode.
    let text = probes.to_string().replace("/units/{unit}", "");
    Ok(serde_json::from_str(&text)?)
}
