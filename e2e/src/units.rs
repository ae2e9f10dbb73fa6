//! Manifests of pools and units.

use computing_unit_api::{ComputingUnit, ComputingUnitPool, GatewayRef, Phase, names::PORT};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::traffic::Target;

/// The image of the stand-in for an engine.
pub const ENGINE: &str = "localhost/computing-unit-engine:dev";
/// The domain of pools in Host mode.
pub const DOMAIN: &str = "units.example.org";

/// A routing mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By query parameter, on the paths of Texera.
    Query,
    /// By path, below `/<namespace>`, which is removed from the request.
    Path,
    /// By host name.
    Host,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Query, Self::Path, Self::Host];

    fn routing(self, namespace: &str) -> Value {
        match self {
            Self::Query => json!({"type": "Query", "query": {"paths": [
                {"type": "PathPrefix", "value": "/wsapi"},
                {"type": "RegularExpression", "value": r"^/api/executions/\d+/stats/\d+$"},
                {"type": "PathPrefix", "value": "/api/executions/result/export"},
                {"type": "PathPrefix", "value": "/api/pve"},
            ]}}),
            // Each test has its own prefix, so that parallel tests do not overlap.
            Self::Path => {
                json!({
                    "type": "Path", "isolation": "Sandbox",
                    "path": {"prefix": format!("/{namespace}"), "replacePrefixMatch": "/"},
                })
            }
            Self::Host => json!({"type": "Host", "host": {"domain": domain(namespace)}}),
        }
    }
}

fn domain(namespace: &str) -> String {
    format!("{namespace}.{DOMAIN}")
}

/// A pool named `default` whose units start quickly.
///
/// # Panics
/// Never: the object is valid.
#[must_use]
pub fn pool(namespace: &str, gateway: &GatewayRef, mode: Mode) -> ComputingUnitPool {
    from(json!({
        "apiVersion": "texera.apache.org/v1alpha1",
        "kind": "ComputingUnitPool",
        "metadata": {"name": "default", "namespace": namespace},
        "spec": {
            "gatewayRef": gateway,
            "routing": mode.routing(namespace),
            // Short, for tests that delete pods.
            "restartBackoff": {"initial": "100ms", "max": "1s", "reset": "10m"},
            "template": {"spec": {
                "terminationGracePeriodSeconds": 5,
                "containers": [{
                    "name": "engine",
                    "image": ENGINE,
                    "readinessProbe": {"httpGet": {"path": "/api/healthcheck", "port": PORT}, "periodSeconds": 1, "timeoutSeconds": 5},
                    "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
                }],
            }},
        },
    }))
}

/// The same pool, whose units have a volume of that Secret.
#[must_use]
pub fn with_secret(pool: &ComputingUnitPool, secret: &str) -> ComputingUnitPool {
    let mut pool = serde_json::to_value(pool).unwrap_or_default();
    let spec = &mut pool["spec"]["template"]["spec"];
    spec["volumes"] = json!([{"name": "secret", "secret": {"secretName": secret}}]);
    spec["containers"][0]["volumeMounts"] = json!([{"name": "secret", "mountPath": "/secret"}]);
    from(pool)
}

/// A unit of the pool named `default`.
#[must_use]
pub fn unit(namespace: &str, name: &str, cuid: i64) -> ComputingUnit {
    from(json!({
        "apiVersion": "texera.apache.org/v1alpha1",
        "kind": "ComputingUnit",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"cuid": cuid},
    }))
}

/// Changes an object as a merge patch would.
#[must_use]
pub fn with<K: serde::Serialize + serde::de::DeserializeOwned>(object: &K, patch: &Value) -> K {
    let mut whole = serde_json::to_value(object).unwrap_or_default();
    json_patch::merge(&mut whole, patch);
    from(whole)
}

#[expect(clippy::expect_used, reason = "the objects of tests are constants")]
fn from<K: serde::de::DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).expect("a valid object")
}

/// The host and path of a request for a unit.
#[must_use]
pub fn address(mode: Mode, unit: &ComputingUnit) -> (String, String) {
    let (namespace, name) = (unit.namespace().unwrap_or_default(), unit.name_any());
    match mode {
        Mode::Query => ("localhost".to_owned(), format!("/wsapi?cuid={}", unit.spec.cuid.unwrap_or_default())),
        Mode::Path => ("localhost".to_owned(), format!("/{namespace}/{name}/wsapi")),
        Mode::Host => (format!("{name}.{}", domain(&namespace)), "/wsapi".to_owned()),
    }
}

/// A request for a unit. A response of another unit is misrouted.
///
/// # Errors
/// If the name of the unit is not valid in a request.
pub fn target(mode: Mode, unit: &ComputingUnit) -> anyhow::Result<Target> {
    let (host, path) = address(mode, unit);
    Ok(Target::new(&host, &path)?.engine(&unit.name_any()))
}

/// The phase of a unit.
#[must_use]
pub fn phase(unit: Option<&ComputingUnit>) -> Option<Phase> {
    unit?.status.as_ref()?.phase
}

/// The reason and message of a condition of a unit, if its status is `status`.
#[must_use]
pub fn condition(unit: Option<&ComputingUnit>, type_: &str, status: &str) -> Option<(String, String)> {
    let conditions = &unit?.status.as_ref()?.conditions;
    let condition = conditions.iter().find(|condition| condition.type_ == type_ && condition.status == status)?;
    Some((condition.reason.clone(), condition.message.clone()))
}
