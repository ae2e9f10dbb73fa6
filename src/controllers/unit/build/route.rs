//! The HTTPRoute of a unit, open or guarded.
//!
//! Every match of a guarded route also requires a header with the unit's UID, so that no user's request matches the
//! route before all proxies have its cluster, or while they remove it. If the route has a host name, it gets another
//! one while it is guarded: a proxy that knows a host name does not consider routes of a wildcard, so the activator
//! could not answer. The backend of a route is the same in both states.

pub use computing_unit_api::gateway::is_guarded;
use computing_unit_api::{
    GatewayRef, Isolation,
    gateway::{
        HTTPRoute,
        types::{
            HttpRouteParentRefs, HttpRouteRules, HttpRouteRulesBackendRefs, HttpRouteRulesFilters,
            HttpRouteRulesFiltersResponseHeaderModifier, HttpRouteRulesFiltersType, HttpRouteRulesFiltersUrlRewrite,
            HttpRouteRulesFiltersUrlRewritePath, HttpRouteRulesFiltersUrlRewritePathType, HttpRouteRulesMatches,
            HttpRouteRulesMatchesHeaders, HttpRouteRulesMatchesHeadersType, HttpRouteRulesTimeouts, HttpRouteSpec,
        },
    },
    names::{self, PORT, headers},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};

use super::{
    filters::{filter, set},
    sandbox,
};
use crate::{
    controllers::unit::validate::Unit,
    routing::{Mode, mode},
};

/// Builds the open route.
pub fn route(unit: &Unit) -> HTTPRoute {
    let object = &unit.object;
    let gateway = &unit.pool.spec.gateway_ref;
    let routing = &unit.pool.spec.routing;
    let mode = mode(routing);
    let name = object.name_any();
    let spec = HttpRouteSpec {
        parent_refs: Some(vec![parent(gateway)]),
        hostnames: unit.address.route_host.clone().map(|host| vec![host]),
        rules: Some(vec![HttpRouteRules {
            matches: Some(mode.map(|mode| mode.unit_matches(&name, &unit.key)).unwrap_or_default()),
            filters: Some(filters(mode, routing.effective_isolation(), &object.uid().unwrap_or_default())),
            backend_refs: Some(vec![HttpRouteRulesBackendRefs {
                group: Some(String::new()),
                kind: Some("Service".to_owned()),
                name: name.clone(),
                port: Some(PORT),
                weight: Some(1),
                ..HttpRouteRulesBackendRefs::default()
            }]),
            timeouts: Some(HttpRouteRulesTimeouts {
                request: Some(routing.timeouts.request.to_string()),
                backend_request: routing.timeouts.backend_request.map(|timeout| timeout.to_string()),
            }),
            name: None,
        }]),
    };
    let mut route = HTTPRoute::new(&name, spec.into());
    *route.meta_mut() = ObjectMeta {
        name: Some(name),
        namespace: object.namespace(),
        labels: Some(names::child_labels(object, unit.cuid())),
        owner_references: Some(vec![names::owner_reference(object)]),
        ..ObjectMeta::default()
    };
    route
}

/// A reference to the Gateway of a route.
pub fn parent(gateway: &GatewayRef) -> HttpRouteParentRefs {
    HttpRouteParentRefs {
        group: Some("gateway.networking.k8s.io".to_owned()),
        kind: Some("Gateway".to_owned()),
        name: gateway.name.clone(),
        namespace: Some(gateway.namespace.clone()),
        port: None,
        section_name: gateway.section_name.clone(),
    }
}

