//! Pods with the engine's image in the namespace of a test, as stand-ins for Texera's services.

use std::net::IpAddr;

use anyhow::Context;
use computing_unit_api::names::PORT;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::{
    activator,
    fixture::{Fixture, SOON},
    units::{self, ENGINE},
    wait::until,
};

/// Creates a pod that answers like an engine with its name, with `more` merged into its spec, and waits until it is
/// ready. Returns its address.
///
/// # Errors
/// If it does not become ready.
pub async fn pod(fixture: &Fixture, name: &str, labels: &Value, more: &Value) -> anyhow::Result<IpAddr> {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [{
                "name": "engine",
                "image": ENGINE,
                "env": [{"name": "COMPUTING_UNIT_NAME", "value": name}],
                "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1, "timeoutSeconds": 5},
                "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
            }],
        },
    }))?;
    fixture.pods().create(&PostParams::default(), &units::with(&pod, &json!({"spec": more}))).await?;
    ready(fixture, name).await
}

/// Waits until a pod is ready. Returns its address.
///
/// # Errors
/// If it does not become ready.
pub async fn ready(fixture: &Fixture, name: &str) -> anyhow::Result<IpAddr> {
    let so = |pod: Option<&Pod>| {
        let conditions = pod.iter().filter_map(|pod| pod.status.as_ref()).flat_map(|status| &status.conditions);
        conditions.flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    let pod = until("readiness", SOON, fixture.pods(), name, so).await?.context("no such pod")?;
    let address = pod.status.and_then(|status| status.pod_ip).with_context(|| format!("{name} has no address"))?;
    Ok(address.parse()?)
}

/// Creates a Service for the pods with these labels.
///
/// # Errors
/// If the API server rejects it.
pub async fn service(fixture: &Fixture, name: &str, selector: &Value, port: i32) -> anyhow::Result<()> {
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {"clusterIP": "None", "selector": selector, "ports": [{"name": "http", "port": port}]},
    }))?;
    fixture.services().create(&PostParams::default(), &service).await?;
    Ok(())
}

/// Creates a static service, which answers like an engine with its name.
///
/// # Errors
/// If it does not become ready.
pub async fn static_service(fixture: &Fixture, name: &str) -> anyhow::Result<()> {
    let labels = json!({"static": name});
    service(fixture, name, &labels, PORT).await?;
    pod(fixture, name, &labels, &json!({})).await.map(drop)
}

/// The name of the pod, Service and SecurityPolicy of the authorization.
pub const AUTHORIZATION: &str = "access-control-service";

/// Creates the authorization service with these variables, and a SecurityPolicy that applies it to the routes of units
/// and activators in the namespace. `headers` are copied from its response to the request.
///
/// # Errors
/// If it does not become ready.
pub async fn authorization(fixture: &Fixture, variables: &[(&str, String)], headers: &[&str]) -> anyhow::Result<()> {
    let labels = json!({"static": AUTHORIZATION});
    let port = PORT.to_string();
    let env: Vec<Value> = variables
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .chain([json!({"name": "PORT", "value": port})])
        .collect();
    service(fixture, AUTHORIZATION, &labels, PORT).await?;
    let container = json!({
        "name": "authorization",
        "image": ENGINE,
        "command": ["/authorization"],
        "env": env,
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1, "timeoutSeconds": 5},
        "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
    });
    pod(fixture, AUTHORIZATION, &labels, &json!({"containers": [container]})).await?;
    let policy = serde_json::from_value(json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "SecurityPolicy",
        "metadata": {"name": AUTHORIZATION},
        "spec": {
            "targetSelectors": [{
                "group": "gateway.networking.k8s.io",
                "kind": "HTTPRoute",
                "matchLabels": {"app.kubernetes.io/managed-by": "computing-unit-operator"},
            }],
            "extAuth": {
                "failOpen": false,
                "recomputeRoute": headers.contains(&"host"),
                "http": {
                    "path": "/api/auth",
                    "backendRefs": [{"name": AUTHORIZATION, "port": PORT}],
                    "headersToBackend": headers,
                },
            },
        },
    }))?;
    activator::policies(fixture).create(&PostParams::default(), &policy).await?;
    Ok(())
}
