//! The HTTPRoute of a pool's entry: the requests of the pool's units, at a lower precedence than any unit's own.
//!
//! Pure. Precedence on a gateway goes by type and length of the path, then by headers, then by query parameters. So each
//! match has a path of the pool as it is, or a prefix or host name that is shorter than any unit's.

use std::{sync::Arc, time::Duration};

use computing_unit_api::{
    self as api, ActivatorSpec, ComputingUnitPool, Reason, RoutingType,
    gateway::{
        HTTPRoute,
        types::{
            HttpRouteRules, HttpRouteRulesBackendRefs, HttpRouteRulesFilters,
            HttpRouteRulesFiltersRequestHeaderModifier, HttpRouteRulesFiltersRequestHeaderModifierSet,
            HttpRouteRulesFiltersResponseHeaderModifier, HttpRouteRulesFiltersResponseHeaderModifierSet,
            HttpRouteRulesFiltersType, HttpRouteRulesMatches, HttpRouteRulesTimeouts, HttpRouteSpec,
        },
    },
    names::{self, headers},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

use crate::{
    config::ActivatorService,
    controllers::unit::build::route::{none, parent, path_match, prefix_match},
    routing::overlap,
};

/// How much longer the gateway waits for an answer than a request is held.
const MARGIN: Duration = Duration::from_secs(10);

/// Why a pool that asks for an entry has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoActivator {
    /// One word, for the pool's condition.
    pub reason: Reason,
    /// What is wrong and what to do.
    pub message: String,
}

/// The entry of `pool`, which is one of `all`. Nothing where it asks for none.
#[must_use]
pub fn wanted(
    pool: &ComputingUnitPool,
    all: &[Arc<ComputingUnitPool>],
    service: Option<&ActivatorService>,
) -> Option<Result<HTTPRoute, NoActivator>> {
    let spec = pool.spec.activator.as_ref()?;
    let refused = |reason, message: &str| Some(Err(NoActivator { reason, message: message.to_owned() }));
    let Some(service) = service else {
        let message =
            "the operator runs without an activator: set --activator-service, or activator.enabled of the chart";
        return refused(Reason::NotConfigured, message);
    };
    if overlap::overlapped(pool, all.iter().map(Arc::as_ref)).is_some() {
        return refused(Reason::PoolNotAccepted, "the pool is not accepted, so its units have no addresses");
    }
    let alive = |other: &&Arc<ComputingUnitPool>| {
        other.uid() != pool.uid()
            && other.metadata.deletion_timestamp.is_none()
            && overlap::neighbours(pool, other.as_ref())
    };
    let neighbours: Vec<&ComputingUnitPool> = all.iter().filter(alive).map(Arc::as_ref).collect();
    // The first pool with an entry speaks for its namespace.
    let first =
        neighbours.iter().copied().filter(|other| other.spec.activator.is_some() && overlap::older(other, pool));
    let first = first.reduce(|a, b| if overlap::older(b, a) { b } else { a });
    if first.is_some_and(|first| first.namespace() != pool.namespace()) {
        let message = "an older pool in another namespace has the activator for these addresses, and does not serve the units of \
                       this pool: give the pools different parameters, prefixes or domains";
        return refused(Reason::RouteConflict, message);
    }
    let matches = matches(pool, &neighbours);
    if matches.is_empty() {
        let message = "every path of this pool lies within a path of another pool with the same keys, whose units the activator \
                       would hide: give both pools the same paths";
        return refused(Reason::WouldHideUnits, message);
    }
    Some(Ok(route(pool, spec, matches, service)))
}

/// The requests that the entry takes: those of the pool's units, less the paths that would go before a path by which a
/// unit of another pool is asked for.
fn matches(pool: &ComputingUnitPool, neighbours: &[&ComputingUnitPool]) -> Vec<HttpRouteRulesMatches> {
    let routing = &pool.spec.routing;
    let path = |path| HttpRouteRulesMatches { path: Some(path), ..HttpRouteRulesMatches::default() };
    match routing.r#type {
        RoutingType::Query => {
            let others = || neighbours.iter().flat_map(|pool| &pool.spec.routing.query).flat_map(|query| &query.paths);
            let own = routing.query.iter().flat_map(|query| &query.paths);
            own.filter(|own| !others().any(|other| overlap::hides(own, other)))
                .map(|own| path(path_match(own)))
                .collect()
        }
        RoutingType::Path => {
            let prefix = routing.path.as_ref().map_or("", |path| path.prefix.trim_end_matches('/'));
            vec![path(prefix_match(if prefix.is_empty() { "/" } else { prefix }.to_owned()))]
        }
        RoutingType::Host => vec![path(prefix_match("/".to_owned()))],
    }
}

fn route(
    pool: &ComputingUnitPool,
    spec: &ActivatorSpec,
    matches: Vec<HttpRouteRulesMatches>,
    service: &ActivatorService,
) -> HTTPRoute {
    let spec = HttpRouteSpec {
        parent_refs: Some(vec![parent(&pool.spec.gateway_ref)]),
        hostnames: pool.spec.routing.host.as_ref().map(|host| vec![format!("*.{}", host.domain)]),
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
                request: Some(api::Duration(spec.hold.0 + MARGIN).to_string()),
                backend_request: None,
            }),
            name: None,
        }]),
    };
    let mut route = HTTPRoute::new(&names::activator(&pool.name_any()), spec.into());
    *route.meta_mut() = ObjectMeta {
        name: Some(names::activator(&pool.name_any())),
        namespace: pool.namespace(),
        labels: Some(names::activator_labels()),
        owner_references: Some(vec![owner(pool)]),
        ..ObjectMeta::default()
    };
    route
}

