//! Routing of requests to the units of a pool: three modes, and timeouts.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;

/// How the Gateway routes requests to units. The field that corresponds to `type` must be set.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.type == oldSelf.type", "spec.routing.type is immutable; create another pool"),
    validation = ("(self.type == 'Query') == has(self.query)", "spec.routing.query must be set if and only if spec.routing.type is Query"),
    validation = ("(self.type == 'Path') == has(self.path)", "spec.routing.path must be set if and only if spec.routing.type is Path"),
    validation = ("(self.type == 'Host') == has(self.host)", "spec.routing.host must be set if and only if spec.routing.type is Host"),
    validation = ("self.type != 'Path' || has(self.isolation)", "spec.routing.isolation is required in Path mode, in which all units have the browser origin of the Gateway's host: set it to Sandbox, or to None if you trust the HTML of every unit")
)]
pub struct Routing {
    /// Routing mode. `Query`: a query parameter has the routing key. `Path`: the name of the unit follows a path prefix.
    /// `Host`: the name of the unit is the first label of the host name. Immutable.
    pub r#type: RoutingType,
    /// Query mode: paths and query parameter. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self == oldSelf", "spec.routing.query is immutable; create another pool"))]
    pub query: Option<QueryRouting>,
    /// Path mode: path prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRouting>,
    /// Host mode: domain. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self == oldSelf", "spec.routing.host is immutable; create another pool"))]
    pub host: Option<HostRouting>,
    /// Scheme, host and port of `status.url` of the units, for example `https://units.example.org`. If absent, they are taken
    /// from the listener and the address of the Gateway. In Host mode the host is replaced by the host name of the unit.
    #[serde(default, rename = "baseURL", skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = "^https?://([A-Za-z0-9_]([-A-Za-z0-9_.]*[A-Za-z0-9_])?|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?$"),
        length(max = 512)
    )]
    pub base_url: Option<String>,
    /// Isolation in browsers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// Timeouts of requests.
    #[serde(default)]
    pub timeouts: Timeouts,
}

impl Routing {
    /// The isolation, with the default of the mode.
    #[must_use]
    pub fn effective_isolation(&self) -> Isolation {
        self.isolation.unwrap_or(match self.r#type {
            // The API server rejects a pool in Path mode without one.
            RoutingType::Query | RoutingType::Path => Isolation::Sandbox,
            RoutingType::Host => Isolation::None,
        })
    }
}

/// How browsers keep the HTML of a unit apart from other sites of the same origin. `Sandbox`: responses get the headers
/// `Content-Security-Policy: sandbox` and `X-Content-Type-Options: nosniff`, headers with effects on the whole origin, such
/// as `Set-Cookie`, are removed, and `Cookie` and `Authorization` are removed from requests. `None`: requests and responses
/// are not changed. Defaults to Sandbox in Query mode and to None in Host mode. Required in Path mode.
//
// The CRD has this text: that of an optional field with an enum is lost.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Isolation {
    /// HTML of a unit has an opaque origin.
    Sandbox,
    /// HTML of a unit has the origin of its URL.
    None,
}

/// Routing mode: where a request has the routing key.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RoutingType {
    /// In a query parameter.
    Query,
    /// In the path segment after a prefix.
    Path,
    /// In the first label of the host name.
    Host,
}

/// Query mode: requests for one of `paths` that have the routing key of the unit in `parameter`, or in the path.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("(self.lookup == 'Host') == has(self.lookupDomain)", "spec.routing.query.lookupDomain must be set if and only if spec.routing.query.lookup is Host"))]
pub struct QueryRouting {
    /// Query parameter that has the routing key in requests for paths without `{key}`. Proxies compare the first value only,
    /// case-sensitively and without decoding it.
    #[serde(default = "default_parameter")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_.~-]+$"))]
    pub parameter: String,
    /// Paths that are routed to units. A path with `{key}` has the routing key in that place, and needs no parameter.
    /// `status.url` has the first path of type PathPrefix, or else of type Exact, and a path with `{key}` only if there is no
    /// other.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub paths: Vec<PathMatch>,
    /// How a proxy looks up the unit of a request.
    #[serde(default)]
    pub lookup: QueryLookup,
    /// Domain of the internal host names if `lookup` is `Host`, for example `units.internal`: the host name of unit `ada` is
    /// `ada.units.internal`. It does not have to be resolvable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 189),
        regex(pattern = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$")
    )]
    pub lookup_domain: Option<String>,
}

