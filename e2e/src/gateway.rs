//! Changes to the shared Gateway: the number of its proxies, and its controller. Only on the local cluster.

use std::{fmt::Debug, net::SocketAddr, panic::AssertUnwindSafe, time::Duration};

use anyhow::{Context, ensure};
use futures::FutureExt;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    attach::Cluster,
    wait::{eventually, until},
};

/// The deadline for proxies or controllers to start or stop.
const SCALING: Duration = Duration::from_mins(2);
/// The label of an EnvoyProxy that tests may change.
const OURS: &str = "e2e.texera.apache.org/may=change";
/// The namespace, Deployment and label of the gateway's controller.
const CONTROLLER: (&str, &str, &str) = ("envoy-gateway-system", "envoy-gateway", "control-plane=envoy-gateway");

/// Whether tests may change the gateway, by a label of its EnvoyProxy.
///
/// # Errors
/// If the API server cannot be read.
pub async fn is_ours(cluster: &Cluster) -> anyhow::Result<bool> {
    let labelled = envoy_proxies(cluster).list_metadata(&ListParams::default().labels(OURS)).await;
    match labelled {
        // A gateway other than Envoy Gateway.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        labelled => Ok(labelled?.items.iter().any(|one| one.name_any() == cluster.gateway().name)),
    }
}

/// Runs a test that changes the gateway, and always restores the gateway. The test is skipped if the cluster is not the
/// local one.
///
/// # Errors
/// Those of the test.
pub async fn changed_by<F, T>(cluster: &Cluster, test: F) -> anyhow::Result<Option<T>>
where
    F: Future<Output = anyhow::Result<T>>,
{
    if !is_ours(cluster).await? {
        println!("NOT RUN: the test changes the gateway, which is not allowed on the current cluster");
        return Ok(None);
    }
    let outcome = AssertUnwindSafe(Box::pin(test)).catch_unwind().await;
    Box::pin(restore(cluster)).await.context("restore the gateway")?;
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map(Some)
}

/// Restores one proxy and a running controller.
///
/// # Errors
/// If that does not happen in time.
pub async fn restore(cluster: &Cluster) -> anyhow::Result<()> {
    if is_ours(cluster).await? {
        scale_controller(cluster, 1).await?;
        scale_proxies(cluster, 1).await?;
    }
    Ok(())
}

/// Scales the proxies of the Gateway with its EnvoyProxy of the same name, and waits until they are ready.
///
/// # Errors
/// If that does not happen in time.
pub async fn scale_proxies(cluster: &Cluster, count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    let replicas = json!({"spec": {"provider": {"kubernetes": {"envoyDeployment": {"replicas": count}}}}});
    merge(cluster, &envoy_proxies(cluster), &cluster.gateway().name, &replicas).await?;
    let wanted = || async {
        let proxies = cluster.proxies().await.unwrap_or_default();
        Ok((proxies.len() == count).then_some(proxies))
    };
    eventually(&format!("{count} proxies"), SCALING, wanted).await
}

/// Stops the gateway's controller or starts it again, and waits until its pods are gone or ready.
///
/// # Errors
/// If that does not happen in time.
pub async fn scale_controller(cluster: &Cluster, replicas: i32) -> anyhow::Result<()> {
    let (namespace, name, labels) = CONTROLLER;
    let api = Api::<Deployment>::namespaced(cluster.client(), namespace);
    merge(cluster, &api, name, &json!({"spec": {"replicas": replicas}})).await?;
    let running = |deployment: &Deployment| deployment.status.as_ref().and_then(|status| status.ready_replicas);
    let so = |found: Option<&Deployment>| found.is_some_and(|found| running(found).unwrap_or(0) == replicas);
    until(&format!("{replicas} controllers"), SCALING, api, name, so).await?;
    let pods = Api::<Pod>::namespaced(cluster.client(), namespace);
    let settled = || async {
        let count = pods.list_metadata(&ListParams::default().labels(labels)).await?.items.len();
        Ok((i32::try_from(count)? == replicas).then_some(()))
    };
    eventually("termination of the controller", SCALING, settled).await
}

/// Copies the EnvoyProxy of the shared Gateway for another Gateway.
///
/// # Errors
/// If the API server rejects it.
pub async fn copy_proxy(cluster: &Cluster, namespace: &str, name: &str) -> anyhow::Result<()> {
    let shared = envoy_proxies(cluster).get(&cluster.gateway().name).await?;
    let metadata =
        ObjectMeta { name: Some(name.to_owned()), labels: shared.metadata.labels.clone(), ..ObjectMeta::default() };
    let copy = DynamicObject { metadata, ..shared };
    let api = Api::<DynamicObject>::namespaced_with(cluster.client(), namespace, &envoy_proxy());
    api.create(&PostParams::default(), &copy).await?;
    Ok(())
}

fn envoy_proxies(cluster: &Cluster) -> Api<DynamicObject> {
    Api::namespaced_with(cluster.client(), &cluster.gateway().namespace, &envoy_proxy())
}

fn envoy_proxy() -> ApiResource {
    let kind = GroupVersionKind::gvk("gateway.envoyproxy.io", "v1alpha1", "EnvoyProxy");
    ApiResource::from_gvk_with_plural(&kind, "envoyproxies")
}

async fn merge<K>(cluster: &Cluster, api: &Api<K>, name: &str, patch: &Value) -> anyhow::Result<()>
where
    K: Clone + DeserializeOwned + Debug,
{
    ensure!(is_ours(cluster).await?, "the gateway of the current cluster must not be changed");
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}
