//! Classifies a request to the API server by its method and URL.

use std::fmt;

use http::{Method, Uri};

/// The verb of a request, as in RBAC rules.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verb {
    /// Reads one object or a non-resource URL.
    Get,
    /// Reads a collection.
    List,
    /// Watches objects.
    Watch,
    /// Creates an object.
    Create,
    /// Replaces an object.
    Update,
    /// Patches or applies an object.
    Patch,
    /// Deletes one object.
    Delete,
    /// Deletes a collection.
    DeleteCollection,
}

/// The classes of calls that are counted separately.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// A write of anything but a Lease or an Event.
    Write,
    /// A write of a Lease. Leader election renews Leases all the time.
    Lease,
    /// A write of an Event.
    Event,
    /// A read of an object or a list, discovery, or an access review.
    Read,
    /// The start of a watch.
    Watch,
}

/// A request to the API server.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Call {
    /// The verb.
    pub verb: Verb,
    /// The API group. Empty for the core group and for non-resource URLs.
    pub group: String,
    /// The plural name, such as `pods`. Empty for non-resource URLs.
    pub resource: String,
    /// The subresource, such as `status`. Empty if there is none.
    pub subresource: String,
    /// The namespace. Empty for cluster-scoped requests.
    pub namespace: String,
    /// The name of the object. Empty for a collection and if the name is in the body. For non-resource URLs, the path.
    pub name: String,
    /// The query, undecoded. Empty if there is none.
    pub query: String,
}

impl Call {
    /// The call with this method and URL.
    #[must_use]
    pub fn new(method: &Method, uri: &Uri) -> Self {
        let segments: Vec<&str> = uri.path().split('/').filter(|segment| !segment.is_empty()).collect();
        let (group, rest) = match segments.as_slice() {
            ["api", _version, rest @ ..] => ("", rest),
            ["apis", group, rest @ ..] => (*group, rest.get(1..).unwrap_or_default()),
            _ => ("", &[][..]),
        };
        // A namespace is an object itself, with two subresources (`RequestInfoFactory` of the Kubernetes API server).
        let (namespace, rest) = match rest {
            ["namespaces", _, "status" | "finalize"] => ("", rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            _ => ("", rest),
        };
        let part = |number: usize| rest.get(number).copied().unwrap_or_default();
        let (resource, subresource) = (part(0), part(2));
        let name = if resource.is_empty() { uri.path() } else { part(1) };
        let query = uri.query().unwrap_or_default();
        Self {
            verb: verb(method, name.is_empty(), query),
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            query: query.to_owned(),
        }
    }

    /// The call without its query.
    #[must_use]
    pub fn without_query(&self) -> Self {
        Self { query: String::new(), ..self.clone() }
    }

    /// The class of the call.
    #[must_use]
    pub fn class(&self) -> Class {
        match (self.verb, self.group.as_str(), self.resource.as_str()) {
            (Verb::Watch, ..) => Class::Watch,
            (Verb::Get | Verb::List, ..) | (Verb::Create, "authorization.k8s.io" | "authentication.k8s.io", _) => {
                Class::Read
            }
            (_, "coordination.k8s.io", "leases") => Class::Lease,
            (_, "events.k8s.io" | "", "events") => Class::Event,
            _ => Class::Write,
        }
    }

    /// Whether the request is a write of anything but a Lease or an Event.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.class() == Class::Write
    }

    /// Whether the response is a stream of events.
    #[must_use]
    pub fn is_watch(&self) -> bool {
        self.verb == Verb::Watch
    }

    /// The field manager.
    #[must_use]
    pub fn field_manager(&self) -> Option<&str> {
        parameter(&self.query, "fieldManager")
    }
}

fn verb(method: &Method, collection: bool, query: &str) -> Verb {
    match *method {
        Method::POST => Verb::Create,
        Method::PUT => Verb::Update,
        Method::PATCH => Verb::Patch,
        Method::DELETE if collection => Verb::DeleteCollection,
        Method::DELETE => Verb::Delete,
        _ if matches!(parameter(query, "watch"), Some("" | "1" | "true")) => Verb::Watch,
        _ if collection => Verb::List,
        _ => Verb::Get,
    }
}

/// The value of a query parameter, undecoded.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        })
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |separator: &str, part: &str| match part {
            "" => String::new(),
            part => format!("{separator}{part}"),
        };
        if self.resource.is_empty() {
            return write!(f, "{} {}", self.verb, self.name);
        }
        let (group, subresource) = (part(".", &self.group), part("/", &self.subresource));
        write!(f, "{} {}{group}{subresource}", self.verb, self.resource)?;
        write!(f, "{}{}", part(" -n ", &self.namespace), part(" ", &self.name))
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
            ("/apis/g.io/v1", ["g.io", "", "", "/apis/g.io/v1", ""]),
            ("/apis/g.io", ["g.io", "", "", "/apis/g.io", ""]),
            ("/version", ["", "", "", "/version", ""]),
        ] {
            let call = call(&Method::GET, uri);
            let actual = [&call.group, &call.resource, &call.namespace, &call.name, &call.subresource];
            assert_eq!(actual.map(String::as_str), parts, "{uri}");
        }
    }

    #[test]
    fn verbs_are_those_of_access_rules() {
        let (all, one) = ("/api/v1/namespaces/a/pods", "/api/v1/namespaces/a/pods/b");
        for (method, uri, verb) in [
            (Method::GET, one, Verb::Get),
            (Method::GET, "/version", Verb::Get),
            (Method::GET, all, Verb::List),
            (Method::GET, "/api/v1/pods?watch=false", Verb::List),
            (Method::GET, "/api/v1/pods?watch=true&resourceVersion=1", Verb::Watch),
            (Method::POST, all, Verb::Create),
            (Method::PUT, one, Verb::Update),
            (Method::PATCH, one, Verb::Patch),
            (Method::DELETE, one, Verb::Delete),
            (Method::DELETE, all, Verb::DeleteCollection),
        ] {
            assert_eq!(call(&method, uri).verb, verb, "{method} {uri}");
        }
    }

    #[test]
    fn leases_events_and_questions_are_told_apart() {
        let class = |uri| call(&Method::POST, uri).class();
        assert_eq!(class("/apis/coordination.k8s.io/v1/namespaces/a/leases/b"), Class::Lease);
        assert_eq!(class("/apis/events.k8s.io/v1/namespaces/a/events"), Class::Event);
        assert_eq!(class("/api/v1/namespaces/a/events"), Class::Event);
        assert_eq!(class("/apis/g.io/v1/namespaces/a/events"), Class::Write);
        assert_eq!(class("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"), Class::Read);
        let class = |uri| call(&Method::GET, uri).class();
        assert_eq!(class("/apis/coordination.k8s.io/v1/namespaces/a/leases/b"), Class::Read);
        assert_eq!(class("/api/v1/events?watch=1"), Class::Watch);
    }

    #[test]
    fn a_call_reads_like_a_command() {
        let apply = call(&Method::PATCH, "/apis/g.io/v1/namespaces/a/things/b/status?force=true&fieldManager=operator");
        assert_eq!(apply.field_manager(), Some("operator"));
        assert_eq!(apply.to_string(), "patch things.g.io/status -n a b");
        assert_eq!(call(&Method::GET, "/version?timeout=5s").to_string(), "get /version");
        assert_eq!(apply.without_query().field_manager(), None);
    }
}
