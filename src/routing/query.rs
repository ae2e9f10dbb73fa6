//! Query mode: a query parameter carries the key, or the path in the place of a placeholder.

use computing_unit_api::{
    ActivatorSpec, PathMatch, PathMatchType, QueryRouting, Routing,
    gateway::types::{
        HttpRouteRulesMatches, HttpRouteRulesMatchesPath, HttpRouteRulesMatchesQueryParams,
        HttpRouteRulesMatchesQueryParamsType,
    },
};
use http::Uri;

use super::{key_path::KeyPath, matches, mode::Mode, paths::takes_precedence, url::Address};

impl Mode for QueryRouting {
    fn unit_key(&self, name: &str, cuid: Option<i64>) -> String {
        cuid.map_or_else(|| name.to_owned(), |cuid| cuid.to_string())
    }

    fn request_key(&self, uri: &Uri, _host: Option<&str>) -> Option<String> {
        let in_path = self.paths.iter().filter_map(|path| KeyPath::of(path)?.key(uri.path()));
        let mut keys = parameter(uri, &self.parameter).into_iter().chain(in_path);
        let key = keys.next()?;
        // Which unit a proxy routes a request with two keys to depends on which of them have a route.
        keys.all(|other| other == key).then(|| key.to_owned())
    }

    fn key_space(&self) -> &str {
        &self.parameter
    }

    fn address(&self, name: &str, cuid: Option<i64>) -> Address {
        let key = self.unit_key(name, cuid);
        let query = Some(format!("{}={key}", self.parameter));
        let first = |wanted| without_key(self).find(|path| path.r#type == wanted).map(|path| path.value.clone());
        let plain = first(PathMatchType::PathPrefix).or_else(|| first(PathMatchType::Exact));
        let with_key = || self.paths.iter().find_map(|path| KeyPath::of(path)?.plain(&key));
        let (path, query) = match plain {
            Some(path) => (path, query),
            None => with_key().map_or(("/".to_owned(), query), |path| (path, None)),
        };
        Address { host: None, route_host: self.lookup_host(name), path, query }
    }

    fn unit_matches(&self, _name: &str, key: &str) -> Vec<HttpRouteRulesMatches> {
        let parameter = HttpRouteRulesMatchesQueryParams {
            name: self.parameter.clone(),
            r#type: Some(HttpRouteRulesMatchesQueryParamsType::Exact),
            value: key.to_owned(),
        };
        let of_path = |path: &PathMatch| match KeyPath::of(path) {
            Some(path) => path.of_unit(key).iter().map(|path| matches::only(matches::path(path))).collect(),
            None => vec![HttpRouteRulesMatches {
                query_params: Some(vec![parameter.clone()]),
                ..matches::only(matches::path(path))
            }],
        };
        self.paths.iter().flat_map(of_path).collect()
    }

    fn activator_paths(&self, sharing: &[&Routing]) -> Vec<HttpRouteRulesMatchesPath> {
        let others: Vec<&PathMatch> =
            sharing.iter().flat_map(|routing| &routing.query).flat_map(|query| &query.paths).collect();
        let hides = |path: &PathMatch| others.iter().any(|other| takes_precedence(path, other));
        // A path with any key must not hide those of units that have the key in the parameter. If no form of it is
        // possible, a shorter prefix is one of the paths.
        let hides_own = |path: &PathMatch| without_key(self).any(|other| takes_precedence(path, other));
        let of_path = |path: &PathMatch| match KeyPath::of(path) {
            Some(path) => [path.of_any(), path.prefix()].into_iter().find(|path| !hides(path) && !hides_own(path)),
            None => Some(path.clone()).filter(|path| !hides(path)),
        };
        self.paths.iter().filter_map(of_path).map(|path| matches::path(&path)).collect()
    }

    fn activator_hosts(&self, activator: &ActivatorSpec) -> Vec<String> {
        // A request arrives with a host name of clients, and again with that of a unit. A unit that has no route has no host
        // name of its own either.
        let of_units = self.lookup_domain.as_ref().filter(|_| !activator.hostnames.is_empty());
        let of_clients = of_units.iter().flat_map(|_| activator.hostnames.clone());
        of_clients.chain(of_units.map(|domain| format!("*.{domain}"))).collect()
    }

    fn lookup_host(&self, name: &str) -> Option<String> {
        Some(format!("{name}.{}", self.lookup_domain.as_ref()?))
    }
}

/// The value of the parameter `name`, as proxies compare it: the first one, without decoding it.
fn parameter<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    let mut pairs = uri.query()?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value).filter(|value| !value.is_empty())
}

/// The paths that need the parameter.
fn without_key(query: &QueryRouting) -> impl Iterator<Item = &PathMatch> {
    query.paths.iter().filter(|path| KeyPath::of(path).is_none())
}

