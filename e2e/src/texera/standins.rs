//! Stand-ins for Texera's services, with their names and ports: one pod that listens on all ports, and one for the
//! authorization. [`super::sources`] has the files of Texera that they follow.
//!
//! Pure: it builds the objects.

use computing_unit_api::names::PORT;
use serde_json::{Value, json};

use super::jupyter;
use crate::units::ENGINE;

/// Texera's services and their ports.
pub const SERVICES: [(&str, u16); 11] = [
    ("webserver-svc", 8080),
    ("workflow-computing-unit-manager-svc", 8888),
    ("workflow-compiling-service-svc", 9090),
    ("file-service-svc", 9092),
    ("config-service-svc", 9094),
    ("notebook-migration-service-svc", 9098),
    ("agent-service-svc", 3001),
    ("y-websocket-server-svc", 1234),
    ("python-language-server-svc", 3000),
    (OBJECT_STORE, 9000),
    (AUTHORIZATION, 9096),
];
/// The object store that Texera's chart installs in a release named `texera`.
pub const OBJECT_STORE: &str = "texera-rustfs-svc";
/// The service that authorizes requests for units.
pub const AUTHORIZATION: &str = "access-control-service-svc";
/// The headless Service that gives the pods of units their DNS names.
pub const UNITS_SERVICE: &str = "texera-workflow-computing-unit-svc";

/// The address of a unit that Texera records: `generatePodURI` in its KubernetesClient.scala.
#[must_use]
pub fn pod_uri(cuid: &str, units: &str) -> String {
    format!("computing-unit-{cuid}.{UNITS_SERVICE}.{units}.svc.cluster.local:{PORT}")
}

/// What differs between authorizations.
#[derive(Clone, Copy, Debug, Default)]
pub struct Authorization<'a> {
    /// Addresses in Texera's database that differ from [`pod_uri`].
    pub recorded: &'a [(i64, String)],
    /// Whether it has a rule for the path at which the agent service runs workflows, which Texera does not have yet.
    pub execution: bool,
}

/// The Pods and Services of a deployment with its units in the namespace `units`.
#[must_use]
pub fn objects(units: &str, authorization: &Authorization<'_>) -> Vec<Value> {
    let services = SERVICES.iter().map(|(name, port)| {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {
                "clusterIP": "None",
                "selector": {"stand-in": pod(name)},
                "ports": [{"name": "http", "port": port}],
            },
        })
    });
    let pods = ["texera", AUTHORIZATION].map(|own| {
        let containers: Vec<Value> = SERVICES
            .iter()
            .filter(|(name, _)| pod(name) == own)
            .map(|service| container(*service, units, authorization))
            .collect();
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": own, "labels": {"stand-in": own}},
            "spec": {"terminationGracePeriodSeconds": 2, "containers": containers},
        })
    });
    services.chain(pods).collect()
}

/// The pod of a service. The authorization has its own, so that tests can delete it.
fn pod(service: &str) -> &str {
    if service == AUTHORIZATION { AUTHORIZATION } else { "texera" }
}

fn container((name, port): (&str, u16), units: &str, authorization: &Authorization<'_>) -> Value {
    let program = if name == AUTHORIZATION { "/authorization" } else { "/engine" };
    let rules = if authorization.execution { "texera-with-execution" } else { "texera" };
    let recorded: Vec<String> = authorization.recorded.iter().map(|(cuid, host)| format!("{cuid}={host}")).collect();
    let mut env = vec![
        json!({"name": "COMPUTING_UNIT_NAME", "value": name}),
        json!({"name": "PORT", "value": port.to_string()}),
        // Same as Texera's service.
        json!({"name": "PARSER", "value": "first-decoded"}),
        json!({"name": "RULES", "value": rules}),
        json!({"name": "UNIT_HOST", "value": pod_uri("{cuid}", units)}),
        json!({"name": "JUPYTER_HOST", "value": jupyter::pod_uri("{uid}", units)}),
    ];
    if !recorded.is_empty() {
        env.push(json!({"name": "RECORDED", "value": recorded.join(",")}));
    }
    json!({
        "name": name,
        "image": ENGINE,
        "imagePullPolicy": "IfNotPresent",
        "command": [program],
        "env": env,
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1, "timeoutSeconds": 5},
        "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}},
    })
}
