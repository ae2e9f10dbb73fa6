//! What should be seen at the proxies of a unit's gateway before anything else can be done, and by which request.
//!
//! Pure. The asking is done by [`crate::probe`].

use kube::{ResourceExt, runtime::reflector::ObjectRef};

use crate::{
    api::{ProvenRoute, RoutingType},
    changes,
    desired::route,
    gateway::{HTTPRoute, types::HttpRouteRulesMatchesPathType},
    observed::Observed,
    plan::{Wanted, unprobed},
    probe::{Goal, Request, Target},
};

/// What should be seen at the proxies before anything else can be done.
#[must_use]
pub fn goal(observed: &Observed, wanted: &Wanted) -> Option<Goal> {
    let current = observed.route.owned()?;
    if unprobed(observed) {
        return None;
    }
    let closing = observed.deleting() || observed.resting() || changes::replacing(observed, wanted);
    match (closing, route::is_guarded(current)) {
        (true, true) => observed.serving().then_some(Goal::Closed),
        (true, false) => None,
        (false, true) => (wanted.is_ok() && observed.ready()).then_some(Goal::Guarded),
        (false, false) => (observed.serving() && !proven(observed)).then_some(Goal::Open),
    }
}

/// Whether every proxy was seen to answer under the route as it is now.
#[must_use]
pub fn proven(observed: &Observed) -> bool {
    let proven = observed.unit.status.as_ref().and_then(|status| status.proven_route.as_ref());
    observed.route.owned().zip(proven).is_some_and(|(route, proven)| {
        Some(&proven.uid) == route.metadata.uid.as_ref() && Some(proven.generation) == route.metadata.generation
    })
}

/// The request that tells whether `goal` is reached. It is read off the route, so that a route can be closed
/// when its pool is gone; `None` where the route has no path that a request could be sent to.
#[must_use]
pub fn target(observed: &Observed, goal: Goal) -> Option<Target> {
    let route = observed.route.owned()?;
    let probe = observed.pool.as_ref().map(|pool| pool.spec.probe.clone()).unwrap_or_default();
    let path = path_and_query(observed, route, probe.path.as_deref())?;
    let host = match goal {
        Goal::Guarded => route.spec.hostnames.as_ref().and_then(|hosts| hosts.first()).cloned(),
        Goal::Open | Goal::Closed => route::open_host(route),
    };
    Some(Target {
        unit: ObjectRef::from_obj(observed.unit.as_ref()),
        uid: observed.unit.uid()?,
        route: ProvenRoute { uid: route.uid()?, generation: route.metadata.generation? },
        gateway: observed.gateway.as_ref()?.gateway.clone(),
        request: Request { method: probe.method, host, path_and_query: path },
    })
}

fn path_and_query(observed: &Observed, route: &HTTPRoute, chosen: Option<&str>) -> Option<String> {
    let matches = || route.spec.rules.iter().flatten().flat_map(|rule| rule.matches.iter().flatten());
    let plain = |wanted: HttpRouteRulesMatchesPathType| {
        matches().find_map(|each| {
            let path = each.path.as_ref()?;
            (path.r#type.as_ref() == Some(&wanted)).then(|| path.value.clone()).flatten()
        })
    };
    let own = plain(HttpRouteRulesMatchesPathType::PathPrefix).or_else(|| plain(HttpRouteRulesMatchesPathType::Exact));
    let in_unit = observed.pool.as_ref().is_some_and(|pool| pool.spec.routing.r#type == RoutingType::Path);
    let path = match (chosen, own) {
        (Some(chosen), Some(own)) if in_unit => format!("{}{chosen}", own.trim_end_matches('/')),
        (None, Some(own)) if in_unit => format!("{}/", own.trim_end_matches('/')),
        (Some(chosen), _) => chosen.to_owned(),
        (None, own) => own?,
    };
    let parameter = matches().find_map(|each| each.query_params.as_ref()?.first());
    Some(match parameter {
        Some(parameter) => format!("{path}?{}={}", parameter.name, parameter.value),
        None => path,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        desired,
        observed::Child,
        testing::{self, host_routing, lookup_routing, query_routing},
    };

    #[test]
    fn a_guarded_route_is_asked_for_under_its_own_host_name_and_any_other_as_users_ask() {
        for (routing, open, guarded) in [
            (query_routing(), None, None),
            (host_routing(), Some("ada.units.example.org"), Some("ada-uid.units.example.org")),
            (lookup_routing(), Some("ada.units.internal"), Some("ada-uid.units.internal")),
        ] {
            let unit = testing::accepted(routing);
            let mut route = desired::children(&unit).route;
            route.metadata.uid = Some("route-uid".into());
            route.metadata.generation = Some(1);
            let once = route::guarded(route.clone(), "ada-uid");
            assert_eq!(route::guarded(once.clone(), "ada-uid"), once, "guarded once");
            for (route, goal, expected) in
                [(&once, Goal::Guarded, guarded), (&once, Goal::Closed, open), (&route, Goal::Open, open)]
            {
                let observed = Observed {
                    pool: Some(unit.pool.clone()),
                    route: Child::Owned(Arc::new(route.clone())),
                    ..testing::observed("2026-01-01T00:00:00Z")
                };
                let target = target(&observed, goal).unwrap();
                assert_eq!(target.request.host.as_deref(), expected, "{goal:?}");
            }
        }
    }
}
