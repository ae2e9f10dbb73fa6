//! Builds the HTTPRoute from the Gateway to the activator of a pool. It matches the requests of the pool's units at a
//! lower precedence than any route of a unit.
//!
//! Pure. Gateway API orders matches by type and length of the path, then by headers, then by query parameters. Each
//! match of this route is therefore a path of the pool without the query parameter, or a prefix or host name that is
//! shorter than any unit's.

use std::time::Duration;

use computing_unit_api::{
    self as api, ActivatorSpec, ComputingUnitPool, Reason,
    gateway::{
        HTTPRoute,
        types::{
            HttpRouteRules, HttpRouteRulesBackendRefs, HttpRouteRulesFilters,
            HttpRouteRulesFiltersRequestHeaderModifier, HttpRouteRulesFiltersRequestHeaderModifierSet,
            HttpRouteRulesFiltersResponseHeaderModifier, HttpRouteRulesFiltersType, HttpRouteRulesMatches,
            HttpRouteRulesTimeouts, HttpRouteSpec,
        },
    },
    names::{self, headers},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

use super::accepted_pools::AcceptedPools;
use crate::{
    config::ActivatorService,
    controllers::unit::build::{
        filters::{filter, set},
        route::parent,
        sandbox,
    },
    routing::{matches, mode},
};

/// The difference between the gateway's request timeout and the time for which a request is held.
const TIMEOUT_MARGIN: Duration = Duration::from_secs(10);

/// Why a pool with `spec.activator` has no route to the activator, as reason and message of its condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoActivator {
    pub reason: Reason,
    pub message: String,
}

/// The route to the activator that `pool` should have beside the `accepted` pools. `None` if it has no `spec.activator`.
pub fn wanted(
    pool: &ComputingUnitPool,
    accepted: &AcceptedPools,
    service: Option<&ActivatorService>,
) -> Option<Result<HTTPRoute, NoActivator>> {
    let spec = pool.spec.activator.as_ref()?;
    let mode = mode(&pool.spec.routing)?;
    let none = |reason, message: &str| Some(Err(NoActivator { reason, message: message.to_owned() }));
    let Some(service) = service else {
        let message =
            "the operator runs without an activator: set --activator-service, or activator.enabled of the chart";
        return none(Reason::NotConfigured, message);
    };
    if !accepted.contains(pool) {
        return none(Reason::PoolNotAccepted, "the pool is not accepted, so its units have no routes");
    }
    // Of equal matches the gateway uses the oldest, and an activator answers for units of one namespace only.
    if accepted.older_with_activator(pool).is_some_and(|oldest| oldest.namespace() != pool.namespace()) {
        let message = "an older pool in another namespace has a route to the activator for the same requests, and its \
                       activator does not answer for units of this namespace: give the pools different parameters, \
                       prefixes or domains";
        return none(Reason::RouteConflict, message);
    }
    let paths = mode.activator_paths(&accepted.other_routings(pool));
    if paths.is_empty() {
        let message = "every path of this pool takes precedence over a path of another pool with the same keys, so the \
                       route to the activator would hide units of that pool: give both pools the same paths";
        return none(Reason::WouldHideUnits, message);
    }
    let matches = paths.into_iter().map(matches::only).collect();
    Some(Ok(route(pool, spec, mode.activator_hosts(spec), matches, service)))
}

fn route(
    pool: &ComputingUnitPool,
    spec: &ActivatorSpec,
    hosts: Vec<String>,
    matches: Vec<HttpRouteRulesMatches>,
    service: &ActivatorService,
) -> HTTPRoute {
    let spec = HttpRouteSpec {
        parent_refs: Some(vec![parent(&pool.spec.gateway_ref)]),
        hostnames: Some(hosts).filter(|hosts| !hosts.is_empty()),
        rules: Some(vec![HttpRouteRules {
            matches: Some(matches),
            filters: Some(filters(&pool.uid().unwrap_or_default())),
            backend_refs: Some(vec![HttpRouteRulesBackendRefs {
                group: Some(String::new()),
                kind: Some("Service".to_owned()),
                name: service.name.clone(),
                namespace: Some(service.namespace.clone()),
                port: Some(service.port.into()),
                weight: Some(1),
                ..HttpRouteRulesBackendRefs::default()
            }]),
            timeouts: Some(HttpRouteRulesTimeouts {
                request: Some(api::Duration(spec.hold.0 + TIMEOUT_MARGIN).to_string()),
                backend_request: None,
            }),
            name: None,
        }]),
    };
    let name = names::activator(&pool.name_any());
    let mut route = HTTPRoute::new(&name, spec.into());
    *route.meta_mut() = ObjectMeta {
        name: Some(name),
        namespace: pool.namespace(),
        labels: Some(names::activator_labels()),
        owner_references: Some(vec![owner(pool)]),
        ..ObjectMeta::default()
    };
    route
}

