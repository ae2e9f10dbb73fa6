//! Paths of Query mode that contain the routing key, in the place of the placeholder.
//!
//! The API server ensures that the key is one whole segment after a literal path. So a request has at most one key at each
//! such path, and matches the route of no unit but the one with that key.

use computing_unit_api::{PathMatch, PathMatchType};
use regex::bytes::RegexBuilder;

/// A path with the placeholder, split there.
pub struct KeyPath<'a> {
    r#type: PathMatchType,
    before: &'a str,
    after: &'a str,
}

impl<'a> KeyPath<'a> {
    /// `None` if the path does not contain the placeholder.
    pub fn of(path: &'a PathMatch) -> Option<Self> {
        let (before, after) = path.value.split_once(PathMatch::KEY)?;
        // A prefix ends with a segment, whether or not it has a trailing slash.
        let after = if path.r#type == PathMatchType::PathPrefix { after.trim_end_matches('/') } else { after };
        Some(Self { r#type: path.r#type, before, after })
    }

    /// The paths of requests for the unit with `key`.
    pub fn of_unit(&self, key: &str) -> Vec<PathMatch> {
        let exact = || PathMatch { r#type: PathMatchType::Exact, value: self.with(key) };
        // Gateway API orders regular expressions by length: the name of the group makes this one longer than `of_any`.
        let segment = format!("(?P<key>{})", regex::escape(key));
        match self.r#type {
            PathMatchType::Exact => vec![exact()],
            PathMatchType::PathPrefix => vec![exact(), regular(self.expression(&segment) + "/.*")],
            PathMatchType::RegularExpression => vec![regular(self.expression(&segment))],
        }
    }

    /// The path of requests with any key. Each path of a unit takes precedence over it.
    pub fn of_any(&self) -> PathMatch {
        regular(self.expression("[^/]+") + self.end())
    }

    /// The path before the key, as a prefix.
    pub fn prefix(&self) -> PathMatch {
        let value = match self.literal().trim_end_matches('/') {
            "" => "/",
            value => value,
        };
        PathMatch { r#type: PathMatchType::PathPrefix, value: value.to_owned() }
    }

    /// The path for `key`, unless it is a regular expression.
    pub fn plain(&self, key: &str) -> Option<String> {
        (self.r#type != PathMatchType::RegularExpression).then(|| self.with(key))
    }

    /// The key in the path of a request. It is not decoded, because proxies do not decode it either.
    pub fn key<'path>(&self, path: &'path str) -> Option<&'path str> {
        // Most requests are for another path, and an expression takes long to compile.
        path.starts_with(self.literal()).then_some(())?;
        let whole = format!("^(?:{}{})$", self.expression("([^/]+)"), self.end());
        // Envoy's expressions are of ASCII characters, too.
        let whole = RegexBuilder::new(&whole).unicode(false).build().ok()?;
        path.get(whole.captures(path.as_bytes())?.get(1)?.range())
    }

    fn literal(&self) -> &'a str {
        self.before.trim_start_matches('^')
    }

    fn with(&self, key: &str) -> String {
        format!("{}{key}{}", self.before, self.after)
    }

    fn expression(&self, segment: &str) -> String {
        match self.r#type {
            PathMatchType::RegularExpression => format!("{}{segment}{}", self.before, self.after),
            _ => format!("{}{segment}{}", regex::escape(self.before), regex::escape(self.after)),
        }
    }

    /// What may follow the whole path.
    fn end(&self) -> &'static str {
        if self.r#type == PathMatchType::PathPrefix { "(/.*)?" } else { "" }
    }
}

