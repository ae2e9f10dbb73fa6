//! The requests of a start, in parts, and a unit that has started.

use computing_unit_api::{ComputingUnitPool, names::FINALIZER};
use serde_json::json;

use super::{
    call::{Call, PODS, ROUTES, SERVICES, create, event, finalizers, patch, status},
    scenario::Scenario,
};

/// The header that only probes send.
const GUARD: &str = "x-computing-unit-guard";

/// What a new unit is given.
pub fn first_calls() -> Vec<Call> {
    let owned = json!({"metadata": {"name": "ada", "ownerReferences": [{"uid": "ada-uid", "controller": true}]}});
    vec![finalizers(&[FINALIZER]), create(SERVICES).with(owned.clone()), create(PODS).with(owned), status("Starting")]
}

/// A route that is created guarded.
pub fn guarded_route() -> Call {
    let guard = json!({"name": GUARD, "value": "ada-uid"});
    create(ROUTES).with(json!({"spec": {"rules": [{"matches": [{"headers": [guard]}]}]}}))
}

/// The route with that UID is guarded.
pub fn guard(uid: &str) -> Call {
    let spec = json!({"rules": [{"matches": [{"headers": [{"name": GUARD, "value": "ada-uid"}]}]}]});
    patch(ROUTES).with(json!([test(uid), {"op": "add", "path": "/spec", "value": spec}]))
}

/// The route with that UID is opened.
pub fn open(uid: &str) -> Call {
    patch(ROUTES).with(json!([test(uid), {"op": "add", "path": "/spec"}]))
}

fn test(uid: &str) -> serde_json::Value {
    json!({"op": "test", "path": "/metadata/uid", "value": uid})
}

/// Whether the route of the unit is open.
pub fn is_open(scenario: &Scenario) -> bool {
    scenario.server.get(ROUTES, "ada").is_some_and(|route| !route.to_string().contains(GUARD))
}

impl Scenario {
    /// A unit that is Ready, with an up-to-date cache.
    pub async fn ready() -> Self {
        Self::ready_of(|_| {}).await
    }

    /// The same, from a pool that `change` has changed.
    pub async fn ready_of(change: impl FnOnce(&mut ComputingUnitPool)) -> Self {
        let mut scenario = Self::of_pool(change);
        scenario.expect(first_calls()).await.unwrap();
        scenario.finish_start().await;
        scenario
    }

    /// From a pod that exists to Ready.
    pub async fn finish_start(&mut self) {
        self.pod_ready();
        self.expect([guarded_route()]).await.unwrap();
        self.route_accepted();
        self.proxies_confirm();
        self.expect([open(&self.uid(ROUTES))]).await.unwrap();
        assert!(is_open(self));
        self.route_accepted();
        self.proxies_confirm();
        self.expect([status("Ready"), event("Ready")]).await.unwrap();
        self.watch();
    }
}