/// The request says which pool it came by, whatever the client said; the answer, that it came by an entry.
fn filters(uid: &str) -> Vec<HttpRouteRulesFilters> {
    let asked = HttpRouteRulesFilters {
        request_header_modifier: Some(HttpRouteRulesFiltersRequestHeaderModifier {
            set: Some(vec![HttpRouteRulesFiltersRequestHeaderModifierSet {
                name: headers::POOL.to_owned(),
                value: uid.to_owned(),
            }]),
            ..Default::default()
        }),
        ..none(HttpRouteRulesFiltersType::RequestHeaderModifier)
    };
    let answered = HttpRouteRulesFilters {
        response_header_modifier: Some(HttpRouteRulesFiltersResponseHeaderModifier {
            set: Some(vec![HttpRouteRulesFiltersResponseHeaderModifierSet {
                name: headers::ACTIVATOR.to_owned(),
                value: "true".to_owned(),
            }]),
            ..Default::default()
        }),
        ..none(HttpRouteRulesFiltersType::ResponseHeaderModifier)
    };
    vec![asked, answered]
}

/// The entry goes with its pool.
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
    use serde_json::json;

    use super::*;
    use crate::{
        controllers::unit::build,
        testing::{self, host_routing, path_routing, query_routing},
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

    fn made(routing: Routing) -> HTTPRoute {
        let pool = pool("default", "units", routing, "2026-01-01T00:00:00Z");
        wanted(&pool, std::slice::from_ref(&pool), Some(&service())).unwrap().unwrap()
    }

    /// Precedence as Gateway API has it: paths by type and length, then headers, then query parameters.
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
    fn no_match_goes_before_one_of_a_unit() {
        for routing in [query_routing(), path_routing(), host_routing()] {
            let entry = made(routing.clone());
            let unit = build::children(&testing::accepted(routing.clone())).route;
            let all = |route: &HTTPRoute| -> Vec<HttpRouteRulesMatches> {
                route.spec.rules.iter().flatten().flat_map(|rule| rule.matches.clone().unwrap()).collect()
            };
            for (entrys, units) in all(&entry).iter().zip(all(&unit)) {
                if routing.host.is_some() {
                    // The host name of the unit goes before the wildcard, whatever the path.
                    assert_eq!(entry.spec.hostnames.clone().unwrap(), ["*.units.example.org"]);
                } else {
                    assert!(precedence(entrys) < precedence(&units), "{entrys:?} {units:?}");
                }
            }
            assert_eq!(all(&entry).len(), all(&unit).len());
        }
    }

    #[test]
    fn it_goes_with_its_pool_and_tells_the_server_which_that_is() {
        let route = made(query_routing());
        insta::assert_yaml_snapshot!(route);
        // No unit can be called so.
        assert!(route.name_any().contains('.'));
    }

    #[test]
    fn a_pool_says_why_it_has_none() {
        let reason =
            |pool: &Arc<ComputingUnitPool>, all: &[Arc<ComputingUnitPool>], service: Option<&ActivatorService>| {
                wanted(pool, all, service).map(|made| made.map_or_else(|none| none.reason, |_| Reason::Served))
            };
        let (first, second) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let old = pool("old", "units", query_routing(), first);
        assert_eq!(reason(&old, std::slice::from_ref(&old), None), Some(Reason::NotConfigured));
        let mut none = old.as_ref().clone();
        none.spec.activator = None;
        assert_eq!(reason(&Arc::new(none), &[], Some(&service())), None);
        let neighbour = pool("young", "units", query_routing(), second);
        let stranger = pool("young", "others", query_routing(), second);
        let all = [old.clone(), neighbour.clone(), stranger.clone()];
        assert_eq!(reason(&old, &all, Some(&service())), Some(Reason::Served));
        assert_eq!(reason(&neighbour, &all, Some(&service())), Some(Reason::Served));
        assert_eq!(reason(&stranger, &all, Some(&service())), Some(Reason::RouteConflict));
        let mut under = path_routing();
        under.path.as_mut().unwrap().prefix = "/wsapi".into();
        let under = pool("under", "units", under, second);
        assert_eq!(reason(&under, &[old, under.clone()], Some(&service())), Some(Reason::PoolNotAccepted));
    }

    #[test]
    fn a_path_that_would_hide_units_of_another_pool_is_left_out() {
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
            let route = wanted(pool, &all, Some(&service())).unwrap().unwrap();
            let matches = route.spec.rules.clone().unwrap()[0].matches.clone().unwrap();
            matches.into_iter().filter_map(|each| each.path?.value).collect()
        };
        assert_eq!((paths(&wide), paths(&narrow)), (vec!["/api".to_owned()], vec!["/wsapi".to_owned()]));
        let hidden = with("hidden", &[("PathPrefix", "/api/pve")]);
        let none = wanted(&hidden, &[wide, hidden.clone()], Some(&service())).unwrap().unwrap_err();
        assert_eq!(none.reason, Reason::WouldHideUnits);
    }
}