fn regular(value: String) -> PathMatch {
    PathMatch { r#type: PathMatchType::RegularExpression, value }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    fn path(r#type: PathMatchType, value: &str) -> PathMatch {
        PathMatch { r#type, value: value.to_owned() }
    }

    /// As a proxy matches a path. Compiles the expression once.
    fn matcher(path: PathMatch) -> Box<dyn Fn(&str) -> bool> {
        match path.r#type {
            PathMatchType::Exact => Box::new(move |request| path.value == request),
            PathMatchType::PathPrefix => Box::new(move |request| {
                let rest = request.strip_prefix(path.value.trim_end_matches('/'));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }),
            PathMatchType::RegularExpression => {
                let whole = Regex::new(&format!("^(?:{})$", path.value)).unwrap();
                Box::new(move |request| whole.is_match(request))
            }
        }
    }

    const PATHS: [(PathMatchType, &str); 5] = [
        (PathMatchType::Exact, "/api/pve/pves/{key}"),
        (PathMatchType::Exact, "/v1.0/{key}/"),
        (PathMatchType::PathPrefix, "/api/envs/{key}"),
        (PathMatchType::PathPrefix, "/{key}/a+b/"),
        (PathMatchType::RegularExpression, r"^/api/pve/{key}/[^/]+/packages/.+$"),
    ];

    #[test]
    fn request_has_the_key_in_the_place_of_the_placeholder() {
        for (r#type, value, request, expected) in [
            (PathMatchType::Exact, "/api/pve/pves/{key}", "/api/pve/pves/42", Some("42")),
            (PathMatchType::Exact, "/api/pve/pves/{key}", "/api/pve/pves/042", Some("042")),
            (PathMatchType::Exact, "/api/pve/pves/{key}", "/api/pve/pves/%34%32", Some("%34%32")),
            (PathMatchType::Exact, "/api/pve/pves/{key}", "/api/pve/pves/42/", None),
            (PathMatchType::Exact, "/api/pve/pves/{key}", "/api/pve/pves/", None),
            (PathMatchType::Exact, "/api/pve/pves/{key}", "/api/pve/pves", None),
            (PathMatchType::Exact, "/api/pve/pves/{key}", "/API/pve/pves/42", None),
            (PathMatchType::Exact, "/v1.0/{key}", "/v1x0/42", None),
            (PathMatchType::PathPrefix, "/api/envs/{key}", "/api/envs/42", Some("42")),
            (PathMatchType::PathPrefix, "/api/envs/{key}/", "/api/envs/42", Some("42")),
            (PathMatchType::PathPrefix, "/api/envs/{key}", "/api/envs/42/43", Some("42")),
            (PathMatchType::PathPrefix, "/api/envs/{key}/a", "/api/envs/42/b", None),
            (PathMatchType::RegularExpression, r"^/a/{key}/\d+$", "/a/42/7", Some("42")),
            (PathMatchType::RegularExpression, r"/a/{key}/\d+", "/a/42/7", Some("42")),
            (PathMatchType::RegularExpression, r"/a/{key}/\d+", "/a/42/7/8", None),
            (PathMatchType::RegularExpression, r"/a/{key}/\d+", "/b/a/42/7", None),
            (PathMatchType::RegularExpression, r"/a/{key}/(", "/a/42/7", None),
        ] {
            let path = path(r#type, value);
            assert_eq!(KeyPath::of(&path).unwrap().key(request), expected, "{value} {request}");
        }
        assert!(KeyPath::of(&path(PathMatchType::Exact, "/api/pve")).is_none());
    }

    /// Whatever a request is, at most one unit's route matches it, and that of the activator does if a unit's could.
    #[test]
    fn request_matches_the_paths_of_one_key_only() {
        let keys = ["4", "42", "042", "ada", "a-b", "computing-unit-42"];
        let mut requests = vec![];
        for (_, value) in PATHS {
            let plain = value.trim_matches(['^', '$']).replace("[^/]+", "env").replace(".+", "x/y");
            for segment in keys.iter().chain(&["", "43", "%34%32", "4/2", "42/43"]) {
                let request = plain.replace("{key}", segment);
                requests.extend([request.clone(), format!("{request}/"), format!("{request}/more")]);
            }
        }
        for (r#type, value) in PATHS {
            let path = path(r#type, value);
            let keyed = KeyPath::of(&path).unwrap();
            let units = keys.map(|key| (key, keyed.of_unit(key).into_iter().map(matcher).collect::<Vec<_>>()));
            let (any, prefix) = (matcher(keyed.of_any()), matcher(keyed.prefix()));
            let mut found = 0;
            for request in &requests {
                let matching = units.iter().filter(|(_, paths)| paths.iter().any(|matches| matches(request)));
                let matched: Vec<&str> = matching.map(|(key, _)| *key).collect();
                assert!(matched.len() <= 1, "{value} {request}: {matched:?}");
                let key = keyed.key(request);
                assert_eq!(matched.first().copied(), key.filter(|key| keys.contains(key)), "{value} {request}");
                assert_eq!(any(request), key.is_some(), "{value} {request}");
                assert!(key.is_none() || prefix(request), "{value} {request}");
                found += matched.len();
            }
            assert!(found >= keys.len(), "{value}");
        }
    }

    #[test]
    fn path_of_a_unit_takes_precedence_over_that_of_any_key() {
        let rank = |path: &PathMatch| (path.r#type == PathMatchType::Exact, path.value.len());
        for (r#type, value) in PATHS {
            let path = path(r#type, value);
            let keyed = KeyPath::of(&path).unwrap();
            assert!(keyed.of_unit("4").iter().all(|unit| rank(unit) > rank(&keyed.of_any())), "{value}");
        }
    }
}
