//! What a pool's routing means for one unit: its key, the requests that are its own, and its URL.
//!
//! Pure. The HTTPRoute that carries it out is built in [`crate::controllers::unit::build::route`].

pub mod keys;
pub mod overlap;

use computing_unit_api::{PathMatchType, Routing, RoutingType};

/// The requests that belong to one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Host name of the URL that is printed; the gateway's own where absent.
    pub host: Option<String>,
    /// Host name that a proxy finds the unit's route by; any where absent.
    pub route_host: Option<String>,
    /// Path of the URL that is printed.
    pub path: String,
    /// Query of the URL that is printed, without `?`.
    pub query: Option<String>,
}

/// The key that requests for a unit carry.
#[must_use]
pub fn key(routing: &Routing, name: &str, cuid: Option<i64>) -> String {
    match (routing.r#type, cuid) {
        (RoutingType::Query, Some(cuid)) => cuid.to_string(),
        _ => name.to_owned(),
    }
}

/// Where a unit can be opened. `None` where the routing lacks the member that its type names, which the API server
/// does not let in.
#[must_use]
pub fn address(routing: &Routing, name: &str, cuid: Option<i64>) -> Option<Address> {
    match routing.r#type {
        RoutingType::Query => {
            let query = routing.query.as_ref()?;
            let path = [PathMatchType::PathPrefix, PathMatchType::Exact]
                .iter()
                .find_map(|wanted| query.paths.iter().find(|path| path.r#type == *wanted))
                .map_or_else(|| "/".to_owned(), |path| path.value.clone());
            let query = Some(format!("{}={}", query.parameter, key(routing, name, cuid)));
            Some(Address { host: None, route_host: lookup_host(routing, name), path, query })
        }
        RoutingType::Path => Some(Address {
            host: None,
            route_host: None,
            path: format!("{}/", unit_prefix(&routing.path.as_ref()?.prefix, name)),
            query: None,
        }),
        RoutingType::Host => {
            let host = Some(format!("{name}.{}", routing.host.as_ref()?.domain));
            Some(Address { route_host: host.clone(), host, path: "/".to_owned(), query: None })
        }
    }
}

/// The internal host name by which a unit is looked up, where its pool has units looked up so.
#[must_use]
pub fn lookup_host(routing: &Routing, name: &str) -> Option<String> {
    let domain = routing.query.as_ref()?.lookup_domain.as_ref()?;
    Some(format!("{name}.{domain}"))
}

/// `<prefix>/<unit name>`, without a slash at the end.
#[must_use]
pub fn unit_prefix(prefix: &str, name: &str) -> String {
    format!("{}/{name}", prefix.trim_end_matches('/'))
}

/// Scheme, host and port of a listener as a client reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whether the listener speaks TLS.
    pub tls: bool,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// The URL of an address: under the pool's base URL if there is one, else under the gateway's own origin.
#[must_use]
pub fn url(address: &Address, base_url: Option<&str>, origin: Option<&Origin>) -> Option<String> {
    let base = match (base_url, origin) {
        (Some(base), _) => base.trim_end_matches('/').to_owned(),
        (None, Some(origin)) => {
            let scheme = if origin.tls { "https" } else { "http" };
            let host = if origin.host.contains(':') { format!("[{}]", origin.host) } else { origin.host.clone() };
            match (origin.tls, origin.port) {
                (true, 443) | (false, 80) => format!("{scheme}://{host}"),
                (_, port) => format!("{scheme}://{host}:{port}"),
            }
        }
        (None, None) => return None,
    };
    let base = match &address.host {
        Some(host) => with_host(&base, host),
        None => base,
    };
    let query = address.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{base}{}{query}", address.path))
}

/// `base` with its host replaced, scheme and port kept.
fn with_host(base: &str, host: &str) -> String {
    let (scheme, authority) = base.split_once("://").unwrap_or(("http", base));
    let port = authority
        .rsplit_once(':')
        .map(|(_, port)| port)
        .filter(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    match port {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_url_is_what_the_mode_says() {
        let origin = Origin { tls: false, host: "10.0.0.1".into(), port: 80 };
        for (routing, expected) in [
            (testing::query_routing(), "http://10.0.0.1/wsapi?cuid=42"),
            (testing::path_routing(), "http://10.0.0.1/units/ada/"),
            (testing::host_routing(), "http://ada.units.example.org/"),
        ] {
            let address = address(&routing, "ada", Some(42)).unwrap();
            assert_eq!(url(&address, None, Some(&origin)).unwrap(), expected);
        }
    }

    #[test]
    fn a_base_url_stands_before_the_gateways_own() {
        let address = address(&testing::host_routing(), "ada", None).unwrap();
        assert_eq!(url(&address, Some("https://x:8443"), None).unwrap(), "https://ada.units.example.org:8443/");
        assert_eq!(url(&address, None, None), None);
        let six = Origin { tls: true, host: "::1".into(), port: 443 };
        let query = Address { host: None, route_host: None, path: "/wsapi".into(), query: Some("cuid=1".into()) };
        assert_eq!(url(&query, None, Some(&six)).unwrap(), "https://[::1]/wsapi?cuid=1");
    }

    #[test]
    fn an_internal_host_name_is_in_no_url() {
        let address = address(&testing::lookup_routing(), "ada", Some(42)).unwrap();
        assert_eq!(address.route_host.as_deref(), Some("ada.units.internal"));
        assert_eq!(url(&address, Some("https://x"), None).unwrap(), "https://x/wsapi?cuid=42");
    }

    #[test]
    fn the_key_of_query_mode_is_the_number_and_else_the_name() {
        assert_eq!(key(&testing::query_routing(), "ada", Some(42)), "42");
        assert_eq!(key(&testing::query_routing(), "ada", None), "ada");
        assert_eq!(key(&testing::path_routing(), "ada", Some(42)), "ada");
    }
}
