//! The routing mode of a pool. Each mode is one file, which implements [`Mode`] for the settings of that mode.

use computing_unit_api::{
    ActivatorSpec, Routing, RoutingType,
    gateway::types::{HttpRouteRulesMatches, HttpRouteRulesMatchesPath},
};
use http::Uri;

use super::url::Address;

/// What depends on the routing mode.
pub trait Mode {
    /// The key that requests for a unit carry.
    fn unit_key(&self, name: &str, cuid: Option<i64>) -> String;

    /// The key that a request carries, as a proxy matches it. `host` is its Host header.
    fn request_key(&self, uri: &Uri, host: Option<&str>) -> Option<String>;

    /// The scope in which keys are unique: pools of the same mode and key space on one Gateway share their keys.
    fn key_space(&self) -> &str;

    /// The parts of a unit's URL.
    fn address(&self, name: &str, cuid: Option<i64>) -> Address;

    /// The matches of a unit's open route.
    fn unit_matches(&self, name: &str, key: &str) -> Vec<HttpRouteRulesMatches>;

    /// The paths of the route to the activator. They have a lower precedence than all paths of units, including those
    /// of the other pools in `sharing`, which have the same key space.
    fn activator_paths(&self, sharing: &[&Routing]) -> Vec<HttpRouteRulesMatchesPath>;

    /// The host names of the route to the activator. If there are none, it accepts any.
    fn activator_hosts(&self, _activator: &ActivatorSpec) -> Vec<String> {
        vec![]
    }

    /// The internal host name by which proxies look up a unit, if the pool uses such names.
    fn lookup_host(&self, _name: &str) -> Option<String> {
        None
    }

    /// The path below which clients reach the unit, with a slash at the end.
    fn base_path(&self, _name: &str) -> String {
        "/".to_owned()
    }

    /// The address of another port of a unit. `None` if the mode has none.
    fn port_address(&self, _name: &str, _port: &str) -> Option<Address> {
        None
    }

    /// The matches of another port of a unit. They take precedence over those of the unit itself.
    fn port_matches(&self, _name: &str, _port: &str) -> Vec<HttpRouteRulesMatches> {
        vec![]
    }

    /// The path that replaces the unit's own prefix in a request to its pod.
    fn replace_prefix_match(&self) -> Option<&str> {
        None
    }

    /// The prefix that the path of a probe has to keep, given the path of the unit's route. `None` if the route takes
    /// requests for other paths too.
    fn probe_prefix<'a>(&self, _route_path: &'a str) -> Option<&'a str> {
        None
    }
}

/// The mode of a pool. `None` if its routing lacks the settings of its type, which the API server rejects.
pub fn mode(routing: &Routing) -> Option<&dyn Mode> {
    Some(match routing.r#type {
        RoutingType::Query => routing.query.as_ref()?,
        RoutingType::Path => routing.path.as_ref()?,
        RoutingType::Host => routing.host.as_ref()?,
    })
}

#[cfg(test)]
mod tests {
    use crate::{
        routing::{Origin, address, key, port_address, request_key, url},
        testing::{host_routing, path_routing, query_routing},
    };

    #[test]
    fn unit_has_the_url_of_its_mode() {
        let origin = Origin { tls: false, host: "10.0.0.1".into(), port: 80 };
        for (routing, expected) in [
            (query_routing(), "http://10.0.0.1/wsapi?cuid=42"),
            (path_routing(), "http://10.0.0.1/units/ada/"),
            (host_routing(), "http://ada.units.example.org/"),
        ] {
            let address = address(&routing, "ada", Some(42)).unwrap();
            assert_eq!(url(&address, None, Some(&origin)).unwrap(), expected);
        }
    }

    #[test]
    fn port_of_a_unit_has_an_address_in_path_and_host_mode() {
        let origin = Origin { tls: false, host: "10.0.0.1".into(), port: 8080 };
        for (routing, expected) in [
            (query_routing(), None),
            (path_routing(), Some("http://10.0.0.1:8080/units/ada/-/tensorboard/")),
            (host_routing(), Some("http://tensorboard--ada.units.example.org:8080/")),
        ] {
            let address = port_address(&routing, "ada", "tensorboard");
            assert_eq!(address.and_then(|address| url(&address, None, Some(&origin))).as_deref(), expected);
        }
    }

    #[test]
    fn key_is_the_cuid_in_query_mode_and_otherwise_the_name() {
        assert_eq!(key(&query_routing(), "ada", Some(42)), "42");
        assert_eq!(key(&query_routing(), "ada", None), "ada");
        assert_eq!(key(&path_routing(), "ada", Some(42)), "ada");
    }

    #[test]
    fn request_carries_the_key_of_its_mode() {
        let mut root = path_routing();
        root.path.as_mut().unwrap().prefix = "/".into();
        for (routing, uri, host, expected) in [
            (query_routing(), "/wsapi?cuid=42", "x", Some("42")),
            (query_routing(), "/wsapi?a=1&cuid=42&cuid=43", "x", Some("42")),
            (query_routing(), "/wsapi?cuid=&cuid=42", "x", None),
            (query_routing(), "/wsapi?cuid=%34%32", "x", Some("%34%32")),
            (query_routing(), "/wsapi?CUID=42", "x", None),
            (query_routing(), "/wsapi?cuid", "x", None),
            (query_routing(), "/wsapi", "x", None),
            (path_routing(), "/units/ada", "x", Some("ada")),
            (path_routing(), "/units/ada/more?x=1", "x", Some("ada")),
            (path_routing(), "/units/", "x", None),
            (path_routing(), "/units", "x", None),
            (path_routing(), "/unitsada/x", "x", None),
            (root, "/ada/x", "x", Some("ada")),
            (host_routing(), "/", "ada.units.example.org", Some("ada")),
            (host_routing(), "/", "Ada.Units.example.org:8443", Some("ada")),
            (host_routing(), "/", "units.example.org", None),
            (host_routing(), "/", "a.b.units.example.org", Some("a.b")),
            (host_routing(), "/", "elsewhere", None),
            (host_routing(), "/", "tensorboard--ada.units.example.org", Some("ada")),
            (path_routing(), "/units/ada/-/tensorboard/", "x", Some("ada")),
        ] {
            let key = request_key(&routing, &uri.parse().unwrap(), Some(host));
            assert_eq!(key.as_deref(), expected, "{uri} {host}");
        }
    }
}
