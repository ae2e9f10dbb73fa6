//! Fixtures for unit tests.

use std::{sync::Arc, time::Duration};

use computing_unit_api::{
    ComputingUnit, ComputingUnitPool, ComputingUnitStatus, QueryLookup, Routing,
    gateway::{Gateway, GatewayClass},
    names::{FIELD_MANAGER, FINALIZER},
};
use futures::channel::mpsc::UnboundedReceiver;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{
    Client,
    runtime::{
        events::{Recorder, Reporter},
        reflector::ObjectRef,
    },
};
use serde_json::{Value, json};

use crate::{
    controllers::{
        gateway_binding::GatewayBinding,
        unit::{
            admissions::Admissions,
            blocked::BlockedWrites,
            build::{self, Children},
            context::{HeldStatuses, UnitContext},
            dry_runs::PassedDryRuns,
            pod_events::PodEventsMemory,
            rollout::{Rollouts, Slot},
            snapshot::Snapshot,
            validate::{Unit, validate},
        },
    },
    k8s::{backoff::Backoff, caches::Caches, waker::Waker, writer::Writer},
    metrics::Metrics,
    probe::Prober,
    routing::keys::{Holder, KeyIndex, Reservation, RoutingKey},
};

/// How often units are reconciled in tests without an event.
pub const RESYNC: Duration = Duration::from_mins(10);

/// What reconciles use, with empty caches, and the units that are woken in each scope.
pub fn context(
    client: Client,
    scopes: &[Option<String>],
    gateways: &[Option<String>],
) -> (UnitContext, Vec<UnboundedReceiver<ObjectRef<ComputingUnit>>>) {
    let metrics = Arc::<Metrics>::default();
    let caches = Arc::new(Caches::new(scopes, gateways, "envoy-gateway-system"));
    let (waker, wakes) = Waker::new(scopes);
    // The proxies are not known before they are listed, so no probe ends by itself.
    let (prober, _) = Prober::new(caches.proxies(), 1, metrics.clone());
    let context = UnitContext {
        writer: Writer::new(client.clone(), metrics.clone(), 8),
        caches,
        overlays: Arc::default(),
        keys: KeyIndex::default(),
        overlaps: Arc::default(),
        blocked: BlockedWrites::default(),
        admissions: Admissions::default(),
        dry_runs: PassedDryRuns::default(),
        pod_events: PodEventsMemory::default(),
        rollouts: Rollouts::default(),
        prober,
        waker,
        recorder: Recorder::new(client, Reporter { controller: FIELD_MANAGER.to_owned(), instance: None }),
        metrics,
        activity: Arc::default(),
        backoff: Backoff::new(Duration::from_millis(200), Duration::from_mins(1)),
        held_statuses: HeldStatuses::default(),
        resync: RESYNC,
    };
    (context, wakes)
}

/// A point in time from RFC 3339 text.
pub fn time(text: &str) -> Time {
    Time(text.parse::<Timestamp>().unwrap())
}

/// Texera's routing.
pub fn query_routing() -> Routing {
    serde_json::from_value(json!({
        "type": "Query",
        "query": {"paths": [
            {"type": "PathPrefix", "value": "/wsapi"},
            {"type": "RegularExpression", "value": r"^/api/executions/\d+/stats/\d+$"},
            {"type": "PathPrefix", "value": "/api/executions/result/export"},
            {"type": "PathPrefix", "value": "/api/pve"},
        ]},
    }))
    .unwrap()
}

/// The same, with units looked up by a host name in `units.internal`.
pub fn lookup_routing() -> Routing {
    let mut routing = query_routing();
    if let Some(query) = &mut routing.query {
        query.lookup = QueryLookup::Host;
        query.lookup_domain = Some("units.internal".to_owned());
    }
    routing
}

/// Units under `/units`, which they do not see.
pub fn path_routing() -> Routing {
    serde_json::from_value(json!({
        "type": "Path", "path": {"prefix": "/units", "replacePrefixMatch": "/"}, "isolation": "None",
    }))
    .unwrap()
}

/// Units in `units.example.org`.
pub fn host_routing() -> Routing {
    serde_json::from_value(json!({"type": "Host", "host": {"domain": "units.example.org"}})).unwrap()
}

