//! What answers for the units of a pool that have no route.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;

/// The operator's own answers at the addresses of units that have no route: which units there are, how far a start has
/// come, and, if `wakeOnRequest` says so, the start itself.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivatorSpec {
    /// Whether a request for a unit that is suspended starts it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wake_on_request: bool,
    /// How long such a request is held before it is answered with 503 and `Retry-After`. A unit that is reachable sooner
    /// is answered with a redirect to the same URL. `0s`: not at all.
    #[serde(default = "twenty_seconds")]
    pub hold: Duration,
}

const fn twenty_seconds() -> Duration {
    Duration::from_secs(20)
}
