//! Fixture: the unit `ada`, the operator's real caches and memory, and a mocked API server.
//!
//! The test plays the watches, the kubelet, the Gateway's controller and its proxies. Nothing reaches a cache before
//! [`Scenario::watch`].

use std::{fmt::Debug, sync::Arc};

use computing_unit_api::{ComputingUnit, ComputingUnitPool, ConditionType, Conditions, names::labels};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Resource, ResourceExt,
    runtime::{controller::Action, watcher::Event},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    api_server::{ApiServer, now},
    call::{Call, PODS, PVCS, ROUTES, SERVICES, UNITS},
};
use crate::{
    controllers::unit::{context::UnitContext, reconcile},
    k8s::{cache::Cached, error::Result, overlay::Overlay},
    metrics::Outcome,
    testing::{self, RESYNC},
};

pub struct Scenario {
    pub server: ApiServer,
    pub context: Arc<UnitContext>,
}

impl Scenario {
    /// A unit that was just created, from a pool that `change` has changed, on a Gateway that is served.
    pub fn of_pool(change: impl FnOnce(&mut ComputingUnitPool)) -> Self {
        let server = ApiServer::default();
        let client = server.client();
        let (context, _) = testing::context(client, &[None], &[None]);
        let mut scenario = Self { server, context: Arc::new(context) };
        let mut pool = testing::pool(testing::query_routing());
        pool.metadata.generation = Some(1);
        change(&mut pool);
        scenario.pool(pool);
        let caches = scenario.context.caches.clone();
        caches.scopes[0].synced.send_replace(true);
        caches.gateways[0].synced.send_replace(true);
        let allowed = json!({"namespaces": {"from": "All"}});
        let listeners = json!([{"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": allowed}]);
        caches.gateways[0].gateways.apply(&Event::Apply(testing::gateway(&listeners)));
        caches.classes.apply(&Event::Apply(testing::class("True")));
        let mut unit = json!(testing::unit("ada", Some(42), &now()));
        unit["metadata"]["generation"] = Value::Null;
        scenario.server.put(UNITS, unit);
        scenario.watch();
        scenario
    }

    pub fn new() -> Self {
        Self::of_pool(|_| {})
    }

    /// Stores a pool in the cache.
    pub fn pool(&mut self, pool: ComputingUnitPool) {
        self.context.caches.scopes[0].pools.apply(&Event::Apply(pool));
    }

    /// The watches catch up with the API server.
    pub fn watch(&mut self) {
        let (server, overlays) = (&self.server, self.context.overlays.clone());
        let scope = &self.context.caches.scopes[0];
        let selected = |collection| {
            let mut children = server.list(collection);
            children.retain(|child| child["metadata"]["labels"][labels::MANAGED_BY] == labels::OPERATOR);
            children
        };
        let version = server.version();
        let deleted = catch_up(&scope.units, &overlays.units, server.list(UNITS), version);
        catch_up(&scope.pods, &overlays.pods, selected(PODS), version);
        catch_up(&scope.services, &overlays.services, selected(SERVICES), version);
        catch_up(&scope.routes, &overlays.routes, selected(ROUTES), version);
        catch_up(&scope.pvcs, &overlays.pvcs, selected(PVCS), version);
        for unit in deleted {
            self.context.forget(&unit, &unit.uid().unwrap_or_default());
        }
    }

