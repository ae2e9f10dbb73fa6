//! The HTTPRoute of a unit, open or guarded.
//!
//! Guarded means that every match also requires a header with the unit's UID, so that no user's request takes the
//! route while the proxies warm up behind it or give it up. A route with a host name of its own is guarded under another
//! one besides: a proxy that knows a host name asks no route of a wider one, so the pool's entry could not answer. The
//! backend of a route is the same in both states.

pub use computing_unit_api::gateway::is_guarded;
use computing_unit_api::{
    GatewayRef, PathMatch, PathMatchType, Routing, RoutingType,
    gateway::{
        HTTPRoute,
        types::{
            HttpRouteParentRefs, HttpRouteRules, HttpRouteRulesBackendRefs, HttpRouteRulesFilters,
            HttpRouteRulesFiltersResponseHeaderModifier, HttpRouteRulesFiltersResponseHeaderModifierSet,
            HttpRouteRulesFiltersType, HttpRouteRulesFiltersUrlRewrite, HttpRouteRulesFiltersUrlRewritePath,
            HttpRouteRulesFiltersUrlRewritePathType, HttpRouteRulesMatches, HttpRouteRulesMatchesHeaders,
            HttpRouteRulesMatchesHeadersType, HttpRouteRulesMatchesPath, HttpRouteRulesMatchesPathType,
            HttpRouteRulesMatchesQueryParams, HttpRouteRulesMatchesQueryParamsType, HttpRouteRulesTimeouts,
            HttpRouteSpec,
        },
    },
    names::{self, PORT, headers},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};

use crate::{controllers::unit::validate::Unit, routing};

/// Builds the route, open.
#[must_use]
pub fn route(unit: &Unit) -> HTTPRoute {
    let object = &unit.object;
    let gateway = &unit.pool.spec.gateway_ref;
    let routing = &unit.pool.spec.routing;
    let name = object.name_any();
    let spec = HttpRouteSpec {
        parent_refs: Some(vec![parent(gateway)]),
        hostnames: unit.address.route_host.clone().map(|host| vec![host]),
        rules: Some(vec![HttpRouteRules {
            matches: Some(matches(routing, &name, &unit.key)),
            filters: Some(filters(routing, &object.uid().unwrap_or_default())),
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
        labels: Some(names::child_labels(object)),
        owner_references: Some(vec![names::owner_reference(object)]),
        ..ObjectMeta::default()
    };
    route
}

/// The gateway that a route is attached to.
pub(crate) fn parent(gateway: &GatewayRef) -> HttpRouteParentRefs {
    HttpRouteParentRefs {
        group: Some("gateway.networking.k8s.io".to_owned()),
        kind: Some("Gateway".to_owned()),
        name: gateway.name.clone(),
        namespace: Some(gateway.namespace.clone()),
        port: None,
        section_name: gateway.section_name.clone(),
    }
}

fn matches(routing: &Routing, name: &str, key: &str) -> Vec<HttpRouteRulesMatches> {
    let path = |path: HttpRouteRulesMatchesPath| HttpRouteRulesMatches { path: Some(path), ..Default::default() };
    match routing.r#type {
        RoutingType::Query => routing
            .query
            .iter()
            .flat_map(|query| {
                query.paths.iter().map(|wanted| HttpRouteRulesMatches {
                    query_params: Some(vec![HttpRouteRulesMatchesQueryParams {
                        name: query.parameter.clone(),
                        r#type: Some(HttpRouteRulesMatchesQueryParamsType::Exact),
                        value: key.to_owned(),
                    }]),
                    ..path(path_match(wanted))
                })
            })
            .collect(),
        RoutingType::Path => {
            let prefix = routing.path.as_ref().map_or("/", |path| path.prefix.as_str());
            vec![path(prefix_match(routing::unit_prefix(prefix, name)))]
        }
        RoutingType::Host => vec![path(prefix_match("/".to_owned()))],
    }
}

/// A path of a pool, as a route matches it.
pub(crate) fn path_match(path: &PathMatch) -> HttpRouteRulesMatchesPath {
    let r#type = match path.r#type {
        PathMatchType::PathPrefix => HttpRouteRulesMatchesPathType::PathPrefix,
        PathMatchType::Exact => HttpRouteRulesMatchesPathType::Exact,
        PathMatchType::RegularExpression => HttpRouteRulesMatchesPathType::RegularExpression,
    };
    HttpRouteRulesMatchesPath { r#type: Some(r#type), value: Some(path.value.clone()) }
}

/// All paths under a prefix.
pub(crate) fn prefix_match(value: String) -> HttpRouteRulesMatchesPath {
    HttpRouteRulesMatchesPath { r#type: Some(HttpRouteRulesMatchesPathType::PathPrefix), value: Some(value) }
}

fn filters(routing: &Routing, uid: &str) -> Vec<HttpRouteRulesFilters> {
    let mark = HttpRouteRulesFilters {
        r#type: HttpRouteRulesFiltersType::ResponseHeaderModifier,
        response_header_modifier: Some(HttpRouteRulesFiltersResponseHeaderModifier {
            set: Some(vec![HttpRouteRulesFiltersResponseHeaderModifierSet {
                name: headers::UNIT.to_owned(),
                value: uid.to_owned(),
            }]),
            ..Default::default()
        }),
        ..none(HttpRouteRulesFiltersType::ResponseHeaderModifier)
    };
    let rewrite = routing.path.as_ref().and_then(|path| path.replace_prefix_match.clone()).map(|replacement| {
        HttpRouteRulesFilters {
            url_rewrite: Some(HttpRouteRulesFiltersUrlRewrite {
                hostname: None,
                path: Some(HttpRouteRulesFiltersUrlRewritePath {
                    r#type: HttpRouteRulesFiltersUrlRewritePathType::ReplacePrefixMatch,
                    replace_prefix_match: Some(replacement),
                    replace_full_path: None,
                }),
            }),
            ..none(HttpRouteRulesFiltersType::UrlRewrite)
        }
    });
    std::iter::once(mark).chain(rewrite).collect()
}

/// A filter of a type that says nothing yet.
pub(crate) fn none(r#type: HttpRouteRulesFiltersType) -> HttpRouteRulesFilters {
    HttpRouteRulesFilters {
        r#type,
        cors: None,
        extension_ref: None,
        request_header_modifier: None,
        request_mirror: None,
        request_redirect: None,
        response_header_modifier: None,
        url_rewrite: None,
    }
}

/// The same route with the guard of unit `uid` in every match.
#[must_use]
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

/// The host name that users ask for where `route`, guarded or not, has one.
#[must_use]
pub fn open_host(route: &HTTPRoute) -> Option<String> {
    Some(renamed(route.spec.hostnames.as_ref()?.first()?, &route.name_any()))
}

/// A host name with another first label.
fn renamed(host: &str, label: &str) -> String {
    host.split_once('.').map_or_else(|| label.to_owned(), |(_, domain)| format!("{label}.{domain}"))
}

fn all_matches(route: &mut HTTPRoute) -> impl Iterator<Item = &mut HttpRouteRulesMatches> {
    route.spec.rules.iter_mut().flatten().flat_map(|rule| rule.matches.iter_mut().flatten())
}
