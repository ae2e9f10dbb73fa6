//! The HTTPRoute of a unit while it is guarded.
//!
//! Every match of a guarded route also requires a header with the unit's UID, so that no user's request matches the
//! route before all proxies have its cluster, or while they remove it. If the route has a host name, it gets another
//! one while it is guarded: a proxy that knows a host name does not consider routes of a wildcard, so the activator
//! could not answer. The backend of a route is the same in both states.
//!
//! A route that is closed, that is, guarded after it was open, also sets a response header with the version of the open route:
//! its UID and generation. A response with it shows that a proxy has applied the closing. That a user's request no longer
//! matches could also mean that the proxy has yet to apply the opening.

pub use computing_unit_api::gateway::is_guarded;
use computing_unit_api::{
    gateway::{
        HTTPRoute,
        types::{
            HttpRouteRulesFiltersResponseHeaderModifier, HttpRouteRulesFiltersResponseHeaderModifierSet,
            HttpRouteRulesMatchesHeaders, HttpRouteRulesMatchesHeadersType,
        },
    },
    names::headers,
};
use kube::ResourceExt;

use super::filters::set;
use crate::routing::{HOST, PORT_SEPARATOR, host_pattern};

/// Adds the guard of the unit `uid` to every match.
pub fn guarded(mut route: HTTPRoute, uid: &str) -> HTTPRoute {
    let mut renames = vec![];
    for host in route.spec.hostnames.iter_mut().flatten() {
        let new = renamed(host, uid);
        renames.push((host_pattern(host), host_pattern(&new)));
        *host = new;
    }
    for each in route.spec.rules.iter_mut().flatten().flat_map(|rule| rule.matches.iter_mut().flatten()) {
        let guards = each.headers.get_or_insert_default();
        for header in guards.iter_mut().filter(|header| header.name == HOST) {
            if let Some((_, new)) = renames.iter().find(|(old, _)| *old == header.value) {
                header.value.clone_from(new);
            }
        }
        guards.retain(|header| header.name != headers::GUARD);
        guards.push(guard(uid));
    }
    route
}

/// Guards `route`, which is to replace `current`: closed if `current` is open or closed.
pub fn closed(mut route: HTTPRoute, uid: &str, current: &HTTPRoute) -> HTTPRoute {
    // That of an earlier attempt is kept: a write that admission changes must be recognized when it is repeated.
    let opened = || {
        let meta = &current.metadata;
        format!("{}.{}", meta.uid.as_deref().unwrap_or_default(), meta.generation.unwrap_or_default())
    };
    let version = closed_version(current).map(str::to_owned).or_else(|| (!is_guarded(current)).then(opened));
    for header in response_headers_mut(&mut route) {
        header.retain(|header| header.name != headers::CLOSED);
        header.extend(version.as_deref().map(|version| set(headers::CLOSED, version)));
    }
    guarded(route, uid)
}

/// The version that this route had when it was open, as the responses of proxies that have closed it report it.
pub fn closed_version(route: &HTTPRoute) -> Option<&str> {
    let filters = route.spec.rules.as_ref()?.first()?.filters.iter().flatten();
    let mut headers = filters.filter_map(|filter| filter.response_header_modifier.as_ref()?.set.as_ref()).flatten();
    headers.find(|header| header.name == headers::CLOSED).map(|header| header.value.as_str())
}

/// The host name of `route` as it is. `None` if it takes requests for any host name.
pub fn host(route: &HTTPRoute) -> Option<&str> {
    route.spec.hostnames.as_ref()?.first().map(String::as_str)
}

/// The host name of `route` when it is open. `None` if it takes requests for any host name.
pub fn open_host(route: &HTTPRoute) -> Option<String> {
    Some(renamed(host(route)?, &route.name_any()))
}

fn response_headers_mut(
    route: &mut HTTPRoute,
) -> impl Iterator<Item = &mut Vec<HttpRouteRulesFiltersResponseHeaderModifierSet>> {
    let filters = route.spec.rules.iter_mut().flatten().flat_map(|rule| rule.filters.iter_mut().flatten());
    let modifiers = filters.filter_map(|filter| filter.response_header_modifier.as_mut());
    modifiers.map(|HttpRouteRulesFiltersResponseHeaderModifier { set, .. }| set.get_or_insert_default())
}

fn guard(uid: &str) -> HttpRouteRulesMatchesHeaders {
    HttpRouteRulesMatchesHeaders {
        name: headers::GUARD.to_owned(),
        r#type: Some(HttpRouteRulesMatchesHeadersType::Exact),
        value: uid.to_owned(),
    }
}

/// Replaces the name of the unit in the first label of a host name.
fn renamed(host: &str, name: &str) -> String {
    let (label, domain) = host.split_once('.').map_or((host, None), |(label, domain)| (label, Some(domain)));
    let port = label.split_once(PORT_SEPARATOR).map(|(port, _)| format!("{port}{PORT_SEPARATOR}")).unwrap_or_default();
    let domain = domain.map(|domain| format!(".{domain}")).unwrap_or_default();
    format!("{port}{name}{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        controllers::unit::build,
        testing::{accepted, host_routing, query_routing, with_ports},
    };

    #[test]
    fn host_names_of_ports_are_guarded_as_that_of_the_unit() {
        let open = build::children(&with_ports(host_routing())).route;
        let once = guarded(open.clone(), "ada-uid");
        let hosts = ["ada-uid", "tensorboard--ada-uid", "dev--ada-uid"].map(|name| format!("{name}.units.example.org"));
        assert_eq!(once.spec.hostnames.as_deref(), Some(&hosts[..]));
        assert_eq!(open_host(&once).as_deref(), Some("ada.units.example.org"));
        assert_eq!(guarded(once.clone(), "ada-uid"), once);
        assert!(is_guarded(&once));
        let rules = once.spec.rules.iter().flatten();
        let patterns: Vec<_> = rules
            .flat_map(|rule| rule.matches.iter().flatten())
            .map(|each| {
                let mut headers = each.headers.iter().flatten();
                headers.find(|header| header.name == HOST).map(|header| header.value.clone())
            })
            .collect();
        assert_eq!(patterns, [None, Some(host_pattern(&hosts[1])), Some(host_pattern(&hosts[2]))]);
    }

    #[test]
    fn closing_is_identified_by_the_version_of_the_open_route() {
        let mut open = build::children(&accepted(query_routing())).route;
        open.metadata.uid = Some("route-uid".into());
        open.metadata.generation = Some(7);
        let mut once = closed(open.clone(), "ada-uid", &open);
        once.metadata.generation = Some(8);
        assert!(is_guarded(&once));
        assert_eq!(closed_version(&once), Some("route-uid.7"));
        insta::assert_yaml_snapshot!(once.spec.rules.as_ref().unwrap()[0].filters.as_ref().unwrap().last());
        assert_eq!(closed(open.clone(), "ada-uid", &once).spec, once.spec, "a repair keeps it");
        assert_eq!(closed_version(&open), None, "opening the route removes it");
        let never_open = guarded(open.clone(), "ada-uid");
        assert_eq!(closed(open.clone(), "ada-uid", &never_open).spec, never_open.spec);
        let mut unguarded = once.clone();
        for each in unguarded.spec.rules.iter_mut().flatten().flat_map(|rule| rule.matches.iter_mut().flatten()) {
            each.headers = None;
        }
        unguarded.metadata.generation = Some(9);
        assert_eq!(closed(open, "ada-uid", &unguarded).spec, once.spec, "if admission removes the guard");
    }
}
