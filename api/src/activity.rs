//! Signals of activity: `spec.activity` of a pool.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;

/// Signals from which the operator decides if a unit is in use. A unit is idle if no signal reported activity during the
/// whole of `spec.lifecycle.idleTimeout`. While an enabled signal cannot be read, the unit is not stopped.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.gateway.mode == 'Enabled' || (has(self.busyProbes) && size(self.busyProbes) > 0) || self.annotation == 'Enabled'", "spec.activity must enable at least one signal: gateway, busyProbes or annotation"))]
pub struct ActivitySpec {
    /// Interval at which the signals are read.
    #[serde(default = "half_a_minute")]
    #[x_kube(validation = ("self.matches('[1-9]')", "spec.activity.interval must be greater than 0"))]
    pub interval: Duration,

    /// Time after the start of a unit during which it counts as in use regardless of the signals.
    #[serde(default = "five_minutes")]
    pub grace_period: Duration,

    /// Requests and traffic counted by the proxies of the Gateway.
    #[serde(default)]
    pub gateway: GatewayActivity,

    /// HTTP requests to the unit that report if work is running. The unit is idle only if all of them report that.
    #[serde(default)]
    #[schemars(length(max = 4))]
    pub busy_probes: Vec<BusyProbe>,

    /// Time of the last use, as a backend records it in the annotation `texera.apache.org/last-activity` of the unit
    /// (RFC 3339). A unit without the annotation reports no activity.
    #[serde(default)]
    pub annotation: Signal,
}

impl Default for ActivitySpec {
    fn default() -> Self {
        Self {
            interval: half_a_minute(),
            grace_period: five_minutes(),
            gateway: GatewayActivity::default(),
            busy_probes: Vec::new(),
            annotation: Signal::Disabled,
        }
    }
}

/// Whether a signal is read.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// The signal is read.
    Enabled,
    /// The signal is not read.
    #[default]
    Disabled,
}

/// Activity counted by the proxies of the Gateway: each request, and the bytes of open connections.
#[derive(KubeSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayActivity {
    /// Whether the proxies are read. Set `Disabled` if the operator cannot reach the statistics of the proxies.
    #[serde(default = "enabled")]
    pub mode: Signal,
    /// Bytes per second, both directions together, above which open connections count as activity. An open browser tab
    /// without user typically stays below the default.
    #[serde(default = "some_bytes")]
    #[schemars(range(min = 0))]
    pub bytes_per_second: i64,
    /// Requests per minute up to which requests do not count as activity, for applications whose open pages poll the
    /// server. A WebSocket counts as one request, and its bytes count by `bytesPerSecond`.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100_000))]
    pub requests_per_minute: i64,
}

impl Default for GatewayActivity {
    fn default() -> Self {
        Self { mode: enabled(), bytes_per_second: some_bytes(), requests_per_minute: 0 }
    }
}

/// HTTP request to the unit's engine that reports if work is running. Without `expression`, the response has the status 200
/// and is JSON with the boolean `busy`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BusyProbe {
    /// Path of the request. `{unit}` is replaced by the name of the unit.
    #[schemars(
        length(min = 1, max = 1024),
        regex(pattern = "^/([-A-Za-z0-9/._~!$&'()*+,;=:@?]|%[0-9A-Fa-f]{2}|\\{unit\\})*$")
    )]
    pub path: String,
    /// Port of the pod. If absent, the port of the engine is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// Timeout of the request.
    #[serde(default = "two_seconds")]
    #[x_kube(validation = ("self.matches('[1-9]')", "spec.activity.busyProbes[].timeout must be greater than 0"))]
    pub timeout: Duration,
    /// CEL expression over the response: `response.status` is the status, `response.json` the body parsed as JSON (`null` if
    /// it is not JSON), and `now` the time. Its value is a boolean, whether work is running, or a timestamp, when the unit
    /// was last used. While it has no value, the signal cannot be read and the unit is not stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub expression: Option<String>,
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