    /// Changes the unit as a user would, and waits for the watch.
    pub fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        self.server.edit(UNITS, change);
        self.watch();
    }

    /// The kubelet reports the pod as Ready, and it becomes an endpoint.
    pub fn pod_ready(&mut self) {
        self.server.edit(PODS, |pod| pod["status"] = testing::ready());
        let uid = self.server.get(PODS, "ada").unwrap()["metadata"]["uid"].clone();
        let slice = json!({
            "metadata": {"name": "ada-x1", "namespace": "units", "labels": {"kubernetes.io/service-name": "ada"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "targetRef": {"uid": uid}}],
        });
        let slice = Event::Apply(serde_json::from_value(slice).unwrap());
        self.context.caches.scopes[0].endpoints.observe_event(&slice);
        self.watch();
    }

    /// The Gateway's controller accepts the route as it is.
    pub fn route_accepted(&mut self) {
        self.server.edit(ROUTES, |route| {
            let condition = |type_: &str| {
                json!({"type": type_, "status": "True", "reason": "Accepted", "message": "",
                       "observedGeneration": route["metadata"]["generation"], "lastTransitionTime": now()})
            };
            route["status"] = json!({"parents": [{
                "controllerName": "gateway.envoyproxy.io/gatewayclass-controller",
                "parentRef": {"name": "shared", "namespace": "gateways"},
                "conditions": [condition("Accepted"), condition("ResolvedRefs")],
            }]});
        });
        self.watch();
    }

    /// Every proxy gives the response that the running probe waits for.
    pub fn proxies_confirm(&self) {
        self.context.prober.confirm("ada-uid");
    }

    /// Reconciles the unit as the cache has it, and expects exactly those requests.
    pub async fn expect(&self, calls: impl IntoIterator<Item = Call>) -> Result<Action> {
        self.server.expect(calls.into_iter().collect());
        let result = self.reconcile().await;
        self.server.verify();
        result
    }

    pub async fn reconcile(&self) -> Result<Action> {
        reconcile(self.unit_in_cache(), self.context.clone()).await
    }

    pub fn unit_in_cache(&self) -> Arc<ComputingUnit> {
        let units = &self.context.caches.scopes[0].units;
        units.get("units", "ada").expect("a unit in the cache")
    }

    /// The resource version of the unit.
    pub fn version(&self) -> Value {
        self.server.get(UNITS, "ada").unwrap()["metadata"]["resourceVersion"].clone()
    }

    /// The UID of a child.
    pub fn uid(&self, collection: &str) -> String {
        self.server.get(collection, "ada").unwrap()["metadata"]["uid"].as_str().unwrap().to_owned()
    }

    /// The unit as the API server has it.
    pub fn unit(&self) -> ComputingUnit {
        serde_json::from_value(self.server.get(UNITS, "ada").unwrap()).unwrap()
    }

    /// A condition of the unit as the API server has it.
    pub fn condition(&self, type_: ConditionType) -> Option<Condition> {
        self.unit().status?.conditions.find(type_).cloned()
    }

    /// How many reconciles ended like that.
    pub fn outcomes(&self, outcome: Outcome) -> u64 {
        let series = format!("computing_unit_operator_reconciles_total{{outcome=\"{}\"}} ", outcome.as_str());
        let text = self.context.metrics.encode().unwrap();
        text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap()
    }
}

/// Brings a cache up to date. Returns the objects that are gone, which their events report in `version`.
fn catch_up<K>(cache: &Cached<K>, overlay: &Overlay<K>, objects: Vec<Value>, version: u64) -> Vec<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + 'static,
{
    let objects: Vec<K> = objects.into_iter().map(|object| serde_json::from_value(object).unwrap()).collect();
    let uids: Vec<_> = objects.iter().map(ResourceExt::uid).collect();
    let before = cache.all();
    let deleted: Vec<_> = before.into_iter().filter(|object| !uids.contains(&object.uid())).collect();
    let events = deleted.iter().map(|object| {
        let mut object = object.as_ref().clone();
        object.meta_mut().resource_version = Some(version.to_string());
        Event::Delete(object)
    });
    for event in events.chain(objects.into_iter().map(Event::Apply)) {
        cache.apply(&event);
        overlay.observe_event(&event);
    }
    deleted
}

/// Whether a reconcile is repeated without an event only after the resync period.
pub fn waits_for_a_change(action: &Action) -> bool {
    *action == Action::requeue(RESYNC) || *action == Action::await_change()
}
