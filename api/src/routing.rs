//! How requests reach the units of a pool: one of three modes, and its timeouts.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;

/// How a request finds its unit: `type`, and the member of that name.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.type == oldSelf.type", "spec.routing.type cannot be changed: create another pool"),
    validation = ("(self.type == 'Query') == has(self.query)", "spec.routing.query is given exactly where spec.routing.type is Query"),
    validation = ("(self.type == 'Path') == has(self.path)", "spec.routing.path is given exactly where spec.routing.type is Path"),
    validation = ("(self.type == 'Host') == has(self.host)", "spec.routing.host is given exactly where spec.routing.type is Host")
)]
pub struct Routing {
    /// `Query`: a query parameter carries the key. `Path`: the unit's name follows a path prefix. `Host`: the unit's
    /// name is the first label of the host name. Cannot be changed.
    pub r#type: RoutingType,
    /// Query mode: which paths, and which parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self == oldSelf", "spec.routing.query cannot be changed: create another pool"))]
    pub query: Option<QueryRouting>,
    /// Path mode: under which prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRouting>,
    /// Host mode: under which domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self == oldSelf", "spec.routing.host cannot be changed: create another pool"))]
    pub host: Option<HostRouting>,
    /// Scheme, host and port that `status.url` of the units starts with, such as `https://units.example.org`. Absent:
    /// taken from the Gateway's listener and address. In Host mode the unit's host name takes the place of the host.
    #[serde(default, rename = "baseURL", skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^https?://[A-Za-z0-9.:\\[\\]_-]+$"), length(max = 512))]
    pub base_url: Option<String>,
    /// Limits on the time of a request.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// The ways in which a request can carry the key.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RoutingType {
    /// By a query parameter, as Texera's clients do.
    Query,
    /// By a path segment after a prefix.
    Path,
    /// By the first label of the host name.
    Host,
}

/// Query mode: a request for one of `paths` that carries the unit's key in `parameter`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("(self.lookup == 'Host') == has(self.lookupDomain)", "spec.routing.query.lookupDomain is given exactly where spec.routing.query.lookup is Host"))]
pub struct QueryRouting {
    /// The query parameter that carries the key. Proxies take the first of several, case-sensitively and undecoded.
    #[serde(default = "default_parameter")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_.~-]+$"))]
    pub parameter: String,
    /// The paths that belong to units. `status.url` is made with the first of type PathPrefix.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub paths: Vec<PathMatch>,
    /// How a proxy finds the unit of a request among all units.
    #[serde(default)]
    pub lookup: QueryLookup,
    /// With `lookup: Host`, the domain of the internal host names, such as `units.internal`: unit `ada` is looked up as
    /// `ada.units.internal`. No client needs to resolve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 189),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub lookup_domain: Option<String>,
}

/// How a proxy finds the unit of a request in Query mode.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum QueryLookup {
    /// By going through the matches of all units. It needs nothing else.
    #[default]
    Linear,
    /// By an internal host name, in the same time however many units there are. Requests come by the pool's entry, whose
    /// external authorization answers with `Host: <unit>.<lookupDomain>` and has the route computed anew. The unit's own
    /// route asks for its key as well, so a request that was authorized for one unit never reaches another.
    Host,
}

/// A path, as HTTPRoute matches it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.type == 'RegularExpression' || self.value.startsWith('/')", "start the path with '/'"),
    // What HTTPRoute refuses: the pool would be stored, and none of its units' routes.
    validation = ("self.type == 'RegularExpression' || (self.value.matches(r\"^([-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+$\") && !self.value.matches('(//|/[.]{1,2}(/|$)|%2[fF])'))", "write the path as it is in a request, without empty, '.' and '..' segments and without '%2f'")
)]
pub struct PathMatch {
    /// How `value` is compared with the path of a request.
    #[serde(default)]
    pub r#type: PathMatchType,
    /// The path, or the regular expression that matches all of it.
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
}

/// How a path is compared.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PathMatchType {
    /// By whole path segments from the start.
    #[default]
    PathPrefix,
    /// The whole path.
    Exact,
    /// By a regular expression on the whole path (implementation-specific in Gateway API).
    RegularExpression,
}

/// Path mode: `<prefix>/<unit name>/...`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PathRouting {
    /// The prefix under which each unit has its name as the next segment. `/` for none. Cannot be changed.
    #[schemars(length(min = 1, max = 512), regex(pattern = "^/([A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*)?$"))]
    #[x_kube(
        validation = ("self == oldSelf", "spec.routing.path.prefix cannot be changed: create another pool"),
        validation = ("!self.matches('/[.]{1,2}(/|$)')", "spec.routing.path.prefix: leave out '.' and '..' segments, which clients take out of a URL")
    )]
    pub prefix: String,
    /// What takes the place of `<prefix>/<unit name>` on the way to the unit, such as `/`. Absent: the unit sees the
    /// path as it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = "^/"))]
    pub replace_prefix_match: Option<String>,
}

/// Host mode: `<unit name>.<domain>`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostRouting {
    /// The domain whose names belong to units alone, such as `units.example.org`.
    #[schemars(
        length(min = 1, max = 189),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub domain: String,
}

/// Limits on the time of a request, as HTTPRoute has them. `0s` is no limit.
#[derive(KubeSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!has(self.backendRequest) || !self.request.matches('[1-9]') || duration(self.backendRequest) <= duration(self.request)", "spec.routing.timeouts.backendRequest is part of the request: make it at most spec.routing.timeouts.request"))]
pub struct Timeouts {
    /// From the first byte of a request to the last of its answer. Default `0s`: WebSockets and exports last.
    #[serde(default = "no_limit")]
    pub request: Duration,
    /// For one attempt of the gateway at the unit. Absent: the gateway's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_request: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { request: no_limit(), backend_request: None }
    }
}

fn default_parameter() -> String {
    "cuid".to_owned()
}

const fn no_limit() -> Duration {
    Duration::from_secs(0)
}
