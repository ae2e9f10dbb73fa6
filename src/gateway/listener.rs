//! The HTTP listeners of a Gateway, and the origin that clients use.
//!
//! Pure. A route without a section name attaches to every listener that allows it. The operator publishes and probes one
//! of them, preferably one with TLS. Listeners that do not admit the namespace of the route, or are not in use, are left
//! out if there are others: see [`super::allowed_routes`] and [`super::listener_status`].

use computing_unit_api::gateway::{
    Gateway,
    gateway_types::{GatewayListeners, GatewayListenersTlsMode},
};

use super::{
    allowed_routes::{NamespaceLabels, listener_allows},
    listener_status::unusable,
};
use crate::routing::Origin;

/// A listener for HTTP, or for HTTPS that the gateway terminates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener<'a> {
    pub name: &'a str,
    /// The port that clients connect to.
    pub port: u16,
    pub tls: bool,
    /// The host name of requests, possibly with the wildcard `*.`. `None` accepts any.
    pub hostname: Option<&'a str>,
}

impl Listener<'_> {
    /// Whether the listener accepts requests to `host`.
    pub fn accepts(&self, host: &str) -> bool {
        match self.hostname {
            None => true,
            Some(own) => match own.strip_prefix('*') {
                Some(suffix) => host.len() > suffix.len() && ends_with(host, suffix),
                None => own.eq_ignore_ascii_case(host),
            },
        }
    }

    /// The host name, unless it is a wildcard.
    pub fn concrete_hostname(&self) -> Option<&str> {
        self.hostname.filter(|name| !name.starts_with('*'))
    }
}

fn ends_with(host: &str, suffix: &str) -> bool {
    let tail = host.len().checked_sub(suffix.len()).and_then(|start| host.get(start..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(suffix))
}

/// The HTTP listeners that a route with this section name attaches to, in the Gateway's order.
pub fn listeners<'a>(gateway: &'a Gateway, section_name: Option<&str>) -> impl Iterator<Item = Listener<'a>> {
    gateway
        .spec
        .listeners
        .iter()
        .filter(move |listener| section_name.is_none_or(|name| listener.name == name))
        .filter_map(for_http)
}

fn for_http(listener: &GatewayListeners) -> Option<Listener<'_>> {
    let tls = match listener.protocol.as_str() {
        "HTTP" => false,
        "HTTPS" => true,
        _ => return None,
    };
    let passed_through = listener.tls.as_ref().and_then(|tls| tls.mode.as_ref());
    let kinds = listener.allowed_routes.as_ref().and_then(|allowed| allowed.kinds.as_deref()).unwrap_or_default();
    if passed_through == Some(&GatewayListenersTlsMode::Passthrough)
        || !(kinds.is_empty() || kinds.iter().any(|kind| kind.kind == "HTTPRoute"))
    {
        return None;
    }
    Some(Listener {
        name: &listener.name,
        port: u16::try_from(listener.port).ok()?,
        tls,
        hostname: listener.hostname.as_deref().filter(|name| !name.is_empty()),
    })
}

/// Which routes a listener is chosen for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    pub section_name: Option<&'a str>,
    /// The namespace of the routes. `None` for any.
    pub namespace: Option<&'a str>,
    /// The labels of that namespace.
    pub labels: NamespaceLabels<'a>,
    /// The host name of requests. `None` for any.
    pub host: Option<&'a str>,
}

