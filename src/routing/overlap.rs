//! Which pools cannot stand beside each other on one gateway, because a match of one could take requests of the other.
//!
//! Pools of the same mode whose keys lie in one space (the same parameter, prefix or domain) share it: keys are unique
//! there, so no two matches of theirs take the same request.

use computing_unit_api::{ComputingUnitPool, PathMatch, PathMatchType, Routing, RoutingType};
use kube::ResourceExt;

/// The older pool of the same gateway that `pool` overlaps, if any.
pub fn overlapped<'a>(
    pool: &ComputingUnitPool,
    others: impl IntoIterator<Item = &'a ComputingUnitPool>,
) -> Option<&'a ComputingUnitPool> {
    others.into_iter().find(|other| {
        other.uid() != pool.uid()
            && other.metadata.deletion_timestamp.is_none()
            && same_gateway(pool, other)
            && age(other) < age(pool)
            && overlap(&pool.spec.routing, &other.spec.routing)
    })
}

fn same_gateway(a: &ComputingUnitPool, b: &ComputingUnitPool) -> bool {
    let (a, b) = (&a.spec.gateway_ref, &b.spec.gateway_ref);
    // Two listeners of one gateway may share a port, so a section name keeps nothing apart.
    a.name == b.name && a.namespace == b.namespace
}

fn age(pool: &ComputingUnitPool) -> (String, String) {
    (pool.creation_timestamp().map(|time| time.0.to_string()).unwrap_or_default(), pool.uid().unwrap_or_default())
}

/// Whether a request could be taken by units of both routings.
#[must_use]
pub fn overlap(a: &Routing, b: &Routing) -> bool {
    match (a.r#type, b.r#type) {
        // A host name has a virtual host of its own, which no route without a host name enters.
        (RoutingType::Host, RoutingType::Host) => domains(a, b).is_some_and(|(a, b)| a != b && nested(a, b)),
        (RoutingType::Host, _) | (_, RoutingType::Host) => domains(a, b).is_some_and(|(a, b)| nested(a, b)),
        _ if same_space(a, b) => false,
        _ => prefixes(a).iter().any(|a| prefixes(b).iter().any(|b| meet(a, b))),
    }
}

fn same_space(a: &Routing, b: &Routing) -> bool {
    match (&a.query, &b.query, &a.path, &b.path) {
        (Some(a), Some(b), ..) => a.parameter == b.parameter,
        (.., Some(a), Some(b)) => a.prefix.trim_end_matches('/') == b.prefix.trim_end_matches('/'),
        _ => false,
    }
}

/// Whether a path of one pool could hide one of another on the same gateway: both could take the same request, and the
/// first goes before the second, whatever else their matches ask for.
#[must_use]
pub fn hides(path: &PathMatch, other: &PathMatch) -> bool {
    let rank = |path: &PathMatch| {
        let kind = match path.r#type {
            PathMatchType::PathPrefix => 0,
            PathMatchType::RegularExpression => 1,
            PathMatchType::Exact => 2,
        };
        (kind, path.value.len())
    };
    rank(path) > rank(other) && meet(&prefix(path), &prefix(other))
}

/// Whether two pools of one gateway share their keys.
#[must_use]
pub fn neighbours(a: &ComputingUnitPool, b: &ComputingUnitPool) -> bool {
    let (one, other) = (&a.spec.routing, &b.spec.routing);
    let same_domain = matches!((&one.host, &other.host), (Some(a), Some(b)) if a.domain == b.domain);
    same_gateway(a, b) && (same_domain || same_space(one, other))
}

/// Whether `a` goes before `b` where both could have something.
#[must_use]
pub fn older(a: &ComputingUnitPool, b: &ComputingUnitPool) -> bool {
    age(a) < age(b)
}

/// The domains that the host names of both routings lie in, where both have one.
fn domains<'a>(a: &'a Routing, b: &'a Routing) -> Option<(&'a str, &'a str)> {
    let domain = |routing: &'a Routing| {
        let lookup = || routing.query.as_ref()?.lookup_domain.as_deref();
        routing.host.as_ref().map(|host| host.domain.as_str()).or_else(lookup)
    };
    domain(a).zip(domain(b))
}

/// Whether one domain is the other, or lies in it.
fn nested(a: &str, b: &str) -> bool {
    let under = |domain: &str, other| domain.strip_suffix(other).is_some_and(|rest| rest.ends_with('.'));
    a == b || under(a, b) || under(b, a)
}