/// Sets the pool in requests, and overwrites what the client sent. Removes credentials, which the activator does not need.
/// Marks responses of the activator.
fn filters(uid: &str) -> Vec<HttpRouteRulesFilters> {
    let pool_header = HttpRouteRulesFilters {
        request_header_modifier: Some(HttpRouteRulesFiltersRequestHeaderModifier {
            set: Some(vec![HttpRouteRulesFiltersRequestHeaderModifierSet {
                name: headers::POOL.to_owned(),
                value: uid.to_owned(),
            }]),
            ..sandbox::request()
        }),
        ..filter(HttpRouteRulesFiltersType::RequestHeaderModifier)
    };
    let activator_header = HttpRouteRulesFilters {
        response_header_modifier: Some(HttpRouteRulesFiltersResponseHeaderModifier {
            set: Some(vec![set(headers::ACTIVATOR, "true")]),
            ..Default::default()
        }),
        ..filter(HttpRouteRulesFiltersType::ResponseHeaderModifier)
    };
    vec![pool_header, activator_header]
}

/// The route is garbage-collected with its pool.
fn owner(pool: &ComputingUnitPool) -> OwnerReference {
    OwnerReference {
        api_version: ComputingUnitPool::api_version(&()).into_owned(),
        kind: ComputingUnitPool::kind(&()).into_owned(),
        name: pool.name_any(),
        uid: pool.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{
        controllers::unit::build,
        testing::{self, host_routing, lookup_routing, path_routing, query_routing},
    };
    use computing_unit_api::Routing;

    fn service() -> ActivatorService {
        ActivatorService { namespace: "operators".into(), name: "activator".into(), port: 80 }
    }

    fn pool(name: &str, namespace: &str, routing: Routing, created: &str) -> Arc<ComputingUnitPool> {
        let mut pool = testing::pool(routing);
        pool.metadata.name = Some(name.into());
        pool.metadata.namespace = Some(namespace.into());
        pool.metadata.uid = Some(format!("{name}-{namespace}"));
        pool.metadata.creation_timestamp = Some(testing::time(created));
        pool.spec.activator = Some(serde_json::from_value(json!({})).unwrap());
        Arc::new(pool)
    }

    fn accepted<'a>(pools: impl IntoIterator<Item = &'a Arc<ComputingUnitPool>>) -> AcceptedPools {
        pools.into_iter().cloned().collect()
    }

    fn route_of(routing: Routing) -> HTTPRoute {
        let pool = pool("default", "units", routing, "2026-01-01T00:00:00Z");
        wanted(&pool, &accepted([&pool]), Some(&service())).unwrap().unwrap()
    }

    /// Precedence according to Gateway API: paths by type and length, then headers, then query parameters.
    fn precedence(each: &HttpRouteRulesMatches) -> (u8, usize, usize, usize) {
        let path = each.path.as_ref().unwrap();
        let kind = match format!("{:?}", path.r#type.as_ref().unwrap()).as_str() {
            "Exact" => 2,
            "RegularExpression" => 1,
            _ => 0,
        };
        let count = |some: Option<usize>| some.unwrap_or_default();
        (
            kind,
            path.value.as_ref().unwrap().len(),
            count(each.headers.as_ref().map(Vec::len)),
            count(each.query_params.as_ref().map(Vec::len)),
        )
    }

    #[test]
    fn activator_route_has_lower_precedence_than_routes_of_units() {
        for routing in [query_routing(), path_routing(), host_routing()] {
            let activator = route_of(routing.clone());
            let unit = build::children(&testing::accepted(routing.clone())).route;
            let all = |route: &HTTPRoute| -> Vec<HttpRouteRulesMatches> {
                route.spec.rules.iter().flatten().flat_map(|rule| rule.matches.clone().unwrap()).collect()
            };
            for (activators, units) in all(&activator).iter().zip(all(&unit)) {
                if routing.host.is_some() {
                    // A host name takes precedence over a wildcard, whatever the path.
                    assert_eq!(activator.spec.hostnames.clone().unwrap(), ["*.units.example.org"]);
                } else {
                    assert!(precedence(activators) < precedence(&units), "{activators:?} {units:?}");
                }
            }
            assert_eq!(all(&activator).len(), all(&unit).len());
        }
    }

    #[test]
    fn activator_route_has_lower_precedence_than_paths_with_a_key() {
        for value in ["/envs/{key}", "/envs/{key}/[0-9]+"] {
            for kind in ["Exact", "PathPrefix", "RegularExpression"] {
                let mut routing = query_routing();
                routing.query.as_mut().unwrap().paths =
                    serde_json::from_value(json!([{"type": kind, "value": value}])).unwrap();
                let mut unit = testing::accepted(routing.clone());
                // The shortest key.
                unit.key = "4".into();
                let [activator, unit] = [route_of(routing), build::children(&unit).route]
                    .map(|route| route.spec.rules.clone().unwrap()[0].matches.clone().unwrap());
                assert_eq!(activator.len(), 1);
                for each in unit {
                    assert!(precedence(&activator[0]) < precedence(&each), "{kind} {activator:?} {each:?}");
                }
            }
        }
    }

    #[test]
    fn activator_route_has_the_host_names_of_clients_and_of_units_without_a_route() {
        for (routing, hostnames, expected) in [
            (lookup_routing(), json!([]), None),
            (lookup_routing(), json!(["a.org", "*.b.org"]), Some(vec!["a.org", "*.b.org", "*.units.internal"])),
            // The API server rejects them in another mode.
            (query_routing(), json!(["a.org"]), None),
        ] {
            let mut pool = pool("default", "units", routing, "2026-01-01T00:00:00Z").as_ref().clone();
            pool.spec.activator = Some(serde_json::from_value(json!({"hostnames": hostnames})).unwrap());
            let pool = Arc::new(pool);
            let route = wanted(&pool, &accepted([&pool]), Some(&service())).unwrap().unwrap();
            let expected = expected.map(|hosts| hosts.into_iter().map(str::to_owned).collect());
            assert_eq!(route.spec.hostnames, expected);
        }
    }

    #[test]
    fn activator_route_has_its_pool_as_owner_and_in_a_header() {
        let route = route_of(query_routing());
        insta::assert_yaml_snapshot!(route);
        // A unit cannot have this name.
        assert!(route.name_any().contains('.'));
    }

    #[test]
    fn pool_without_activator_route_has_a_reason() {
        let reason = |pool: &Arc<ComputingUnitPool>,
                      all: &[Arc<ComputingUnitPool>],
                      service: Option<&ActivatorService>| {
            wanted(pool, &accepted(all), service).map(|route| route.map_or_else(|none| none.reason, |_| Reason::Served))
        };
        let (first, second) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let old = pool("old", "units", query_routing(), first);
        assert_eq!(reason(&old, std::slice::from_ref(&old), None), Some(Reason::NotConfigured));
        let mut none = old.as_ref().clone();
        none.spec.activator = None;
        assert_eq!(reason(&Arc::new(none), &[], Some(&service())), None);
        let same_namespace = pool("young", "units", query_routing(), second);
        let other_namespace = pool("young", "others", query_routing(), second);
        let all = [old.clone(), same_namespace.clone(), other_namespace.clone()];
        assert_eq!(reason(&old, &all, Some(&service())), Some(Reason::Served));
        assert_eq!(reason(&same_namespace, &all, Some(&service())), Some(Reason::Served));
        assert_eq!(reason(&other_namespace, &all, Some(&service())), Some(Reason::RouteConflict));
        assert_eq!(reason(&same_namespace, &[old], Some(&service())), Some(Reason::PoolNotAccepted));
    }

    #[test]
    fn path_that_would_hide_units_of_another_pool_is_left_out() {
        let with = |name: &str, paths: &[(&str, &str)]| {
            let mut routing = query_routing();
            let paths: Vec<_> = paths.iter().map(|(kind, value)| json!({"type": kind, "value": value})).collect();
            routing.query.as_mut().unwrap().paths = serde_json::from_value(json!(paths)).unwrap();
            pool(name, "units", routing, "2026-01-01T00:00:00Z")
        };
        let wide = with("wide", &[("PathPrefix", "/api")]);
        let narrow = with("narrow", &[("PathPrefix", "/api/pve"), ("PathPrefix", "/wsapi"), ("Exact", "/api")]);
        let all = [wide.clone(), narrow.clone()];
        let paths = |pool: &Arc<ComputingUnitPool>| -> Vec<String> {
            let route = wanted(pool, &accepted(&all), Some(&service())).unwrap().unwrap();
            let matches = route.spec.rules.clone().unwrap()[0].matches.clone().unwrap();
            matches.into_iter().filter_map(|each| each.path?.value).collect()
        };
        assert_eq!((paths(&wide), paths(&narrow)), (vec!["/api".to_owned()], vec!["/wsapi".to_owned()]));
        let hidden = with("hidden", &[("PathPrefix", "/api/pve")]);
        let none = wanted(&hidden, &accepted([&wide, &hidden]), Some(&service())).unwrap().unwrap_err();
        assert_eq!(none.reason, Reason::WouldHideUnits);
    }
}
