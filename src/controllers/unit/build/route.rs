//! The HTTPRoute of a unit when it is open.

use computing_unit_api::{
    ExposedPort, GatewayRef, Isolation,
    gateway::{
        HTTPRoute,
        types::{
            HttpRouteParentRefs, HttpRouteRules, HttpRouteRulesBackendRefs, HttpRouteRulesFilters,
            HttpRouteRulesFiltersRequestHeaderModifierSet, HttpRouteRulesFiltersResponseHeaderModifier,
            HttpRouteRulesFiltersType, HttpRouteRulesFiltersUrlRewrite, HttpRouteRulesFiltersUrlRewritePath,
            HttpRouteRulesFiltersUrlRewritePathType, HttpRouteRulesMatches, HttpRouteRulesTimeouts, HttpRouteSpec,
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

/// Builds the open route. The first rule and the first host name are those of the unit itself.
pub fn route(unit: &Unit) -> HTTPRoute {
    let object = &unit.object;
    let gateway = &unit.pool.spec.gateway_ref;
    let mode = mode(&unit.pool.spec.routing);
    let name = object.name_any();
    let ports = &unit.pool.spec.ports;
    let port_hosts = ports.iter().filter_map(|port| mode?.port_address(&name, &port.name)?.route_host);
    let hosts: Vec<_> = unit.address.route_host.clone().into_iter().chain(port_hosts).collect();
    let own = rule(unit, mode.map(|mode| mode.unit_matches(&name, &unit.key)), PORT, Rewrite::of(mode, &name, None));
    let others = ports.iter().map(|port| {
        let matches = mode.map(|mode| mode.port_matches(&name, &port.name));
        rule(unit, matches, port.port, Rewrite::of(mode, &name, Some(port)))
    });
    let spec = HttpRouteSpec {
        parent_refs: Some(vec![parent(gateway)]),
        hostnames: (!hosts.is_empty()).then_some(hosts),
        rules: Some([own].into_iter().chain(others).collect()),
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

fn rule(
    unit: &Unit,
    matches: Option<Vec<HttpRouteRulesMatches>>,
    port: i32,
    rewrite: Option<Rewrite>,
) -> HttpRouteRules {
    let routing = &unit.pool.spec.routing;
    HttpRouteRules {
        matches: Some(matches.unwrap_or_default()),
        filters: Some(filters(rewrite, routing.effective_isolation(), &unit.object.uid().unwrap_or_default())),
        backend_refs: Some(vec![HttpRouteRulesBackendRefs {
            group: Some(String::new()),
            kind: Some("Service".to_owned()),
            name: unit.object.name_any(),
            port: Some(port),
            weight: Some(1),
            ..HttpRouteRulesBackendRefs::default()
        }]),
        timeouts: Some(HttpRouteRulesTimeouts {
            request: Some(routing.timeouts.request.to_string()),
            backend_request: routing.timeouts.backend_request.map(|timeout| timeout.to_string()),
        }),
        name: None,
    }
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

/// How the path of a request is changed.
struct Rewrite {
    /// What the pod does not see of the path.
    prefix: String,
    replacement: String,
}

impl Rewrite {
    /// The change for a unit, or for another port of it.
    fn of(mode: Option<&dyn Mode>, name: &str, port: Option<&ExposedPort>) -> Option<Self> {
        let mode = mode?;
        let path =
            port.map_or_else(|| Some(mode.base_path(name)), |port| Some(mode.port_address(name, &port.name)?.path))?;
        let prefix = path.trim_end_matches('/').to_owned();
        let own = port.and_then(|port| port.replace_prefix_match.clone());
        // Only a path that the unit has to itself can be replaced.
        let replacement =
            own.or_else(|| mode.replace_prefix_match().map(str::to_owned)).filter(|_| !prefix.is_empty())?;
        Some(Self { prefix, replacement })
    }
}

fn filters(rewrite: Option<Rewrite>, isolation: Isolation, uid: &str) -> Vec<HttpRouteRulesFilters> {
    // An HTTPRoute must not have two filters of one type in a rule.
    let response = HttpRouteRulesFiltersResponseHeaderModifier {
        set: Some(vec![set(headers::UNIT, uid)]),
        ..HttpRouteRulesFiltersResponseHeaderModifier::default()
    };
    let (mut request, response) = match isolation {
        Isolation::Sandbox => (Some(sandbox::request()), sandbox::response(response)),
        Isolation::None => (None, response),
    };
    if let Some(Rewrite { prefix, .. }) = &rewrite {
        let forwarded = HttpRouteRulesFiltersRequestHeaderModifierSet {
            name: headers::FORWARDED_PREFIX.to_owned(),
            value: prefix.clone(),
        };
        request.get_or_insert_default().set = Some(vec![forwarded]);
    }
    let request = request.map(|modifier| HttpRouteRulesFilters {
        request_header_modifier: Some(modifier),
        ..filter(HttpRouteRulesFiltersType::RequestHeaderModifier)
    });
    let response = HttpRouteRulesFilters {
        response_header_modifier: Some(response),
        ..filter(HttpRouteRulesFiltersType::ResponseHeaderModifier)
    };
    let rewrite = rewrite.map(|Rewrite { replacement, .. }| HttpRouteRulesFilters {
        url_rewrite: Some(HttpRouteRulesFiltersUrlRewrite {
            hostname: None,
            path: Some(HttpRouteRulesFiltersUrlRewritePath {
                r#type: HttpRouteRulesFiltersUrlRewritePathType::ReplacePrefixMatch,
                replace_prefix_match: Some(replacement),
                replace_full_path: None,
            }),
        }),
        ..filter(HttpRouteRulesFiltersType::UrlRewrite)
    });
    request.into_iter().chain([response]).chain(rewrite).collect()
}

#[cfg(test)]
mod tests {

    use computing_unit_api::Routing;

    use super::*;
    use crate::controllers::unit::build::guard::guarded;
    use crate::testing::{accepted, host_routing, path_routing, query_routing, with_ports};

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
    fn port_has_a_rule_with_a_more_specific_match() {
        for (name, routing) in [("path", path_routing()), ("host", host_routing())] {
            insta::assert_yaml_snapshot!(name, route(&with_ports(routing)).spec);
        }
    }

    #[test]
    fn pod_learns_the_prefix_that_it_does_not_see() {
        let prefix = |mut routing: Routing, replacement: Option<&str>| {
            if let Some(path) = &mut routing.path {
                path.replace_prefix_match = replacement.map(str::to_owned);
            }
            let filters = filters_of(&route(&accepted(routing)));
            let request = filters.into_iter().find_map(|filter| filter.request_header_modifier)?.set?;
            Some(request.into_iter().map(|header| (header.name, header.value)).collect::<Vec<_>>())
        };
        let forwarded = Some(vec![("X-Forwarded-Prefix".to_owned(), "/units/ada".to_owned())]);
        assert_eq!(prefix(path_routing(), Some("/")), forwarded);
        assert_eq!(prefix(path_routing(), Some("/app")), forwarded);
        assert_eq!(prefix(path_routing(), None), None);
        assert_eq!((prefix(host_routing(), None), prefix(query_routing(), None)), (None, None));
    }

    #[test]
    fn isolation_has_the_default_of_the_mode() {
        let isolated = |routing| {
            let filters = filters_of(&route(&accepted(routing)));
            filters
                .iter()
                .any(|filter| filter.request_header_modifier.as_ref().is_some_and(|request| request.remove.is_some()))
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
