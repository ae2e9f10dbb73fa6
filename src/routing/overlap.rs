//! Pools whose routings overlap: a request could match routes of units of both. Only one of two such pools on one Gateway
//! is accepted.
//!
//! Pools that share a key space do not overlap: their keys are unique, so no request matches units of both.

use computing_unit_api::{ComputingUnitPool, Routing, RoutingType};
use kube::ResourceExt;

use super::{
    mode::{Mode, mode},
    paths,
};

/// Whether two pools on one Gateway cannot both be accepted: a request could match routes of units of both.
pub fn conflict(a: &ComputingUnitPool, b: &ComputingUnitPool) -> bool {
    a.uid() != b.uid()
        && [a, b].iter().all(|pool| pool.metadata.deletion_timestamp.is_none())
        && same_gateway(a, b)
        && (overlap(&a.spec.routing, &b.spec.routing) || share_lookup_names(a, b))
}

/// Whether units of both pools could have one lookup host name. Names of units are unique per namespace only.
fn share_lookup_names(a: &ComputingUnitPool, b: &ComputingUnitPool) -> bool {
    let domain = |pool: &ComputingUnitPool| pool.spec.routing.query.as_ref()?.lookup_domain.clone();
    a.namespace() != b.namespace() && domain(a).is_some() && domain(a) == domain(b)
}

/// Whether `a` takes precedence over `b` because it is older.
pub fn older(a: &ComputingUnitPool, b: &ComputingUnitPool) -> bool {
    age(a) < age(b)
}

fn same_gateway(a: &ComputingUnitPool, b: &ComputingUnitPool) -> bool {
    let (a, b) = (&a.spec.gateway_ref, &b.spec.gateway_ref);
    // Two listeners of one Gateway may share a port, so the section name separates nothing.
    a.name == b.name && a.namespace == b.namespace
}

fn age(pool: &ComputingUnitPool) -> (String, String) {
    (pool.creation_timestamp().map(|time| time.0.to_string()).unwrap_or_default(), pool.uid().unwrap_or_default())
}

/// Whether a request could match routes of units of both routings.
fn overlap(a: &Routing, b: &Routing) -> bool {
    match (a.r#type, b.r#type) {
        _ if share_key_space(a, b) => false,
        // A host name has a virtual host of its own, in which routes without a host name are not considered.
        (RoutingType::Host, _) | (_, RoutingType::Host) => domains(a, b).is_some_and(|(a, b)| nested(a, b)),
        _ => paths::routings_intersect(a, b),
    }
}

fn share_key_space(a: &Routing, b: &Routing) -> bool {
    let space = |routing| mode(routing).map(Mode::key_space);
    a.r#type == b.r#type && space(a).is_some() && space(a) == space(b)
}

/// The domains of both routings' host names, if both have one.
fn domains<'a>(a: &'a Routing, b: &'a Routing) -> Option<(&'a str, &'a str)> {
    let domain = |routing: &'a Routing| {
        let lookup = || routing.query.as_ref()?.lookup_domain.as_deref();
        routing.host.as_ref().map(|host| host.domain.as_str()).or_else(lookup)
    };
    domain(a).zip(domain(b))
}

/// Whether one domain equals the other or is a subdomain of it.
fn nested(a: &str, b: &str) -> bool {
    let subdomain = |domain: &str, other| domain.strip_suffix(other).is_some_and(|rest| rest.ends_with('.'));
    a == b || subdomain(a, b) || subdomain(b, a)
}

#[cfg(test)]
mod tests {
    use computing_unit_api::{PathMatch, PathMatchType};

    use super::*;
    use crate::testing::{host_routing, lookup_routing, path_routing, query_routing};

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

    fn keyed(path: &str) -> Routing {
        let mut routing = query_routing();
        routing.query.as_mut().unwrap().paths = vec![PathMatch { r#type: PathMatchType::Exact, value: path.into() }];
        routing
    }

    #[test]
    fn routings_overlap_if_a_request_could_match_both() {
        for (a, b) in [
            (under_prefix("/units"), under_prefix("/units/more")),
            (under_prefix("/"), query_routing()),
            (under_prefix("/wsapi"), query_routing()),
            (under_prefix("/api/executions"), query_routing()),
            (under_prefix("/envs"), keyed("/envs/{key}/list")),
            (under_prefix("/envs/42"), keyed("/envs/{key}/list")),
            (in_domain("example.org"), in_domain("units.example.org")),
            (in_domain("units.internal"), lookup_routing()),
            (in_domain("internal"), lookup_routing()),
        ] {
            assert!(overlap(&a, &b) && overlap(&b, &a), "{a:?} {b:?}");
        }
    }

    #[test]
    fn routings_do_not_overlap_if_no_request_could_match_both() {
        for (a, b) in [
            (under_prefix("/units"), under_prefix("/unitsandmore")),
            (under_prefix("/units"), under_prefix("/units/")),
            (query_routing(), query_routing()),
            (query_routing(), under_prefix("/units")),
            (keyed("/envs/{key}"), under_prefix("/env")),
            (in_domain("a.example.org"), in_domain("ba.example.org")),
            (in_domain("example.org"), query_routing()),
            (in_domain("example.org"), lookup_routing()),
            (query_routing(), lookup_routing()),
        ] {
            assert!(!overlap(&a, &b) && !overlap(&b, &a), "{a:?} {b:?}");
        }
    }
}