/// How a proxy looks up the unit of a request in Query mode.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum QueryLookup {
    /// The proxy compares the request with the matches of all units. This has no further requirements.
    #[default]
    Linear,
    /// The proxy looks up an internal host name. The time does not depend on the number of units. Requests match the route
    /// of the activator first. Its external authorization returns `Host: <unit>.<lookupDomain>`, and the proxy selects the
    /// route again. The route of the unit also matches its key, so a request that was authorized for one unit never reaches
    /// another.
    Host,
}

/// A path match of an HTTPRoute.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.type == 'RegularExpression' || self.value.startsWith('/')", "value must start with '/' if type is Exact or PathPrefix"),
    // The same rules as in HTTPRoute. Otherwise the pool would be accepted and every route of its units rejected.
    validation = ("self.type == 'RegularExpression' || (self.value.matches(r\"^([-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2}|[{]key[}])+$\") && !self.value.matches('(//|/[.]{1,2}(/|$)|%2[fF])'))", "value must be a valid path without empty, '.' or '..' segments and without '%2f' if type is Exact or PathPrefix"),
    // The key is one segment after a literal path, so a request matches the route of one unit only.
    validation = ("!self.value.contains('{key}') || (self.type == 'RegularExpression' ? self.value.matches(r\"^\\^?/([-A-Za-z0-9_~]+/)*[{]key[}]([$]|/([^*+?{|][^|]*)?)?$\") && !self.value.matches('[{]key[}].*[{]key[}]') : self.value.matches('^/([^/{]+/)*[{]key[}](/[^{]*)?$'))", "value must have {key} once, as a whole segment of the path; in a regular expression it must follow literal segments, and must not be followed by '|' or '/' with a quantifier"),
    // The HTTPRoute of a unit has the key, and characters that escape others.
    validation = ("!self.value.contains('{key}') || self.value.size() <= 400", "value must have at most 400 characters if it contains {key}")
)]
pub struct PathMatch {
    /// How the path of a request is matched against `value`.
    #[serde(default)]
    pub r#type: PathMatchType,
    /// Path, or regular expression that must match the whole path. `{key}` stands for the routing key of the unit, as one whole
    /// segment: `/api/envs/{key}`, or `/api/{key}/[a-z]+/packages` as a regular expression. It must be literal in a request:
    /// proxies do not decode it.
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
}

impl PathMatch {
    /// The placeholder for the routing key in `value`.
    pub const KEY: &str = "{key}";
}

/// How a path is matched.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PathMatchType {
    /// By path prefix, split by `/`.
    #[default]
    PathPrefix,
    /// Exactly.
    Exact,
    /// By a regular expression that must match the whole path. Support is implementation-specific in Gateway API.
    RegularExpression,
}

/// Path mode: `<prefix>/<unit name>/...`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PathRouting {
    /// Path prefix. The name of the unit is the next segment. `/` for no prefix. Immutable.
    #[schemars(length(min = 1, max = 512), regex(pattern = "^/([A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*)?$"))]
    #[x_kube(
        validation = ("self == oldSelf", "spec.routing.path.prefix is immutable; create another pool"),
        validation = ("!self.matches('/[.]{1,2}(/|$)')", "spec.routing.path.prefix must not contain '.' or '..' segments; clients remove them from a URL")
    )]
    pub prefix: String,
    /// Replaces `<prefix>/<unit name>` in the path that is sent to the unit, for example `/`. If absent, the path is not
    /// rewritten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = "^/([-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*$"))]
    pub replace_prefix_match: Option<String>,
}

/// Host mode: `<unit name>.<domain>`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostRouting {
    /// Domain of the host names of the units, for example `units.example.org`. It must not have other host names. Immutable.
    #[schemars(
        length(min = 1, max = 189),
        regex(pattern = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$")
    )]
    pub domain: String,
}

/// Timeouts of requests, as in HTTPRoute. `0s` disables a timeout.
#[derive(KubeSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("duration(self.request) < duration('100000h') && (!has(self.backendRequest) || duration(self.backendRequest) < duration('100000h'))", "spec.routing.timeouts must be less than 100000h, as in HTTPRoute; 0s disables a timeout"))]
#[x_kube(validation = ("!has(self.backendRequest) || !self.request.matches('[1-9]') || duration(self.backendRequest) <= duration(self.request)", "spec.routing.timeouts.backendRequest must not exceed spec.routing.timeouts.request"))]
pub struct Timeouts {
    /// Timeout of a request, from its first byte to the last byte of the response. Disabled by default because WebSockets and
    /// exports are long-lived.
    #[serde(default = "no_limit")]
    pub request: Duration,
    /// Timeout of one request from the Gateway to the unit. If absent, the default of the Gateway applies.
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
