//! The URL of a unit.

/// The parts of a unit's URL that its pool's routing determines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Host name of the URL. `None` if it is the Gateway's.
    pub host: Option<String>,
    /// Host name of the unit's route. `None` if the route takes requests for any host name.
    pub route_host: Option<String>,
    pub path: String,
    /// Query without `?`.
    pub query: Option<String>,
}

/// Scheme, host and port by which clients reach a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub tls: bool,
    /// Host name or IP address.
    pub host: String,
    pub port: u16,
}

/// The URL of an address under the pool's base URL, or under the Gateway's origin if the pool has none.
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

/// Replaces the host of `base`. Scheme and port stay.
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

    #[test]
    fn base_url_takes_precedence_over_the_origin_of_the_gateway() {
        let host = Some("ada.units.example.org".to_owned());
        let named = Address { route_host: host.clone(), host, path: "/".into(), query: None };
        assert_eq!(url(&named, Some("https://x:8443"), None).unwrap(), "https://ada.units.example.org:8443/");
        assert_eq!(url(&named, None, None), None);
        let origin = Origin { tls: true, host: "::1".into(), port: 443 };
        let keyed = Address { host: None, route_host: None, path: "/wsapi".into(), query: Some("cuid=1".into()) };
        assert_eq!(url(&keyed, Some("https://x/"), Some(&origin)).unwrap(), "https://x/wsapi?cuid=1");
        assert_eq!(url(&keyed, None, Some(&origin)).unwrap(), "https://[::1]/wsapi?cuid=1");
    }
}
