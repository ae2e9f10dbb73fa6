//! What the proxies have to show before the next step, and the request that shows it.
//!
//! Pure. Probes are sent by [`crate::probe`].

use computing_unit_api::{
    PathMatch,
    gateway::{HTTPRoute, types::HttpRouteRulesMatchesPathType},
};
use kube::{ResourceExt, runtime::reflector::ObjectRef};

use crate::{
    controllers::unit::{
        build::{Wanted, guard},
        snapshot::Snapshot,
    },
    probe::{Closed, Goal, Request, Target},
    routing::{self, mode},
};

/// The probe that the unit needs. `withdrawing` is whether its route is to be withdrawn.
pub fn needed(snapshot: &Snapshot, wanted: &Wanted, withdrawing: bool) -> Option<(Goal, Target)> {
    let goal = goal(snapshot, wanted, withdrawing)?;
    Some((goal, target(snapshot, goal)?))
}

fn goal(snapshot: &Snapshot, wanted: &Wanted, withdrawing: bool) -> Option<Goal> {
    let current = snapshot.route.owned()?;
    if snapshot.probes_disabled() {
        return None;
    }
    match (withdrawing, guard::is_guarded(current)) {
        (true, true) => snapshot.serving().then_some(Goal::Withdrawn),
        (true, false) => None,
        (false, true) => (wanted.is_ok() && snapshot.ready()).then_some(Goal::Guarded),
        (false, false) => (snapshot.serving() && !snapshot.route_verified()).then_some(Goal::Open),
    }
}

/// The request that shows whether the goal is reached. It is derived from the route, so that a route can be withdrawn
/// when its pool is gone. `None` if the route has no path that a request could use.
fn target(snapshot: &Snapshot, goal: Goal) -> Option<Target> {
    let route = snapshot.route.owned()?;
    let probe = snapshot.pool.as_ref().map(|pool| pool.spec.probe.clone()).unwrap_or_default();
    let path = path_and_query(snapshot, route, probe.path.as_deref())?;
    let host = match goal {
        Goal::Guarded => guard::host(route).map(str::to_owned),
        Goal::Open | Goal::Withdrawn => guard::open_host(route),
    };
    let request = Request { method: probe.method, host, path_and_query: path };
    let closed = guard::closed_version(route).filter(|_| goal == Goal::Withdrawn).map(|version| Closed {
        request: Request { host: guard::host(route).map(str::to_owned), ..request.clone() },
        version: version.to_owned(),
    });
    Some(Target {
        unit: ObjectRef::from_obj(snapshot.unit.as_ref()),
        uid: snapshot.unit.uid()?,
        route: snapshot.route_version()?,
        gateway: snapshot.gateway.as_ref()?.gateway.clone(),
        request,
        closed,
    })
}

fn path_and_query(snapshot: &Snapshot, route: &HTTPRoute, chosen: Option<&str>) -> Option<String> {
    let matches = || route.spec.rules.iter().flatten().flat_map(|rule| rule.matches.iter().flatten());
    let plain = |wanted: HttpRouteRulesMatchesPathType| {
        matches().find_map(|each| {
            let path = each.path.as_ref()?;
            (path.r#type.as_ref() == Some(&wanted)).then(|| path.value.clone()).flatten()
        })
    };
    let own = plain(HttpRouteRulesMatchesPathType::PathPrefix).or_else(|| plain(HttpRouteRulesMatchesPathType::Exact));
    let mode = snapshot.pool.as_ref().and_then(|pool| mode(&pool.spec.routing));
    let prefix = mode.zip(own.as_deref()).and_then(|(mode, own)| mode.probe_prefix(own));
    let path = match (prefix, chosen) {
        (Some(prefix), chosen) => format!("{prefix}{}", chosen.unwrap_or("/")),
        (None, Some(chosen)) => with_key(snapshot, chosen),
        (None, None) => own?,
    };
    let parameter = matches().find_map(|each| each.query_params.as_ref()?.first());
    Some(match parameter {
        Some(parameter) => format!("{path}?{}={}", parameter.name, parameter.value),
        None => path,
    })
}

/// The path that the pool chooses for probes, with the key of the unit.
fn with_key(snapshot: &Snapshot, chosen: &str) -> String {
    let name = snapshot.unit.name_any();
    let key = snapshot.pool.as_ref().map(|pool| routing::key(&pool.spec.routing, &name, snapshot.unit.spec.cuid));
    chosen.replace(PathMatch::KEY, &key.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{
        controllers::unit::{build, snapshot::Child},
        testing::{self, host_routing, lookup_routing, query_routing},
    };

    #[test]
    fn guarded_route_is_probed_by_its_own_host_name() {
        for (routing, open, guarded) in [
            (query_routing(), None, None),
            (host_routing(), Some("ada.units.example.org"), Some("ada-uid.units.example.org")),
            (lookup_routing(), Some("ada.units.internal"), Some("ada-uid.units.internal")),
        ] {
            let unit = testing::accepted(routing);
            let mut route = build::children(&unit).route;
            route.metadata.uid = Some("route-uid".into());
            route.metadata.generation = Some(1);
            let once = guard::guarded(route.clone(), "ada-uid");
            assert_eq!(guard::guarded(once.clone(), "ada-uid"), once, "guarded once");
            for (route, goal, expected) in
                [(&once, Goal::Guarded, guarded), (&once, Goal::Withdrawn, open), (&route, Goal::Open, open)]
            {
                let snapshot = Snapshot {
                    pool: Some(unit.pool.clone()),
                    route: Child::Owned(Arc::new(route.clone())),
                    ..testing::snapshot("2026-01-01T00:00:00Z")
                };
                let target = target(&snapshot, goal).unwrap();
                assert_eq!(target.request.host.as_deref(), expected, "{goal:?}");
            }
        }
    }

    #[test]
    fn probe_has_the_key_of_the_unit_in_its_path() {
        for (paths, chosen, expected) in [
            (json!([{"type": "Exact", "value": "/envs/{key}"}]), None, "/envs/42"),
            (json!([{"value": "/envs/{key}"}]), None, "/envs/42"),
            (json!([{"value": "/envs/{key}"}, {"value": "/wsapi"}]), None, "/wsapi?cuid=42"),
            (
                json!([{"type": "RegularExpression", "value": "/envs/{key}/.*"}]),
                Some("/envs/{key}/health"),
                "/envs/42/health",
            ),
        ] {
            let mut routing = query_routing();
            routing.query.as_mut().unwrap().paths = serde_json::from_value(paths).unwrap();
            let unit = testing::accepted(routing);
            let mut pool = unit.pool.as_ref().clone();
            pool.spec.probe.path = chosen.map(str::to_owned);
            let mut route = build::children(&unit).route;
            route.metadata.uid = Some("route-uid".into());
            route.metadata.generation = Some(1);
            let snapshot = Snapshot {
                pool: Some(Arc::new(pool)),
                route: Child::Owned(Arc::new(route)),
                ..testing::snapshot("2026-01-01T00:00:00Z")
            };
            assert_eq!(target(&snapshot, Goal::Open).unwrap().request.path_and_query, expected);
        }
    }
}
