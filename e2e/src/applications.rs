//! Pools whose units are real applications. Only on the local cluster.

use anyhow::Context;
use computing_unit_api::{ComputingUnitPool, names::PORT};
use serde_json::{Value, json};

use crate::{
    cluster::{application_images::Application, images::REPOSITORY, layout},
    fixture::Fixture,
    images,
    units::{Mode, with},
};

/// An application with its command line.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// The application.
    pub application: Application,
    /// Its arguments.
    pub args: &'static [&'static str],
    /// The path that responds with 200 once it has started.
    pub ready: &'static str,
}

/// Installs an application, and brings its image into the cluster. False if the cluster is not the local one.
///
/// # Errors
/// If it cannot be installed.
pub async fn bring(application: Application) -> anyhow::Result<bool> {
    images::bring(move || application.image()).await
}

impl Started {
    /// A pool in Host mode whose units run the application, and are stopped after one idle minute.
    #[must_use]
    pub fn pool(&self, fixture: &Fixture, busy_probes: &Value) -> ComputingUnitPool {
        let pool = fixture.pool(Mode::Host);
        let mut template = json!(pool.spec.template);
        let engine = &mut template["spec"]["containers"][0];
        engine["image"] = json!(format!("{REPOSITORY}/{}", self.application.name()));
        engine["args"] = json!(self.args);
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
