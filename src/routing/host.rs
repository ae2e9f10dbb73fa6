//! Host mode: the first label of the host name carries the key, which is the unit's name.

use computing_unit_api::{
    ActivatorSpec, HostRouting, Routing,
    gateway::types::{HttpRouteRulesMatches, HttpRouteRulesMatchesPath},
};
use http::Uri;

use super::{matches, mode::Mode, url::Address};

impl Mode for HostRouting {
    fn unit_key(&self, name: &str, _cuid: Option<i64>) -> String {
        name.to_owned()
    }

    fn request_key(&self, _uri: &Uri, host: Option<&str>) -> Option<String> {
        let host = without_port(host?).to_ascii_lowercase();
        Some(host.strip_suffix(&self.domain)?.strip_suffix('.')?.to_owned())
    }

    fn key_space(&self) -> &str {
        &self.domain
    }

    fn address(&self, name: &str, _cuid: Option<i64>) -> Address {
        let host = Some(format!("{name}.{}", self.domain));
        Address { route_host: host.clone(), host, path: "/".to_owned(), query: None }
    }

    fn unit_matches(&self, _name: &str, _key: &str) -> Vec<HttpRouteRulesMatches> {
        vec![matches::only(matches::prefix("/"))]
    }

    fn activator_paths(&self, _sharing: &[&Routing]) -> Vec<HttpRouteRulesMatchesPath> {
        vec![matches::prefix("/")]
    }

    fn activator_hosts(&self, _activator: &ActivatorSpec) -> Vec<String> {
        vec![format!("*.{}", self.domain)]
    }
}

/// Whether a Host header contains the host name `name`.
pub fn same_host(header: &str, name: &str) -> bool {
    without_port(header).eq_ignore_ascii_case(name)
}

fn without_port(header: &str) -> &str {
    match header.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => header,
    }
}
