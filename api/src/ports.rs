//! Ports of units beside that of the engine, and protocols between the Gateway and units.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Protocol between the Gateway and a port of the units. `HTTP`: HTTP/1.1, with WebSockets. `H2C`: HTTP/2 without TLS, as
/// gRPC needs it.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BackendProtocol {
    /// HTTP/1.1.
    HTTP,
    /// HTTP/2 without TLS.
    H2C,
}

impl BackendProtocol {
    /// `appProtocol` of the port of a Service.
    #[must_use]
    pub const fn app_protocol(self) -> &'static str {
        match self {
            Self::HTTP => "http",
            Self::H2C => "kubernetes.io/h2c",
        }
    }
}

/// A port of the units that has an address of its own.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExposedPort {
    /// Name of the port in its address: `<prefix>/<unit name>/-/<port name>/` in Path mode,
    /// `<port name>--<unit name>.<domain>` in Host mode.
    #[schemars(length(min = 1, max = 15), regex(pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    #[x_kube(validation = ("self != 'http' && !self.contains('--')", "the name of a port must not be http, and must not contain '--'"))]
    pub name: String,
    /// Number of the port in the pod. Nothing has to listen on it for a unit to be Ready.
    #[schemars(range(min = 1, max = 65535))]
    #[x_kube(validation = ("self != 8085", "8085 is the port of the Service for the engine; choose another number"))]
    pub port: i32,
    /// Protocol between the Gateway and the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<BackendProtocol>,
    /// Path mode: replaces the path of the address in requests to the port, for example `/`. If absent, that of
    /// `spec.routing.path` applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = "^/([-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*$"))]
    pub replace_prefix_match: Option<String>,
}

/// Address of a port of a unit.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortStatus {
    /// Name of the port.
    pub name: String,
    /// URL of the port.
    pub url: String,
}