#[cfg(test)]
mod tests {
    use computing_unit_api::Routing;
    use serde_json::json;

    use crate::{
        routing::{address, mode, request_key, url},
        testing::{self, lookup_routing, query_routing},
    };

    fn with_paths(mut routing: Routing, paths: &[(&str, &str)]) -> Routing {
        let paths: Vec<_> = paths.iter().map(|(kind, value)| json!({"type": kind, "value": value})).collect();
        routing.query.as_mut().unwrap().paths = serde_json::from_value(json!(paths)).unwrap();
        routing
    }

    #[test]
    fn url_does_not_contain_the_internal_host_name() {
        let address = address(&testing::lookup_routing(), "ada", Some(42)).unwrap();
        assert_eq!(address.route_host.as_deref(), Some("ada.units.internal"));
        assert_eq!(url(&address, Some("https://x"), None).unwrap(), "https://x/wsapi?cuid=42");
    }

    #[test]
    fn url_has_the_key_in_the_path_only_if_no_path_needs_the_parameter() {
        for (paths, expected) in [
            (&[("PathPrefix", "/envs/{key}"), ("Exact", "/wsapi")][..], "/wsapi?cuid=42"),
            (&[("RegularExpression", "/a/{key}/.*"), ("Exact", "/envs/{key}/list")], "/envs/42/list"),
            (&[("PathPrefix", "/envs/{key}/")], "/envs/42"),
        ] {
            let routing = with_paths(query_routing(), paths);
            let address = address(&routing, "ada", Some(42)).unwrap();
            assert_eq!(url(&address, Some("https://x"), None).unwrap(), format!("https://x{expected}"));
        }
    }

    #[test]
    fn request_has_the_key_in_the_path_or_in_the_parameter() {
        let paths = [
            ("PathPrefix", "/api/pve"),
            ("Exact", "/api/pve/pves/{key}"),
            ("RegularExpression", "/api/pve/{key}/[^/]+/packages/.+"),
        ];
        for routing in [query_routing(), lookup_routing()] {
            let routing = with_paths(routing, &paths);
            for (uri, expected) in [
                ("/api/pve/pves/42", Some("42")),
                ("/api/pve/pves/42?access-token=x", Some("42")),
                ("/api/pve/pves/42?cuid=42", Some("42")),
                ("/api/pve/pves/42?cuid=", Some("42")),
                ("/api/pve/pves/42?cuid=&cuid=43", Some("42")),
                ("/api/pve/pves/042", Some("042")),
                ("/api/pve/pves/%34%32", Some("%34%32")),
                ("/api/pve/42/env/packages/a/b", Some("42")),
                ("/api/pve/pves?cuid=42", Some("42")),
                ("/api/pve/pves/42/?cuid=43", Some("43")),
                ("/api/pve/pves/42/", None),
                // Keys of two units.
                ("/api/pve/pves/42?cuid=43", None),
                ("/api/pve/pves/42?cuid=042", None),
                ("/api/pve/42/env/packages/a?cuid=43&cuid=42", None),
            ] {
                let key = request_key(&routing, &uri.parse().unwrap(), Some("x"));
                assert_eq!(key.as_deref(), expected, "{uri}");
            }
        }
    }

    /// The matches of the route to the activator beside pools with the same parameter.
    fn activator_paths(paths: &[(&str, &str)], sharing: &[&[(&str, &str)]]) -> Vec<String> {
        let sharing: Vec<_> = sharing.iter().map(|paths| with_paths(query_routing(), paths)).collect();
        let routing = with_paths(query_routing(), paths);
        let paths = mode(&routing).unwrap().activator_paths(&sharing.iter().collect::<Vec<_>>());
        paths.into_iter().map(|path| format!("{:?} {}", path.r#type.unwrap(), path.value.unwrap())).collect()
    }

    #[test]
    fn path_with_any_key_does_not_hide_paths_with_the_parameter() {
        let exact = ("Exact", "/api/pve/pves/{key}");
        let any = "RegularExpression /api/pve/pves/[^/]+";
        assert_eq!(activator_paths(&[exact], &[]), [any]);
        // A prefix contains it: `/api/pve/pves/list?cuid=42` is for unit 42.
        assert_eq!(activator_paths(&[exact, ("PathPrefix", "/api/pve")], &[]), ["PathPrefix /api/pve"]);
        let below = ("PathPrefix", "/api/pve/pves/list");
        let expected = ["PathPrefix /api/pve/pves", "PathPrefix /api/pve/pves/list"];
        assert_eq!(activator_paths(&[exact, below], &[]), expected);
        assert_eq!(activator_paths(&[exact], &[&[exact], &[("PathPrefix", "/wsapi")]]), [any], "the same paths");
        assert_eq!(activator_paths(&[exact], &[&[("PathPrefix", "/api/pve")]]), [""; 0]);
    }
}
