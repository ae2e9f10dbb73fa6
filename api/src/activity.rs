//! What tells whether a unit is in use.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;

/// What tells whether the units of a pool are in use. A unit is idle only when every signal here says so for the whole of
/// `lifecycle.idleTimeout`; one that cannot be read says nothing, and then no unit is stopped.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.gateway.mode == 'Enabled' || has(self.busyProbe) || self.annotation == 'Enabled'", "spec.activity: leave at least one signal on: gateway, busyProbe or annotation"))]
pub struct ActivitySpec {
    /// How often the signals are read.
    #[serde(default = "half_a_minute")]
    #[x_kube(validation = ("self.matches('[1-9]')", "spec.activity.interval must be more than 0"))]
    pub interval: Duration,

    /// How long after its start a unit counts as in use whatever the signals say.
    #[serde(default = "five_minutes")]
    pub grace_period: Duration,

    /// What the gateway's proxies counted for the unit.
    #[serde(default)]
    pub gateway: GatewayActivity,

    /// What the unit itself answers. Absent: it is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_probe: Option<BusyProbe>,

    /// Whether the annotation `texera.apache.org/last-activity` of the unit, a time that a backend keeps (RFC 3339),
    /// is a signal too. A unit without it is not in use as far as this signal goes.
    #[serde(default)]
    pub annotation: Signal,
}

impl Default for ActivitySpec {
    fn default() -> Self {
        Self {
            interval: half_a_minute(),
            grace_period: five_minutes(),
            gateway: GatewayActivity::default(),
            busy_probe: None,
            annotation: Signal::Disabled,
        }
    }
}

/// Whether a signal is read.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// It is read.
    Enabled,
    /// It is not read.
    #[default]
    Disabled,
}

/// What the gateway's proxies count: each request, and the bytes of open connections.
#[derive(KubeSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayActivity {
    /// `Disabled` where the operator cannot reach the proxies' statistics.
    #[serde(default = "enabled")]
    pub mode: Signal,
    /// Bytes a second, both ways together, above which open connections count as use: a browser tab that was left open
    /// sends less, a WebSocket at work more.
    #[serde(default = "some_bytes")]
    #[schemars(range(min = 0))]
    pub bytes_per_second: i64,
}

impl Default for GatewayActivity {
    fn default() -> Self {
        Self { mode: enabled(), bytes_per_second: some_bytes() }
    }
}

/// A question to the unit's engine: whether work is running. It answers with JSON that has `busy: true` or `busy: false`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BusyProbe {
    /// The path of the request.
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/[^#\\s]*$"))]
    pub path: String,
    /// The port of the pod that is asked. Absent: the engine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// How long the answer may take.
    #[serde(default = "two_seconds")]
    #[x_kube(validation = ("self.matches('[1-9]')", "spec.activity.busyProbe.timeout must be more than 0"))]
    pub timeout: Duration,
}

const fn enabled() -> Signal {
    Signal::Enabled
}

const fn some_bytes() -> i64 {
    200
}

const fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

const fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

const fn two_seconds() -> Duration {
    Duration::from_secs(2)
}
