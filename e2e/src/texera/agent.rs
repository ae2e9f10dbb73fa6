//! A stand-in for Texera's agent service, which sends requests to units from inside the cluster.

use std::net::{IpAddr, SocketAddr};

use serde_json::json;

use super::{Answer, curl};
use crate::{fixture::Fixture, standin, units::ENGINE};

const NAME: &str = "agent-service";
const PORT: u16 = 3001;

/// The agent service of a deployment.
#[derive(Clone, Copy, Debug)]
pub struct Agent(IpAddr);

impl Agent {
    /// Creates its pod. `endpoint` is the URL of a unit, with `{cuid}` for its number.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn create(fixture: &Fixture, endpoint: &str) -> anyhow::Result<Self> {
        let container = json!({
            "name": "engine",
            "image": ENGINE,
            "command": ["/agent"],
            "env": [
                {"name": "PORT", "value": PORT.to_string()},
                {"name": "EXECUTION_ENDPOINT_TEMPLATE", "value": endpoint},
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
        self.execute_with(cuid, &[]).await
    }

    /// The same, with these arguments of curl, such as a body.
    ///
    /// # Errors
    /// If the agent service does not answer.
    pub async fn execute_with(&self, cuid: i64, args: &[&str]) -> anyhow::Result<Answer> {
        let all: Vec<_> = ["--request", "POST", "--max-time", "60"].iter().chain(args).copied().collect();
        curl(SocketAddr::new(self.0, PORT), &format!("http://{NAME}/{cuid}"), &all).await
    }
}