fn filters(mode: Option<&dyn Mode>, isolation: Isolation, uid: &str) -> Vec<HttpRouteRulesFilters> {
    // An HTTPRoute must not have two filters of one type in a rule.
    let response = HttpRouteRulesFiltersResponseHeaderModifier {
        set: Some(vec![set(headers::UNIT, uid)]),
        ..HttpRouteRulesFiltersResponseHeaderModifier::default()
    };
    let (request, response) = match isolation {
        Isolation::Sandbox => (Some(sandbox::request()), sandbox::response(response)),
        Isolation::None => (None, response),
    };
    let request = request.map(|modifier| HttpRouteRulesFilters {
        request_header_modifier: Some(modifier),
        ..filter(HttpRouteRulesFiltersType::RequestHeaderModifier)
    });
    let response = HttpRouteRulesFilters {
        response_header_modifier: Some(response),
        ..filter(HttpRouteRulesFiltersType::ResponseHeaderModifier)
    };
    let rewrite = mode.and_then(Mode::replace_prefix_match).map(|replacement| HttpRouteRulesFilters {
        url_rewrite: Some(HttpRouteRulesFiltersUrlRewrite {
            hostname: None,
            path: Some(HttpRouteRulesFiltersUrlRewritePath {
                r#type: HttpRouteRulesFiltersUrlRewritePathType::ReplacePrefixMatch,
                replace_prefix_match: Some(replacement.to_owned()),
                replace_full_path: None,
            }),
        }),
        ..filter(HttpRouteRulesFiltersType::UrlRewrite)
    });
    request.into_iter().chain([response]).chain(rewrite).collect()
}

/// Adds the guard of the unit `uid` to every match.
pub fn guarded(mut route: HTTPRoute, uid: &str) -> HTTPRoute {
    for host in route.spec.hostnames.iter_mut().flatten() {
        *host = renamed(host, uid);
    }
    for each in all_matches(&mut route) {
        let guards = each.headers.get_or_insert_default();
        guards.retain(|header| header.name != headers::GUARD);
        guards.push(HttpRouteRulesMatchesHeaders {
            name: headers::GUARD.to_owned(),
            r#type: Some(HttpRouteRulesMatchesHeadersType::Exact),
            value: uid.to_owned(),
        });
    }
    route
}

/// The host name of `route` when it is open. `None` if it takes requests for any host name.
pub fn open_host(route: &HTTPRoute) -> Option<String> {
    Some(renamed(route.spec.hostnames.as_ref()?.first()?, &route.name_any()))
}

/// Replaces the first label of a host name.
fn renamed(host: &str, label: &str) -> String {
    host.split_once('.').map_or_else(|| label.to_owned(), |(_, domain)| format!("{label}.{domain}"))
}

fn all_matches(route: &mut HTTPRoute) -> impl Iterator<Item = &mut HttpRouteRulesMatches> {
    route.spec.rules.iter_mut().flatten().flat_map(|rule| rule.matches.iter_mut().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{accepted, host_routing, path_routing, query_routing};

    fn filters_of(route: &HTTPRoute) -> Vec<HttpRouteRulesFilters> {
        route.spec.rules.clone().unwrap()[0].filters.clone().unwrap()
    }

    #[test]
    fn route_of_a_sandboxed_unit_isolates_it_while_open_and_while_guarded() {
        let open = route(&accepted(query_routing()));
        insta::assert_yaml_snapshot!(filters_of(&open));
        assert_eq!(filters_of(&guarded(open.clone(), "ada-uid")), filters_of(&open));
    }

    #[test]
    fn isolation_has_the_default_of_the_mode() {
        let isolated = |routing| {
            let filters = filters_of(&route(&accepted(routing)));
            filters.iter().any(|filter| filter.request_header_modifier.is_some())
        };
        assert!(isolated(query_routing()));
        assert!(!isolated(host_routing()));
        for isolation in [Isolation::Sandbox, Isolation::None] {
            for mut routing in [query_routing(), path_routing(), host_routing()] {
                routing.isolation = Some(isolation);
                assert_eq!(isolated(routing), isolation == Isolation::Sandbox);
            }
        }
    }

    /// The API server rejects a route with two filters of a type, and Envoy Gateway one that both sets and removes a header.
    #[test]
    fn each_type_of_filter_and_each_header_occurs_once() {
        for mut routing in [query_routing(), path_routing(), host_routing()] {
            routing.isolation = Some(Isolation::Sandbox);
            let filters = filters_of(&route(&accepted(routing)));
            for (index, filter) in filters.iter().enumerate() {
                assert!(filters[index + 1..].iter().all(|other| other.r#type != filter.r#type));
                let Some(modifier) = &filter.response_header_modifier else { continue };
                let set = modifier.set.iter().flatten().map(|header| header.name.clone());
                let mut names: Vec<_> = set.chain(modifier.remove.iter().flatten().cloned()).collect();
                assert!(names.len() <= 16);
                let count = names.len();
                names.sort();
                names.dedup();
                assert_eq!(names.len(), count);
            }
        }
    }
}
