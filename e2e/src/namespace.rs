//! A namespace for one test, which is always deleted. If the test fails, its objects are printed first.

use std::{
    any::Any,
    collections::BTreeMap,
    env,
    future::Future,
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, anyhow};
use computing_unit_api::{ComputingUnit, gateway::HTTPRoute};
use futures::{FutureExt, StreamExt, stream};
use k8s_openapi::api::{
    core::v1::{Namespace, Pod},
    events::v1::Event,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{attach::Cluster, wait::until};

/// The label of namespaces and cluster-scoped objects that tests create: the id of the process that created them.
pub const OWNER: &str = "e2e.texera.apache.org/process";
/// The label of namespaces whose routes the Gateway's listeners allow.
pub const ADMITTED: &str = "texera.apache.org/units";
/// The variable that keeps the namespaces of failed tests.
const KEEP: &str = "E2E_KEEP";
/// The deadline for the deletion of a namespace.
const REMOVAL: Duration = Duration::from_mins(2);
/// What is added for each unit, which benchmarks have thousands of.
const REMOVAL_PER_UNIT: Duration = Duration::from_millis(200);

/// Runs `work` with the name of a new namespace whose routes the Gateway allows.
///
/// # Errors
/// Those of `work`, or of creating or deleting the namespace.
pub async fn within<F, T>(cluster: &Cluster, prefix: &str, work: impl FnOnce(String) -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let name = create(cluster, prefix, true).await?;
    let outcome = AssertUnwindSafe(Box::pin(work(name.clone()))).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|panic| Err(anyhow!("{}", words(panic.as_ref()))));
    if let Err(error) = &outcome {
        eprintln!("{name}: {error:#}");
        describe(&cluster.client(), &name).await;
        if env::var_os(KEEP).is_some() {
            return outcome;
        }
    }
    let removed = remove(cluster, &name).await;
    let value = outcome?;
    removed?;
    Ok(value)
}

/// The message of a failed assertion.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("the test panicked").to_owned()
}

/// Creates a namespace. `admitted` sets whether the Gateway allows its routes. If this run is killed, the next one
/// deletes it.
///
/// # Errors
/// If the API server rejects it.
pub async fn create(cluster: &Cluster, prefix: &str, admitted: bool) -> anyhow::Result<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() % 10_000_000;
    let process = std::process::id();
    let name = format!("e2e-{prefix}-{process}-{started}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut labels = BTreeMap::from([(OWNER.to_owned(), process.to_string())]);
    if admitted {
        labels.insert(ADMITTED.to_owned(), "true".to_owned());
    }
    let metadata = ObjectMeta { name: Some(name.clone()), labels: Some(labels), ..ObjectMeta::default() };
    let api = Api::<Namespace>::all(cluster.client());
    api.create(&PostParams::default(), &Namespace { metadata, ..Namespace::default() }).await?;
    Ok(name)
}

/// Deletes a namespace with its objects, and waits until it is gone. Removes finalizers whose operator is not running
/// any more.
///
/// # Errors
/// If it is not deleted in time.
pub async fn remove(cluster: &Cluster, name: &str) -> anyhow::Result<()> {
    let client = cluster.client();
    let units = Api::<ComputingUnit>::namespaced(client.clone(), name);
    let all = units.list_metadata(&ListParams::default()).await.map(|all| all.items).unwrap_or_default();
    let count = u32::try_from(all.len()).unwrap_or(u32::MAX);
    // If one is left, the namespace is not deleted in time.
    let _ = remove_finalizers(&units, all.iter().map(ResourceExt::name_any)).await;
    removed_within(cluster, name, REMOVAL + REMOVAL_PER_UNIT * count).await
}

/// Removes the finalizers of units whose operator is not running any more, of several at a time. An error does not keep the
/// others from being removed.
///
/// # Errors
/// The first error, unless the unit is gone.
pub async fn remove_finalizers(
    units: &Api<ComputingUnit>,
    names: impl IntoIterator<Item = String>,
) -> kube::Result<()> {
    let remove = |name: String| async move {
        let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        match units.patch_metadata(&name, &PatchParams::default(), &patch).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            patched => patched.map(drop),
        }
    };
    let results: Vec<_> = stream::iter(names).map(remove).buffer_unordered(16).collect().await;
    results.into_iter().collect()
}

/// Deletes a namespace like a user, and waits until it is gone.
///
/// # Errors
/// If it is not deleted in time.
pub async fn until_removed(cluster: &Cluster, name: &str) -> anyhow::Result<()> {
    removed_within(cluster, name, REMOVAL).await
}

async fn removed_within(cluster: &Cluster, name: &str, deadline: Duration) -> anyhow::Result<()> {
    let api = Api::<Namespace>::all(cluster.client());
    match api.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        deleted => deleted.with_context(|| format!("delete namespace {name}"))?,
    };
    until("deletion", deadline, api, name, |namespace| namespace.is_none()).await?;
    Ok(())
}

/// Deletes the objects that killed runs left behind.
///
/// # Errors
/// If one of them is not deleted in time.
pub async fn sweep(cluster: &Cluster) -> anyhow::Result<()> {
    let api = Api::<Namespace>::all(cluster.client());
    for namespace in api.list(&ListParams::default().labels(OWNER)).await? {
        if is_abandoned(&namespace.metadata) {
            remove(cluster, &namespace.name_any()).await?;
        }
    }
    Ok(())
}

/// Whether the process that created an object has exited.
#[must_use]
pub fn is_abandoned(object: &ObjectMeta) -> bool {
    let process = object.labels.as_ref().and_then(|labels| labels.get(OWNER)).map_or("", String::as_str);
    !std::fs::exists(format!("/proc/{process}")).unwrap_or(false)
}

async fn describe(client: &Client, namespace: &str) {
    show::<ComputingUnit>(client, namespace, |unit| json!(unit.status)).await;
    show::<Pod>(client, namespace, |pod| json!(pod.status)).await;
    show::<HTTPRoute>(client, namespace, |route| json!([route.spec.0.rules, route.status])).await;
    show::<Event>(client, namespace, |event| json!([event.reason, event.note])).await;
}

async fn show<K>(client: &Client, namespace: &str, part: impl Fn(&K) -> serde_json::Value)
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned,
{
    match Api::<K>::namespaced(client.clone(), namespace).list(&ListParams::default()).await {
        Ok(all) => {
            all.iter().for_each(|object| eprintln!("  {} {}: {}", K::kind(&()), object.name_any(), part(object)));
        }
        Err(error) => eprintln!("  {}: {error}", K::plural(&())),
    }
}
