//! A stand-in for Texera's agent service, which sends requests to units without the gateway.

use std::net::{IpAddr, SocketAddr};

use serde_json::json;

use super::{Answer, curl, standins::pod_uri};
use crate::{fixture::Fixture, standin, units::ENGINE};

const NAME: &str = "agent-service";
const PORT: u16 = 3001;

/// The agent service of a deployment.
#[derive(Clone, Copy, Debug)]
pub struct Agent(IpAddr);

impl Agent {
    /// Creates its pod.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn create(fixture: &Fixture) -> anyhow::Result<Self> {
        let container = json!({
            "name": "engine",
            "image": ENGINE,
            "command": ["/agent"],
            "env": [
                {"name": "PORT", "value": PORT.to_string()},
                {"name": "EXECUTION_ENDPOINT_TEMPLATE", "value": pod_uri("{cuid}", &fixture.namespace)},
            ],
            "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1, "timeoutSeconds": 5},
        });
        let spec = json!({"containers": [container]});
        Ok(Self(standin::pod(fixture, NAME, &json!({"app": NAME}), &spec).await?))
    }

    /// Lets it run a workflow in a unit. Returns the response of the unit, or 502 if there is none.
    ///
    /// # Errors
    /// If the agent service does not answer.
    pub async fn execute(&self, cuid: i64) -> anyhow::Result<Answer> {
        curl(SocketAddr::new(self.0, PORT), &format!("http://{NAME}/{cuid}"), &["--request", "POST"]).await
    }
}
