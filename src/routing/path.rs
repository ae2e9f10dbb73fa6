//! Path mode: the path segment after a prefix carries the key, which is the unit's name.

use computing_unit_api::{
    PathRouting, Routing,
    gateway::types::{HttpRouteRulesMatches, HttpRouteRulesMatchesPath},
};
use http::Uri;

use super::{matches, mode::Mode, url::Address};

/// The segment after the name of a unit below which its ports are.
const RESERVED: &str = "-";

impl Mode for PathRouting {
    fn unit_key(&self, name: &str, _cuid: Option<i64>) -> String {
        name.to_owned()
    }

    fn request_key(&self, uri: &Uri, _host: Option<&str>) -> Option<String> {
        let rest = uri.path().strip_prefix(self.key_space())?.strip_prefix('/')?;
        rest.split('/').next().map(str::to_owned)
    }

    /// The prefix without a trailing slash.
    fn key_space(&self) -> &str {
        self.prefix.trim_end_matches('/')
    }

    fn address(&self, name: &str, _cuid: Option<i64>) -> Address {
        Address { host: None, route_host: None, path: self.base_path(name), query: None }
    }

    fn base_path(&self, name: &str) -> String {
        format!("{}/{name}/", self.key_space())
    }

    fn port_address(&self, name: &str, port: &str) -> Option<Address> {
        let path = format!("{}{RESERVED}/{port}/", self.base_path(name));
        Some(Address { host: None, route_host: None, path, query: None })
    }

    /// A longer prefix takes precedence.
    fn port_matches(&self, name: &str, port: &str) -> Vec<HttpRouteRulesMatches> {
        vec![matches::only(matches::prefix(format!("{}{RESERVED}/{port}", self.base_path(name))))]
    }

    fn unit_matches(&self, name: &str, _key: &str) -> Vec<HttpRouteRulesMatches> {
        vec![matches::only(matches::prefix(format!("{}/{name}", self.key_space())))]
    }

    fn activator_paths(&self, _sharing: &[&Routing]) -> Vec<HttpRouteRulesMatchesPath> {
        let prefix = self.key_space();
        vec![matches::prefix(if prefix.is_empty() { "/" } else { prefix })]
    }

    fn replace_prefix_match(&self) -> Option<&str> {
        self.replace_prefix_match.as_deref()
    }

    fn probe_prefix<'a>(&self, route_path: &'a str) -> Option<&'a str> {
        Some(route_path.trim_end_matches('/'))
    }
}
