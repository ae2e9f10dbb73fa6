//! Fixtures for unit tests.

use std::sync::Arc;

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use serde_json::json;

use crate::{
    api::{ComputingUnit, ComputingUnitPool, Routing},
    routing::claim::Holder,
    validate::{Unit, validate},
};

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

/// Units under `/units`, which they do not see.
pub fn path_routing() -> Routing {
    serde_json::from_value(json!({"type": "Path", "path": {"prefix": "/units", "replacePrefixMatch": "/"}})).unwrap()
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
    validate(&object, Some(&Arc::new(pool(routing))), None, |_| Holder::Asker).unwrap()
}
