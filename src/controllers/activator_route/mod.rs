//! Reconciles the routes from the Gateway to the activator: one HTTPRoute for each pool that has `spec.activator`. Runs
//! in the leader only.
//!
//! It reads caches and writes only differences. An HTTPRoute of that name that the pool does not own is not changed.

pub mod accepted_pools;
pub mod condition;
pub mod route;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use computing_unit_api::{Reason, gateway::HTTPRoute, names};
use kube::ResourceExt;
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

pub use self::condition::condition;
use self::{
    accepted_pools::AcceptedPools,
    route::{NoActivator, wanted},
};
use crate::{
    config::ActivatorService,
    controllers::{pool_conflict, unit::build::drift},
    k8s::{
        caches::Caches,
        error::not_found,
        overlay::OVERLAY_TTL,
        patch::Fields,
        writer::{Precondition, Writer},
    },
    metrics::Resource as Label,
    routing::overlap_index::OverlapIndex,
};

/// How often the routes are scanned.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);
/// The delay after a failed write.
const RETRY: Duration = Duration::from_secs(30);

pub struct ActivatorRouteContext {
    pub writer: Writer,
    pub caches: Arc<Caches>,
    pub overlaps: Arc<OverlapIndex>,
    /// The Service of the activator. `None` if the operator runs without one.
    pub service: Option<ActivatorService>,
    pub failures: Failures,
}

/// Why routes could not be written, by UID of the pool.
#[derive(Default)]
pub struct Failures(Mutex<HashMap<String, NoActivator>>);

impl Failures {
    fn record(&self, uid: &str, reason: Reason, message: String) {
        self.0.lock().insert(uid.to_owned(), NoActivator { reason, message });
    }

    fn clear(&self, uid: &str) {
        self.0.lock().remove(uid);
    }

    fn of(&self, uid: &str) -> Option<NoActivator> {
        self.0.lock().get(uid).cloned()
    }

    fn retain(&self, existing: &HashSet<String>) {
        self.0.lock().retain(|uid, _| existing.contains(uid));
    }
}

