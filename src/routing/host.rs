//! Host mode: the first label of the host name carries the key, which is the unit's name.

use computing_unit_api::{
    ActivatorSpec, HostRouting, Routing,
    gateway::types::{
        HttpRouteRulesMatches, HttpRouteRulesMatchesHeaders, HttpRouteRulesMatchesHeadersType,
        HttpRouteRulesMatchesPath,
    },
};
use http::Uri;

use super::{matches, mode::Mode, url::Address};

/// Separates the name of a port from that of its unit in a host name. Names of units do not have it in this mode.
pub const PORT_SEPARATOR: &str = "--";

/// The header by which the rules of a route tell its host names apart. Proxies match it although HTTP/2 has `:authority`.
pub const HOST: &str = "Host";

/// A regular expression for a Host header with that host name.
pub fn host_pattern(host: &str) -> String {
    format!("(?i){}(:[0-9]+)?", regex::escape(host))
}

impl Mode for HostRouting {
    fn unit_key(&self, name: &str, _cuid: Option<i64>) -> String {
        name.to_owned()
    }

    fn request_key(&self, _uri: &Uri, host: Option<&str>) -> Option<String> {
        let host = without_port(host?).to_ascii_lowercase();
        let label = host.strip_suffix(&self.domain)?.strip_suffix('.')?;
        // No unit has the separator in its name.
        Some(label.split_once(PORT_SEPARATOR).map_or(label, |(_, name)| name).to_owned())
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

    fn port_address(&self, name: &str, port: &str) -> Option<Address> {
        let host = Some(format!("{port}{PORT_SEPARATOR}{name}.{}", self.domain));
        Some(Address { route_host: host.clone(), host, path: "/".to_owned(), query: None })
    }

    /// Of two equal paths, the match with more headers takes precedence.
    fn port_matches(&self, name: &str, port: &str) -> Vec<HttpRouteRulesMatches> {
        let host = format!("{port}{PORT_SEPARATOR}{name}.{}", self.domain);
        let header = HttpRouteRulesMatchesHeaders {
            name: HOST.to_owned(),
            r#type: Some(HttpRouteRulesMatchesHeadersType::RegularExpression),
            value: host_pattern(&host),
        };
        vec![HttpRouteRulesMatches { headers: Some(vec![header]), ..matches::only(matches::prefix("/")) }]
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
