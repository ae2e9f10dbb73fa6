//! The probe that verifies that a unit is reachable: `spec.probe` of a pool.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Request that the operator sends to every proxy of the Gateway to verify that the route of a unit is active or gone.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeSpec {
    /// Whether probes are sent. Set `Disabled` if the operator cannot reach the proxies. Units are then Ready if their pod is
    /// Ready and their route is accepted.
    #[serde(default)]
    pub mode: ProbeMode,
    /// Method of the request.
    #[serde(default)]
    pub method: ProbeMethod,
    /// Path of the request. Defaults to the path of `status.url`. In Path mode it is appended to the prefix of the unit. In
    /// Query mode it must match one of `spec.routing.query.paths`, and may contain `{key}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 1024),
        regex(pattern = "^/([-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2}|[{]key[}])*$")
    )]
    pub path: Option<String>,
}

/// Whether probes are sent.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProbeMode {
    /// Probes are sent to every proxy.
    #[default]
    Enabled,
    /// No probes are sent.
    Disabled,
}

/// The method of a probe.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProbeMethod {
    /// `HEAD`.
    #[default]
    Head,
    /// `GET`. The body of the response is not read.
    Get,
    /// `OPTIONS`.
    Options,
}
