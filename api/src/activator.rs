//! The activator of a pool, which answers for units without a route.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;

/// The activator answers requests for units that have no route. It reports the state of the unit and the progress of a
/// start, and starts the unit if `wakeOnRequest` is true.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivatorSpec {
    /// If true, a request for a suspended unit starts it. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wake_on_request: bool,
    /// How long a request that starts a unit is held. It is answered with a redirect to the same URL if the unit becomes
    /// reachable in this time, otherwise with 503 and `Retry-After`. `0s` disables holding.
    #[serde(default = "twenty_seconds")]
    pub hold: Duration,
    /// Host names of clients' requests if `spec.routing.query.lookup` is Host. If absent, the route to the activator accepts any
    /// host name; but if other routes of the Gateway have the host name of a request, proxies consider only those. Set the
    /// host names that other routes have, such as that of the site.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 15),
        inner(
            length(max = 253),
            regex(pattern = "^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub hostnames: Vec<String>,
}

const fn twenty_seconds() -> Duration {
    Duration::from_secs(20)
}