/// Runs until dropped.
pub async fn run(context: Arc<ActivatorRouteContext>) {
    let mut ticks = interval(SCAN_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut controller = Controller { context: &context, not_before: HashMap::new() };
    loop {
        ticks.tick().await;
        controller.scan().await;
    }
}

/// The next step for one route.
#[derive(Debug, PartialEq)]
enum Step {
    Create(HTTPRoute),
    Replace { current: Arc<HTTPRoute>, by: HTTPRoute },
    Delete(Arc<HTTPRoute>),
}

/// The step from the current route to the wanted one.
fn step(current: Option<Arc<HTTPRoute>>, wanted: Option<HTTPRoute>) -> Option<Step> {
    match (current, wanted) {
        (Some(current), _) if current.metadata.deletion_timestamp.is_some() => None,
        (None, Some(wanted)) => Some(Step::Create(wanted)),
        (Some(current), Some(wanted)) if !drift::route_matches(&current, &wanted) => {
            Some(Step::Replace { current, by: wanted })
        }
        (Some(current), None) => Some(Step::Delete(current)),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

struct Controller<'a> {
    context: &'a ActivatorRouteContext,
    /// When the route of a pool may be written again, by UID of the pool.
    not_before: HashMap<String, Instant>,
}

impl Controller<'_> {
    async fn scan(&mut self) {
        let pools: Vec<_> = self.context.caches.pools().collect();
        let existing: HashSet<String> = pools.iter().filter_map(|pool| pool.uid()).collect();
        self.not_before.retain(|uid, _| existing.contains(uid));
        self.context.failures.retain(&existing);
        let conflicts = pool_conflict::conflicts(&self.context.caches, &self.context.overlaps, &pools);
        let accepted = AcceptedPools::new(&pools, &conflicts);
        for pool in &pools {
            let namespace = pool.namespace().unwrap_or_default();
            let scope = self.context.caches.scope(&namespace).filter(|scope| *scope.synced.borrow());
            let Some(scope) = scope else { continue };
            let uid = pool.uid().unwrap_or_default();
            // The route of an earlier pool of this name is garbage-collected with that pool.
            let own = |route: &Arc<HTTPRoute>| owned(route, &uid);
            let current = scope.activator_routes.get(&namespace, &names::activator(&pool.name_any())).filter(own);
            let terminating = pool.metadata.deletion_timestamp.is_some();
            let wanted = wanted(pool, &accepted, self.context.service.as_ref());
            let wanted = wanted.and_then(Result::ok).filter(|_| !terminating);
            let Some(step) = step(current, wanted) else { continue };
            let now = Instant::now();
            if self.not_before.get(&uid).is_some_and(|not_before| now < *not_before) {
                continue;
            }
            let pause = match self.apply(&uid, step).await {
                Ok(()) => OVERLAY_TTL,
                Err(error) => {
                    tracing::warn!(pool = pool.name_any(), %error, "cannot write the route to the activator");
                    RETRY
                }
            };
            self.not_before.insert(uid, now + pause);
        }
    }

    async fn apply(&self, uid: &str, step: Step) -> kube::Result<()> {
        let writer = &self.context.writer;
        let result = match step {
            Step::Create(route) => match writer.create(Label::HttpRoutes, &route).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() => match writer.read(&route).await? {
                    // Its labels were removed, so that the watch does not see it.
                    Some(existing) if owned(&existing, uid) => self.replace(&existing, route).await,
                    Some(_) => {
                        let message = format!(
                            "HTTPRoute {:?} exists and is not controlled by this pool: delete it",
                            route.name_any()
                        );
                        self.context.failures.record(uid, Reason::NotOwned, message);
                        return Ok(());
                    }
                    None => return Ok(()),
                },
                created => created.map(drop),
            },
            Step::Replace { current, by } => self.replace(&current, by).await,
            Step::Delete(route) => writer.delete(Label::HttpRoutes, route.as_ref(), Precondition::Uid).await.map(drop),
        };
        match result {
            Ok(()) => self.context.failures.clear(uid),
            // It was deleted or recreated meanwhile, or the cluster does not serve the Gateway API.
            Err(kube::Error::Api(status)) if not_found(&status) || status.is_conflict() => {}
            Err(error) => {
                let message = format!("the route to the activator cannot be written: {error}");
                self.context.failures.record(uid, Reason::NotWritten, message);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn replace(&self, current: &HTTPRoute, wanted: HTTPRoute) -> kube::Result<()> {
        let repaired = drift::repaired(current, wanted);
        let spec = json!(repaired.spec);
        self.context.writer.replace(Label::HttpRoutes, current, &repaired, Fields::Spec(&spec)).await.map(drop)
    }
}

fn owned(route: &HTTPRoute, uid: &str) -> bool {
    route.owner_references().iter().any(|owner| owner.uid == uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn route() -> HTTPRoute {
        let mut pool = testing::pool(testing::query_routing());
        pool.spec.activator = Some(serde_json::from_value(json!({})).unwrap());
        let service = ActivatorService { namespace: "operators".into(), name: "activator".into(), port: 80 };
        wanted(&pool, &std::iter::once(Arc::new(pool.clone())).collect(), Some(&service)).unwrap().unwrap()
    }

    #[test]
    fn each_difference_takes_one_step() {
        let current = Arc::new(route());
        assert_eq!(step(None, None), None);
        assert_eq!(step(None, Some(route())), Some(Step::Create(route())));
        assert_eq!(step(Some(current.clone()), Some(route())), None);
        assert_eq!(step(Some(current.clone()), None), Some(Step::Delete(current.clone())));
        let mut other = route();
        other.spec.hostnames = Some(vec!["elsewhere.example.org".into()]);
        let other = Arc::new(other);
        assert_eq!(step(Some(other.clone()), Some(route())), Some(Step::Replace { current: other, by: route() }));
        let mut terminating = route();
        terminating.metadata.deletion_timestamp = Some(testing::time("2026-01-01T00:00:00Z"));
        assert_eq!(step(Some(Arc::new(terminating)), None), None);
    }

    #[test]
    fn route_of_another_pool_is_not_owned() {
        assert!(owned(&route(), "pool-uid") && !owned(&route(), "another"));
    }
}
