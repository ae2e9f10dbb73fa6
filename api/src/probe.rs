//! How the operator finds out that a unit can be reached: the pool's `spec.probe`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The request by which the operator finds out, at every proxy of the gateway, that a unit's route is there or gone.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeSpec {
    /// `Disabled` where the operator cannot reach the proxies: units are then Ready when their route is accepted.
    #[serde(default)]
    pub mode: ProbeMode,
    /// The method of the request.
    #[serde(default)]
    pub method: ProbeMethod,
    /// The path of the request, where it is not to be that of `status.url`. In Path mode it follows the unit's prefix;
    /// in Query mode it has to lie within one of the routing's paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/[^?#\\s]*$"))]
    pub path: Option<String>,
}

/// Whether probes are sent.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProbeMode {
    /// To every proxy.
    #[default]
    Enabled,
    /// Not at all.
    Disabled,
}

/// The method of a probe.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProbeMethod {
    /// No body either way.
    #[default]
    Head,
    /// The body of the answer is not read.
    Get,
    /// For engines that answer nothing else.
    Options,
}