/// The start of a path that a match can take, and whether it ends with a whole segment.
struct Prefix {
    text: String,
    whole: bool,
}

fn prefixes(routing: &Routing) -> Vec<Prefix> {
    let query = routing.query.iter().flat_map(|query| &query.paths).map(prefix);
    let path =
        routing.path.iter().map(|path| Prefix { text: path.prefix.trim_end_matches('/').to_owned(), whole: true });
    query.chain(path).collect()
}

fn prefix(path: &PathMatch) -> Prefix {
    match path.r#type {
        PathMatchType::RegularExpression => Prefix { text: literal_start(&path.value), whole: false },
        _ => Prefix { text: path.value.trim_end_matches('/').to_owned(), whole: true },
    }
}

fn meet(a: &Prefix, b: &Prefix) -> bool {
    let (short, long) = if a.text.len() <= b.text.len() { (a, b) } else { (b, a) };
    match long.text.strip_prefix(&short.text) {
        Some(rest) => rest.is_empty() || !short.whole || rest.starts_with('/') || short.text.is_empty(),
        None => false,
    }
}

/// What every path that a regular expression matches starts with, as far as it can be read off.
fn literal_start(expression: &str) -> String {
    let expression = expression.strip_prefix('^').unwrap_or(expression);
    if expression.contains('|') {
        return String::new();
    }
    let special = |c: char| r"\.[](){}*+?$^".contains(c);
    let end = expression.find(special).unwrap_or(expression.len());
    let literal = &expression[..end];
    match expression[end..].chars().next() {
        // The last character is optional.
        Some('*' | '?' | '{') => {
            let mut chars = literal.chars();
            chars.next_back();
            chars.as_str().to_owned()
        }
        _ => literal.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{host_routing, lookup_routing, path_routing, pool, query_routing};

    fn under_prefix(prefix: &str) -> Routing {
        let mut routing = path_routing();
        routing.path.as_mut().unwrap().prefix = prefix.into();
        routing
    }

    fn in_domain(domain: &str) -> Routing {
        let mut routing = host_routing();
        routing.host.as_mut().unwrap().domain = domain.into();
        routing
    }

    #[test]
    fn pools_that_could_take_each_others_requests_overlap() {
        for (a, b) in [
            (under_prefix("/units"), under_prefix("/units/more")),
            (under_prefix("/"), query_routing()),
            (under_prefix("/wsapi"), query_routing()),
            (under_prefix("/api/executions"), query_routing()),
            (in_domain("example.org"), in_domain("units.example.org")),
            (in_domain("units.internal"), lookup_routing()),
            (in_domain("internal"), lookup_routing()),
        ] {
            assert!(overlap(&a, &b) && overlap(&b, &a), "{a:?} {b:?}");
        }
    }

    #[test]
    fn pools_that_cannot_do_not() {
        for (a, b) in [
            (under_prefix("/units"), under_prefix("/unitsandmore")),
            (under_prefix("/units"), under_prefix("/units/")),
            (query_routing(), query_routing()),
            (query_routing(), under_prefix("/units")),
            (in_domain("a.example.org"), in_domain("ba.example.org")),
            (in_domain("example.org"), query_routing()),
            (in_domain("example.org"), lookup_routing()),
            (query_routing(), lookup_routing()),
        ] {
            assert!(!overlap(&a, &b) && !overlap(&b, &a), "{a:?} {b:?}");
        }
    }

    #[test]
    fn an_expression_is_read_as_far_as_it_is_literal() {
        for (expression, start) in
            [(r"^/api/executions/\d+/stats", "/api/executions/"), ("/ab?c", "/a"), ("/a|/b", ""), (".*", "")]
        {
            assert_eq!(literal_start(expression), start, "{expression}");
        }
    }

    #[test]
    fn the_younger_pool_is_the_one_refused() {
        let mut old = pool(query_routing());
        let mut young = pool(under_prefix("/wsapi"));
        old.metadata.creation_timestamp = Some(crate::testing::time("2026-01-01T00:00:00Z"));
        old.metadata.uid = Some("old".into());
        young.metadata.creation_timestamp = Some(crate::testing::time("2026-01-02T00:00:00Z"));
        young.metadata.uid = Some("young".into());
        assert!(overlapped(&young, [&old, &young]).is_some());
        assert!(overlapped(&old, [&old, &young]).is_none());
    }
}
