//! Keeps the entries of pools as they should be: makes, repairs and deletes their routes, and says how they stand. Only
//! whichever process leads does so.
//!
//! It looks at caches, and writes nothing while they are as they should be. An object that is not a pool's own is left
//! alone.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::route::{EntryService, NoEntry, entry};
use crate::{
    api::ComputingUnitPool,
    apply::replacement,
    caches,
    context::Context,
    drift,
    error::not_found,
    gateway::{
        HTTPRoute,
        parent::{Verdict, verdict},
    },
    metrics::{Resource as Label, Verb},
    names::{self, FIELD_MANAGER},
    observed::way,
};

/// How often entries are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// For how long a write is believed although no watch has told of it.
const BELIEVED: Duration = Duration::from_secs(10);
/// How long an entry that could not be written is left alone.
const RETRY: Duration = Duration::from_secs(30);

/// What keeps entries from being made, by the pool's UID.
#[derive(Default)]
pub struct Troubles(Mutex<HashMap<String, NoEntry>>);

impl Troubles {
    fn met(&self, uid: &str, reason: &'static str, message: String) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(uid.to_owned(), NoEntry { reason, message });
    }

    fn over(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    fn of(&self, uid: &str) -> Option<NoEntry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned()
    }

    fn retain(&self, alive: &HashSet<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| alive.contains(uid));
    }
}

/// Status, reason and message of the condition `Entry` of `pool`, which is one of `all`. Nothing where the pool asks for
/// no entry.
#[must_use]
pub fn says(
    context: &Context,
    pool: &ComputingUnitPool,
    all: &[Arc<ComputingUnitPool>],
) -> Option<(&'static str, String, String)> {
    let refused = |none: NoEntry| Some(("False", none.reason.to_owned(), none.message));
    if let Err(none) = entry(pool, all, context.entry.as_ref())? {
        return refused(none);
    }
    if let Some(none) = context.entry_troubles.of(&pool.uid().unwrap_or_default()) {
        return refused(none);
    }
    let namespace = pool.namespace().unwrap_or_default();
    let route = context.caches.scope(&namespace);
    let route = route.and_then(|scope| caches::get(&scope.entries, &namespace, &names::entry(&pool.name_any())));
    let way = way(&context.caches, pool.spec.gateway_ref.clone());
    let verdict = match (&route, &way.controller) {
        (Some(route), Ok(controller)) => verdict(route, &way.gateway, controller),
        _ => Verdict::Unseen,
    };
    Some(match verdict {
        Verdict::Accepted => {
            ("True", "Served".to_owned(), "the gateway sends requests for units without a route here".to_owned())
        }
        Verdict::Refused { reason, message } => {
            let message = advice(&reason, &message, &namespace, context.entry.as_ref()).unwrap_or(message);
            ("False", reason, message)
        }
        Verdict::Unseen => {
            ("Unknown", "Pending".to_owned(), "the gateway has said nothing of the entry's route yet".to_owned())
        }
    })
}

/// What to do about a refusal, after the controller's own words; nothing where those are all that is known.
fn advice(reason: &str, message: &str, namespace: &str, service: Option<&EntryService>) -> Option<String> {
    let EntryService { namespace: to, name, .. } = service.filter(|_| reason == "RefNotPermitted")?;
    Some(format!(
        "{message} Name namespace {namespace:?} in the chart's entry.namespaces, or make a ReferenceGrant in namespace \
         {to:?} that lets HTTPRoutes of {namespace:?} lead to Service {name:?}"
    ))
}

/// Looks at all entries again and again, until dropped.
pub async fn run(context: Arc<Context>) {
    context.synced().await;
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut keeper = Keeper { context: &context, not_before: HashMap::new() };
    loop {
        ticks.tick().await;
        keeper.look().await;
    }
}

/// What is to be done about one entry.
#[derive(Debug, PartialEq)]
enum Step {
    Create(HTTPRoute),
    Replace { seen: Arc<HTTPRoute>, by: HTTPRoute },
    Delete(Arc<HTTPRoute>),
}

