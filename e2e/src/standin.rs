//! Pods of the engine's image that stand in for something of Texera's, each in the namespace of a test.

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

/// Makes a pod that answers like an engine of its name, with `more` merged into its spec, and waits until it is ready. Its
/// address.
///
/// # Errors
/// If it does not get there.
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

/// Waits until a pod is ready. Its address.
///
/// # Errors
/// If it does not get there.
pub async fn ready(fixture: &Fixture, name: &str) -> anyhow::Result<IpAddr> {
    let so = |pod: Option<&Pod>| {
        let conditions = pod.iter().filter_map(|pod| pod.status.as_ref()).flat_map(|status| &status.conditions);
        conditions.flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    let pod = until("readiness", SOON, fixture.pods(), name, so).await?.context("the pod")?;
    let address = pod.status.and_then(|status| status.pod_ip).with_context(|| format!("the address of {name}"))?;
    Ok(address.parse()?)
}

/// Makes a Service that leads to the pods with these labels.
///
/// # Errors
/// If the API server refuses it.
pub async fn service(fixture: &Fixture, name: &str, selector: &Value, port: i32) -> anyhow::Result<()> {
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {"clusterIP": "None", "selector": selector, "ports": [{"name": "http", "port": port}]},
    }))?;
    fixture.services().create(&PostParams::default(), &service).await?;
    Ok(())
}

/// Makes a static service, which answers like an engine of its name.
///
/// # Errors
/// If it does not get ready.
pub async fn static_service(fixture: &Fixture, name: &str) -> anyhow::Result<()> {
    let labels = json!({"static": name});
    service(fixture, name, &labels, PORT).await?;
    pod(fixture, name, &labels, &json!({})).await.map(drop)
}

/// Name of the authorization's pod, Service and policy.
pub const AUTHORIZATION: &str = "access-control-service";

/// Makes the authorization with these variables, and has the gateway ask it about every request for units and entries of the
/// namespace. `headers` are let through from its answer to the unit.
///
/// # Errors
/// If it does not get ready.
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