/// Of the listeners that a route may be attached to, the first with TLS that accepts requests to the host, or else the
/// first that does.
pub fn preferred<'a>(gateway: &'a Gateway, choice: Choice<'_>) -> Option<Listener<'a>> {
    let accepting: Vec<_> = listeners(gateway, choice.section_name)
        .filter(|listener| choice.host.is_none_or(|host| listener.accepts(host)))
        .collect();
    let attached = |listener: &&Listener<'_>| may_attach(gateway, listener.name, choice);
    let chosen = |all: &[Listener<'a>]| all.iter().find(|listener| listener.tls).or(all.first()).copied();
    let eligible: Vec<_> = accepting.iter().filter(attached).copied().collect();
    chosen(&eligible).or_else(|| chosen(&accepting))
}

fn may_attach(gateway: &Gateway, listener: &str, choice: Choice<'_>) -> bool {
    let object = gateway.spec.listeners.iter().find(|object| object.name == listener);
    let allowed = object
        .zip(choice.namespace)
        .is_none_or(|(object, namespace)| listener_allows(gateway, object, namespace, choice.labels));
    allowed && unusable(gateway).all(|name| name != listener)
}

/// Why no listener of the Gateway can have routes with this section name. `None` if one can.
pub fn missing(gateway: &Gateway, section_name: Option<&str>) -> Option<String> {
    if listeners(gateway, section_name).next().is_some() {
        return None;
    }
    let names: Vec<_> = listeners(gateway, None).map(|listener| listener.name).collect();
    let choice = if names.is_empty() {
        "add an HTTP or HTTPS listener that allows HTTPRoutes".to_owned()
    } else {
        format!("set spec.gatewayRef.sectionName of the pool to one of: {}", names.join(", "))
    };
    let gateway_name = format!(
        "{}/{}",
        gateway.metadata.namespace.as_deref().unwrap_or_default(),
        gateway.metadata.name.as_deref().unwrap_or_default()
    );
    Some(match section_name {
        Some(section) => format!("Gateway {gateway_name} has no HTTP or HTTPS listener {section:?}: {choice}"),
        None => format!("Gateway {gateway_name} has no HTTP or HTTPS listener that allows HTTPRoutes: {choice}"),
    })
}

/// The addresses in the status of a Gateway.
pub fn addresses(gateway: &Gateway) -> Vec<String> {
    let all = gateway.status.iter().flat_map(|status| status.addresses.iter().flatten());
    all.map(|address| address.value.clone()).filter(|value| !value.is_empty()).collect()
}

/// The origin of the units' URLs. The host name of a listener precedes the Gateway's address, because the listener
/// accepts no other. `None` until there is either.
pub fn origin(gateway: &Gateway, choice: Choice<'_>) -> Option<Origin> {
    let listener = preferred(gateway, choice)?;
    let host = match listener.concrete_hostname() {
        Some(name) => name.to_owned(),
        None => addresses(gateway).into_iter().next()?,
    };
    Some(Origin { tls: listener.tls, host, port: listener.port })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::gateway;

    fn several() -> Gateway {
        gateway(&json!([
            {"name": "db", "port": 5432, "protocol": "TCP"},
            {"name": "http", "port": 80, "protocol": "HTTP"},
            {"name": "through", "port": 8443, "protocol": "HTTPS", "tls": {"mode": "Passthrough"}},
            {"name": "https", "port": 443, "protocol": "HTTPS", "hostname": "*.units.example.org"},
            {"name": "grpc", "port": 81, "protocol": "HTTP", "allowedRoutes": {"kinds": [{"kind": "GRPCRoute"}]}},
        ]))
    }

    fn names(gateway: &Gateway, section: Option<&str>) -> Vec<String> {
        listeners(gateway, section).map(|listener| listener.name.to_owned()).collect()
    }

    #[test]
    fn listeners_are_those_that_allow_http_routes() {
        assert_eq!(names(&several(), None), ["http", "https"]);
        assert_eq!(names(&several(), Some("https")), ["https"]);
        assert!(names(&several(), Some("db")).is_empty());
    }

    #[test]
    fn preferred_listener_has_tls_if_it_accepts_the_host() {
        let gateway = several();
        let of = |section_name, host| {
            preferred(&gateway, Choice { section_name, host, ..Choice::default() }).map(|listener| listener.name)
        };
        assert_eq!(of(None, None), Some("https"));
        assert_eq!(of(None, Some("ada.units.example.org")), Some("https"));
        assert_eq!(of(None, Some("example.org")), Some("http"));
        assert_eq!(of(Some("http"), None), Some("http"));
        assert_eq!(of(Some("https"), Some("example.org")), None);
    }

    #[test]
    fn listener_that_does_not_admit_the_namespace_or_is_not_in_use_is_left_out() {
        let all = json!({"namespaces": {"from": "All"}});
        let listeners = json!([
            {"name": "other", "port": 443, "protocol": "HTTPS"},
            {"name": "broken", "port": 8443, "protocol": "HTTPS", "allowedRoutes": all},
            {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": all},
        ]);
        let mut object = serde_json::to_value(gateway(&listeners)).unwrap();
        let of = |object: &Value, namespace| {
            let gateway: Gateway = serde_json::from_value(object.clone()).unwrap();
            preferred(&gateway, Choice { namespace, ..Choice::default() }).map(|listener| listener.name.to_owned())
        };
        assert_eq!(of(&object, None).as_deref(), Some("other"));
        assert_eq!(of(&object, Some("gateways")).as_deref(), Some("other"));
        assert_eq!(of(&object, Some("units")).as_deref(), Some("broken"));
        object["status"]["listeners"] = json!([{"name": "broken", "attachedRoutes": 0, "conditions": [{
            "type": "ResolvedRefs", "status": "False", "reason": "InvalidCertificateRef", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]}]);
        assert_eq!(of(&object, Some("units")).as_deref(), Some("http"));
        object["spec"]["listeners"].as_array_mut().unwrap().truncate(1);
        assert_eq!(of(&object, Some("units")).as_deref(), Some("other"), "there is no other");
    }

    #[test]
    fn wildcard_hostname_accepts_subdomains_only() {
        let gateway = several();
        let https = listeners(&gateway, Some("https")).next().unwrap();
        for (host, accepted) in [
            ("ada.units.example.org", true),
            ("A.B.Units.Example.Org", true),
            ("units.example.org", false),
            (".units.example.org", false),
            ("adaunits.example.org", false),
            ("\u{fc}.example.org", false),
        ] {
            assert_eq!(https.accepts(host), accepted, "{host}");
        }
    }

    #[test]
    fn origin_has_the_host_name_of_the_listener_or_the_address_of_the_gateway() {
        let of = |listener: Value| origin(&gateway(&json!([listener])), Choice::default());
        assert_eq!(
            of(json!({"name": "http", "port": 80, "protocol": "HTTP"})),
            Some(Origin { tls: false, host: "10.96.0.7".into(), port: 80 })
        );
        assert_eq!(
            of(json!({"name": "https", "port": 8443, "protocol": "HTTPS", "hostname": "units.example.org"})),
            Some(Origin { tls: true, host: "units.example.org".into(), port: 8443 })
        );
        assert_eq!(of(json!({"name": "db", "port": 5432, "protocol": "TCP"})), None);
    }

    #[test]
    fn origin_without_an_address_needs_a_host_name() {
        for (hostname, expected) in [("units.example.org", Some("units.example.org")), ("*.example.org", None)] {
            let mut gateway = gateway(&json!([{"name": "http", "port": 80, "protocol": "HTTP", "hostname": hostname}]));
            gateway.status = None;
            assert_eq!(origin(&gateway, Choice::default()).map(|origin| origin.host).as_deref(), expected);
            assert!(addresses(&gateway).is_empty());
        }
    }

    #[test]
    fn missing_listener_is_reported_with_the_existing_ones() {
        let message = missing(&several(), Some("web")).unwrap();
        assert!(message.contains("gateways/shared") && message.contains("\"web\""), "{message}");
        assert!(message.ends_with("one of: http, https"), "{message}");
        assert_eq!(missing(&several(), Some("http")), None);
        let none = missing(&gateway(&json!([{"name": "db", "port": 1, "protocol": "TCP"}])), None).unwrap();
        assert!(none.contains("add an HTTP or HTTPS listener"), "{none}");
    }
}