/// The step from what was seen of an entry to what is wanted.
fn step(seen: Option<Arc<HTTPRoute>>, wanted: Option<HTTPRoute>) -> Option<Step> {
    match (seen, wanted) {
        (Some(seen), _) if seen.metadata.deletion_timestamp.is_some() => None,
        (None, Some(wanted)) => Some(Step::Create(wanted)),
        (Some(seen), Some(wanted)) if !drift::route_matches(&seen, &wanted) => Some(Step::Replace { seen, by: wanted }),
        (Some(seen), None) => Some(Step::Delete(seen)),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

struct Keeper<'a> {
    context: &'a Context,
    /// When each pool's entry may be written again, by the pool's UID.
    not_before: HashMap<String, Instant>,
}

impl Keeper<'_> {
    async fn look(&mut self) {
        let pools: Vec<_> = self.context.caches.pools().collect();
        let alive: HashSet<String> = pools.iter().filter_map(|pool| pool.uid()).collect();
        self.not_before.retain(|uid, _| alive.contains(uid));
        self.context.entry_troubles.retain(&alive);
        for pool in &pools {
            let namespace = pool.namespace().unwrap_or_default();
            let Some(scope) = self.context.caches.scope(&namespace) else { continue };
            let uid = pool.uid().unwrap_or_default();
            // Whatever another pool of the name has left goes with it.
            let own = |route: &Arc<HTTPRoute>| owned(route, &uid);
            let seen = caches::get(&scope.entries, &namespace, &names::entry(&pool.name_any())).filter(own);
            let going = pool.metadata.deletion_timestamp.is_some();
            let wanted = entry(pool, &pools, self.context.entry.as_ref()).and_then(Result::ok).filter(|_| !going);
            let Some(step) = step(seen, wanted) else { continue };
            let now = Instant::now();
            if self.not_before.get(&uid).is_some_and(|not_before| now < *not_before) {
                continue;
            }
            let pause = match self.take(pool, &uid, step).await {
                Ok(()) => BELIEVED,
                Err(error) => {
                    tracing::warn!(pool = pool.name_any(), %error, "cannot write the entry of a pool");
                    RETRY
                }
            };
            self.not_before.insert(uid, now + pause);
        }
    }

    async fn take(&self, pool: &ComputingUnitPool, uid: &str, step: Step) -> kube::Result<()> {
        let api: Api<HTTPRoute> = Api::namespaced(self.context.client.clone(), &pool.namespace().unwrap_or_default());
        let name = names::entry(&pool.name_any());
        let done = match step {
            Step::Create(route) => {
                let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
                match self.context.write(Verb::Create, Label::HttpRoutes, api.create(&params, &route)).await {
                    Err(kube::Error::Api(status)) if status.is_already_exists() => {
                        match api.get_opt(&name).await? {
                            // Its labels are gone, so that the watch does not tell of it.
                            Some(found) if owned(&found, uid) => self.replace(&api, &found, route).await,
                            Some(_) => {
                                let message = format!(
                                    "there is an HTTPRoute {name:?} that this pool does not own; it is left alone: delete \
                                     it"
                                );
                                self.context.entry_troubles.met(uid, "NotOwned", message);
                                return Ok(());
                            }
                            None => return Ok(()),
                        }
                    }
                    made => made.map(drop),
                }
            }
            Step::Replace { seen, by } => self.replace(&api, &seen, by).await,
            Step::Delete(route) => {
                let preconditions = Preconditions { uid: route.uid(), resource_version: None };
                let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
                self.context.write(Verb::Delete, Label::HttpRoutes, api.delete(&name, &params)).await.map(drop)
            }
        };
        match done {
            Ok(()) => self.context.entry_troubles.over(uid),
            // It went meanwhile, or Gateway API is not there, or there is another of that name by now.
            Err(kube::Error::Api(status)) if not_found(&status) || status.is_conflict() => {}
            Err(error) => {
                self.context.entry_troubles.met(
                    uid,
                    "NotWritten",
                    format!("the entry's route cannot be written: {error}"),
                );
                return Err(error);
            }
        }
        Ok(())
    }

    async fn replace(&self, api: &Api<HTTPRoute>, seen: &HTTPRoute, wanted: HTTPRoute) -> kube::Result<()> {
        let repaired = drift::repaired(seen, wanted);
        let patch = replacement(repaired.meta(), &[("", json!(repaired.spec))]);
        let patch = Patch::Json::<()>(serde_json::from_value(patch).map_err(kube::Error::SerdeError)?);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let name = seen.name_any();
        self.context.write(Verb::Patch, Label::HttpRoutes, api.patch(&name, &params, &patch)).await.map(drop)
    }
}

fn owned(route: &HTTPRoute, uid: &str) -> bool {
    route.owner_references().iter().any(|owner| owner.uid == uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn made() -> HTTPRoute {
        let mut pool = testing::pool(testing::query_routing());
        pool.spec.entry = Some(serde_json::from_value(json!({})).unwrap());
        let service = EntryService { namespace: "operators".into(), name: "entry".into(), port: 80 };
        entry(&pool, &[], Some(&service)).unwrap().unwrap()
    }

    #[test]
    fn one_step_leads_to_what_is_wanted_and_none_stays_there() {
        let seen = Arc::new(made());
        assert_eq!(step(None, None), None);
        assert_eq!(step(None, Some(made())), Some(Step::Create(made())));
        assert_eq!(step(Some(seen.clone()), Some(made())), None);
        assert_eq!(step(Some(seen.clone()), None), Some(Step::Delete(seen.clone())));
        let mut other = made();
        other.spec.hostnames = Some(vec!["elsewhere.example.org".into()]);
        let other = Arc::new(other);
        assert_eq!(step(Some(other.clone()), Some(made())), Some(Step::Replace { seen: other, by: made() }));
        let mut going = made();
        going.metadata.deletion_timestamp = Some(testing::time("2026-01-01T00:00:00Z"));
        assert_eq!(step(Some(Arc::new(going)), None), None);
    }

    #[test]
    fn a_refusal_for_want_of_leave_says_what_to_do() {
        let service = EntryService { namespace: "operators".into(), name: "entry".into(), port: 80 };
        let advice = |reason: &str| advice(reason, "Not permitted.", "units", Some(&service));
        let told = advice("RefNotPermitted").unwrap();
        for word in [
            "Not permitted. ",
            "ReferenceGrant in namespace \"operators\"",
            "\"units\"",
            "\"entry\"",
            "entry.namespaces",
        ] {
            assert!(told.contains(word), "{told}");
        }
        assert_eq!(advice("NotAllowedByListeners"), None);
    }

    #[test]
    fn what_belongs_to_another_pool_is_not_ones_own() {
        assert!(owned(&made(), "pool-uid") && !owned(&made(), "another"));
    }
}
