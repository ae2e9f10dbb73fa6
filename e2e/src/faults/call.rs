//! What a request to the API server is about, from its method and URL alone.

use http::{Method, Uri};

/// The kinds of objects that are counted apart.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Leases: leader election renews them at all times.
    Lease,
    /// Events: told to people, needed by nothing.
    Event,
    /// Every other kind.
    Object,
}

/// A request to the API server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    /// The HTTP method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// The query, undecoded; empty if there is none.
    pub query: String,
    /// The API group; empty for the core group, and for what is no resource.
    pub group: String,
    /// The plural name, such as `pods`; empty for what is no resource, such as `/version`.
    pub resource: String,
    /// The namespace; empty for what is in none.
    pub namespace: String,
    /// The object's name; empty for a whole collection, and where the request's body has it.
    pub name: String,
    /// The subresource, such as `status`; empty if there is none.
    pub subresource: String,
}

impl Call {
    /// What a request with that method and URL is about.
    #[must_use]
    pub fn new(method: &Method, uri: &Uri) -> Self {
        let segments: Vec<&str> = uri.path().split('/').filter(|segment| !segment.is_empty()).collect();
        let (group, rest) = match segments.as_slice() {
            ["api", _version, rest @ ..] => ("", rest),
            ["apis", group, _version, rest @ ..] => (*group, rest),
            _ => ("", &[][..]),
        };
        // A namespace is an object itself, with two subresources (RequestInfoFactory of Kubernetes' apiserver).
        let (namespace, rest) = match rest {
            ["namespaces", _, "status" | "finalize"] => ("", rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            _ => ("", rest),
        };
        let part = |number: usize| rest.get(number).copied().unwrap_or_default().to_owned();
        Self {
            method: method.clone(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            group: group.to_owned(),
            resource: part(0),
            namespace: namespace.to_owned(),
            name: part(1),
            subresource: part(2),
        }
    }

    /// The kind of object, as far as it is counted apart.
    #[must_use]
    pub fn class(&self) -> Class {
        match (self.group.as_str(), self.resource.as_str()) {
            ("coordination.k8s.io", "leases") => Class::Lease,
            ("events.k8s.io" | "", "events") => Class::Event,
            _ => Class::Object,
        }
    }

    /// Whether the request is to change something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// Whether the request is a write of anything but a Lease or an Event.
    #[must_use]
    pub fn is_object_write(&self) -> bool {
        self.is_write() && self.class() == Class::Object
    }

    /// Whether the answer is a stream of changes.
    #[must_use]
    pub fn is_watch(&self) -> bool {
        matches!(self.parameter("watch"), Some("" | "1" | "true"))
    }

    /// Who writes, as told to server-side apply.
    #[must_use]
    pub fn field_manager(&self) -> Option<&str> {
        self.parameter("fieldManager")
    }

    /// The value of a query parameter, undecoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &Method, uri: &str) -> Call {
        Call::new(method, &uri.parse().unwrap())
    }

    #[test]
    fn urls_of_objects_are_taken_apart() {
        for (uri, parts) in [
            ("/api/v1/namespaces/a/pods/b", ["", "pods", "a", "b", ""]),
            ("/api/v1/namespaces/a/pods/b/status", ["", "pods", "a", "b", "status"]),
            ("/api/v1/namespaces/a", ["", "namespaces", "", "a", ""]),
            ("/api/v1/namespaces/a/finalize", ["", "namespaces", "", "a", "finalize"]),
            ("/api/v1/pods?limit=5", ["", "pods", "", "", ""]),
            ("/apis/g.io/v1/namespaces/a/things", ["g.io", "things", "a", "", ""]),
            ("/apis/g.io/v1/things/b/scale", ["g.io", "things", "", "b", "scale"]),
            ("/apis/g.io/v1", ["g.io", "", "", "", ""]),
            ("/version", ["", "", "", "", ""]),
        ] {
            let call = call(&Method::GET, uri);
            let actual = [&call.group, &call.resource, &call.namespace, &call.name, &call.subresource];
            assert_eq!(actual.map(String::as_str), parts, "{uri}");
        }
    }

    #[test]
    fn leases_and_events_are_told_apart() {
        let class = |uri| call(&Method::POST, uri).class();
        assert_eq!(class("/apis/coordination.k8s.io/v1/namespaces/a/leases/b"), Class::Lease);
        assert_eq!(class("/apis/events.k8s.io/v1/namespaces/a/events"), Class::Event);
        assert_eq!(class("/api/v1/namespaces/a/events"), Class::Event);
        assert_eq!(class("/apis/g.io/v1/namespaces/a/events"), Class::Object);
    }

    #[test]
    fn writes_watches_and_managers() {
        let apply = call(&Method::PATCH, "/api/v1/namespaces/a/pods/b?force=true&fieldManager=operator");
        assert!(apply.is_object_write() && !apply.is_watch());
        assert_eq!(apply.field_manager(), Some("operator"));
        let watch = call(&Method::GET, "/api/v1/pods?watch=true&resourceVersion=1");
        assert!(watch.is_watch() && !watch.is_write());
        assert!(!call(&Method::GET, "/api/v1/pods?watch=false").is_watch());
        assert_eq!(watch.field_manager(), None);
    }
}
