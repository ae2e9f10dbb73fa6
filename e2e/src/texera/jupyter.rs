//! Stand-ins for the Jupyter servers of users: one pod for each, named by a headless Service.

use std::net::IpAddr;

use serde_json::json;

use crate::{fixture::Fixture, standin};

/// The path of the servers, as `jupyterPool.basePath` of Texera's chart.
pub const BASE_PATH: &str = "/jupyter";
const SERVICE: &str = "jupyter-svc";
const PORT: i32 = 8888;

/// The address of a user's server: `generatePodURI` in Texera's `JupyterKubernetesClient`.
#[must_use]
pub fn pod_uri(uid: &str, namespace: &str) -> String {
    format!("jupyter-{uid}.{}:{PORT}", domain(namespace))
}

/// The domain of their host names.
#[must_use]
pub fn domain(namespace: &str) -> String {
    format!("{SERVICE}.{namespace}.svc.cluster.local")
}

/// Creates the server of a user, as Texera's `JupyterProvisioner` does at the first request.
///
/// # Errors
/// If it does not become ready.
pub async fn create(fixture: &Fixture, uid: i64) -> anyhow::Result<IpAddr> {
    let labels = json!({"app": "jupyter"});
    let name = format!("jupyter-{uid}");
    standin::service(fixture, SERVICE, &labels, PORT).await?;
    let container = json!({"name": "engine", "image": crate::units::ENGINE, "env": [
        {"name": "COMPUTING_UNIT_NAME", "value": name},
        {"name": "PORT", "value": PORT.to_string()},
    ], "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1, "timeoutSeconds": 5}});
    let spec = json!({"hostname": name, "subdomain": SERVICE, "containers": [container]});
    standin::pod(fixture, &name, &labels, &spec).await
}