/// A pool named `default` with one plain container.
pub fn pool(routing: Routing) -> ComputingUnitPool {
    serde_json::from_value(json!({
        "apiVersion": "texera.apache.org/v1alpha1",
        "kind": "ComputingUnitPool",
        "metadata": {"name": "default", "namespace": "units", "uid": "pool-uid"},
        "spec": {
            "gatewayRef": {"name": "shared", "namespace": "gateways"},
            "routing": routing,
            "template": {"spec": {"containers": [{"name": "engine", "image": "engine:1"}]}},
        },
    }))
    .unwrap()
}

/// A unit of the pool named `default`.
pub fn unit(name: &str, cuid: Option<i64>, created: &str) -> ComputingUnit {
    let mut unit: ComputingUnit = serde_json::from_value(json!({
        "apiVersion": "texera.apache.org/v1alpha1",
        "kind": "ComputingUnit",
        "metadata": {"name": name, "namespace": "units", "uid": format!("{name}-uid"), "generation": 1},
        "spec": {},
    }))
    .unwrap();
    unit.spec.cuid = cuid;
    unit.metadata.creation_timestamp = Some(time(created));
    unit
}

/// A unit of [`pool`] with that routing, which may run.
pub fn accepted(routing: Routing) -> Unit {
    let object = Arc::new(unit("ada", Some(42), "2026-01-01T00:00:00Z"));
    validate(&object, Some(&Arc::new(pool(routing))), None, None, None).unwrap()
}

/// An accepted unit whose pool has two ports.
pub fn with_ports(routing: Routing) -> Unit {
    let mut unit = accepted(routing);
    let ports =
        json!([{"name": "tensorboard", "port": 6006}, {"name": "dev", "port": 3000, "replacePrefixMatch": "/app"}]);
    Arc::make_mut(&mut unit.pool).spec.ports = serde_json::from_value(ports).unwrap();
    unit
}

/// What its children should be, with Texera's routing.
pub fn children() -> Children {
    build::children(&accepted(query_routing()))
}

/// Its pod.
pub fn pod(status: Value) -> Pod {
    Pod { status: serde_json::from_value(status).unwrap(), ..children().pod }
}

/// The status of a pod that is Ready.
pub fn ready() -> Value {
    json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
}

/// What its status records as held.
pub fn held_key() -> String {
    let Unit { object, pool, .. } = accepted(query_routing());
    RoutingKey::new(&object, &pool).to_string()
}

/// Its snapshot at `now`: it has its finalizer, it holds its key, and it has no children. Its Gateway is served.
pub fn snapshot(now: &str) -> Snapshot {
    let Unit { object, pool, .. } = accepted(query_routing());
    let mut unit = object.as_ref().clone();
    unit.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    unit.status = Some(ComputingUnitStatus { held_key: Some(held_key()), ..ComputingUnitStatus::default() });
    let gateway = pool.spec.gateway_ref.clone();
    let key = RoutingKey::new(&object, &pool);
    Snapshot {
        key: Some(Reservation { key, holder: Holder::Unit, requested: true }),
        pool: Some(pool),
        gateway: Some(GatewayBinding {
            gateway,
            controller: Ok("controller".into()),
            version: None,
            listener: None,
            choices: 1,
            origin: None,
        }),
        slot: Slot::Granted,
        ..Snapshot::alone(Arc::new(unit), time(now).0)
    }
}

/// A Gateway as Envoy Gateway leaves it.
pub fn gateway(listeners: &Value) -> Gateway {
    serde_json::from_value(json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "shared", "namespace": "gateways", "uid": "gateway-uid", "generation": 1},
        "spec": {"gatewayClassName": "eg", "listeners": listeners},
        "status": {
            "addresses": [{"type": "IPAddress", "value": "10.96.0.7"}],
            "conditions": [{
                "type": "Programmed", "status": "True", "reason": "Programmed", "message": "ok",
                "observedGeneration": 1, "lastTransitionTime": "2026-11-20T10:00:00Z",
            }],
        },
    }))
    .unwrap()
}

/// The class of [`gateway`].
pub fn class(accepted: &str) -> GatewayClass {
    serde_json::from_value(json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "eg"},
        "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
        "status": {"conditions": [{
            "type": "Accepted", "status": accepted, "reason": "Accepted", "message": "Valid GatewayClass",
            "observedGeneration": 1, "lastTransitionTime": "2026-11-20T10:00:00Z",
        }]},
    }))
    .unwrap()
}
