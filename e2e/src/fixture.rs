//! The fixture of a test: its own namespace, and its own operator behind a proxy for the API server, which counts the
//! operator's calls and injects faults. A test shares the cluster with others, or has exclusive use of it.

use std::{future::Future, path::PathBuf, time::Duration};

use anyhow::Context;
use computing_unit_api::{ComputingUnit, ComputingUnitPool, Phase, gateway::HTTPRoute};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service};
use kube::{
    Api,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::sync::{OnceCell, RwLock};

use crate::{
    attach::Cluster,
    faults::{ApiProxy, Operator, OperatorProcess},
    garbage, gateway,
    kubelet::Kubelet,
    namespace,
    rights::{self, Namespaces},
    simulated, timings,
    traffic::Hammer,
    units::{self, Mode},
    wait::until,
};

/// The deadline for operations that take a second on an idle machine.
pub const SOON: Duration = Duration::from_mins(1);

/// Whether this process has prepared the cluster.
static PREPARED: OnceCell<()> = OnceCell::const_new();
/// Held by every running test: shared by parallel tests, exclusive by a test that has exclusive use of the cluster.
static CLUSTER: RwLock<()> = RwLock::const_new(());

/// The fixture of one test.
pub struct Fixture {
    /// The cluster.
    pub cluster: Cluster,
    /// The test's namespace.
    pub namespace: String,
    /// The proxy between the operator and the API server.
    pub proxy: ApiProxy,
    /// The command line of the operator.
    pub operator: Operator,
}

/// Runs a test in its own namespace, in parallel with other tests. The test starts the operator: see
/// [`Fixture::start`].
///
/// # Errors
/// Those of the test.
pub async fn with_fixture<F, T>(name: &str, test: impl FnOnce(Fixture) -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let _shared = CLUSTER.read().await;
    Box::pin(timings::measured(name, run(name, test))).await
}

/// Same as [`with_fixture`], while no other test runs.
///
/// # Errors
/// Those of the test.
pub async fn with_fixture_alone<F, T>(name: &str, test: impl FnOnce(Fixture) -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let _alone = CLUSTER.write().await;
    Box::pin(timings::measured(name, run(name, test))).await
}

async fn run<F, T>(name: &str, test: impl FnOnce(Fixture) -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let cluster = Cluster::attach().await?;
    PREPARED.get_or_try_init(|| Box::pin(prepare(&cluster))).await?;
    namespace::within(&cluster.clone(), name, |namespace| async move {
        let namespaces = Namespaces { units: &[namespace.as_str()], gateways: &[cluster.gateway().namespace.as_str()] };
        rights::grant(&cluster, &namespace, namespaces).await?;
        let proxy = ApiProxy::start(rights::config(&cluster, &namespace)).await?;
        let log = log(&namespace)?;
        let operator = Operator::new(proxy.kubeconfig(), &log)
            .watch(&[&namespace])
            .gateways(&[&cluster.gateway().namespace])
            .leader(None)
            .args(["--log=computing_unit_operator=debug,info"]);
        let fixture = Fixture { cluster, namespace, proxy, operator };
        // The futures of tests are large, and the thread of a test has a small stack.
        Box::pin(test(fixture)).await.with_context(|| format!("log: {}", log.display()))
    })
    .await
}

async fn prepare(cluster: &Cluster) -> anyhow::Result<()> {
    if let Some(kubelet) = Kubelet::of(cluster).await? {
        kubelet.resume()?;
    }
    cluster.install_definitions().await?;
    gateway::restore(cluster).await?;
    // Pods that no kubelet terminates would block the deletion of their namespaces.
    simulated::sweep(cluster).await?;
    namespace::sweep(cluster).await?;
    garbage::until_collected(cluster).await
}

fn log(namespace: &str) -> anyhow::Result<PathBuf> {
    let folder = std::env::temp_dir().join("computing-unit-operator-e2e");
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{namespace}.log")))
}

impl Fixture {
    /// Also grants the operator the chart's rights for other namespaces.
    ///
    /// # Errors
    /// If the rights do not take effect in time.
    pub async fn grant(&self, namespaces: Namespaces<'_>) -> anyhow::Result<()> {
        rights::grant(&self.cluster, &self.namespace, namespaces).await
    }

    /// Starts the operator and waits until its caches are filled.
    ///
    /// # Errors
    /// If it does not become ready. The error contains the end of its log.
    pub async fn start(&self) -> anyhow::Result<OperatorProcess> {
        let mut process = self.operator.start()?;
        process.ready(SOON).await?;
        Ok(process)
    }

    /// The units of the namespace.
    #[must_use]
    pub fn units(&self) -> Api<ComputingUnit> {
        Api::namespaced(self.cluster.client(), &self.namespace)
    }

    /// The pools of the namespace.
    #[must_use]
    pub fn pools(&self) -> Api<ComputingUnitPool> {
        Api::namespaced(self.cluster.client(), &self.namespace)
    }

    /// The pods of the namespace.
    #[must_use]
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.cluster.client(), &self.namespace)
    }

    /// The `PersistentVolumeClaims` of the namespace.
    #[must_use]
    pub fn claims(&self) -> Api<PersistentVolumeClaim> {
        Api::namespaced(self.cluster.client(), &self.namespace)
    }

    /// The Services of the namespace.
    #[must_use]
    pub fn services(&self) -> Api<Service> {
        Api::namespaced(self.cluster.client(), &self.namespace)
    }

    /// The routes of the namespace.
    #[must_use]
    pub fn routes(&self) -> Api<HTTPRoute> {
        Api::namespaced(self.cluster.client(), &self.namespace)
    }

    /// The manifest of a pool named `default`.
    #[must_use]
    pub fn pool(&self, mode: Mode) -> ComputingUnitPool {
        units::pool(&self.namespace, self.cluster.gateway(), mode)
    }

    /// Creates the pool named `default`.
    ///
    /// # Errors
    /// If the API server rejects it.
    pub async fn create_default_pool(&self, mode: Mode) -> anyhow::Result<()> {
        self.create_pool(&self.pool(mode)).await.map(drop)
    }

    /// Creates the pool named `default` in Query mode, with `spec` merged into its spec.
    ///
    /// # Errors
    /// If the API server rejects it.
    pub async fn create_pool_with(&self, spec: &Value) -> anyhow::Result<()> {
        self.create_pool(&units::with(&self.pool(Mode::Query), &json!({"spec": spec}))).await.map(drop)
    }

    /// Creates a pool.
    ///
    /// # Errors
    /// If the API server rejects it.
    pub async fn create_pool(&self, pool: &ComputingUnitPool) -> anyhow::Result<ComputingUnitPool> {
        Ok(self.pools().create(&PostParams::default(), pool).await?)
    }

    /// Merges `spec` into the spec of the pool named `default`.
    ///
    /// # Errors
    /// If the API server rejects it.
    pub async fn edit_pool(&self, spec: Value) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.pools().patch("default", &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Changes the pod template of the pool named `default`.
    ///
    /// # Errors
    /// If the API server rejects it.
    pub async fn edit_template(&self, change: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
        let mut template = serde_json::to_value(self.pools().get("default").await?.spec.template)?;
        change(&mut template);
        self.edit_pool(json!({"template": template})).await
    }

    /// A load of requests for a unit, through every proxy.
    ///
    /// # Errors
    /// If the proxies cannot be found.
    pub async fn load(&self, mode: Mode, unit: &ComputingUnit) -> anyhow::Result<Hammer> {
        Ok(Hammer::new(&self.cluster.proxies().await?, units::target(mode, unit)?))
    }

    /// Creates a unit.
    ///
    /// # Errors
    /// If the API server rejects it.
    pub async fn create(&self, unit: &ComputingUnit) -> anyhow::Result<ComputingUnit> {
        Ok(self.units().create(&PostParams::default(), unit).await?)
    }

    /// Creates an empty Secret.
    ///
    /// # Errors
    /// If the API server rejects it.
    pub async fn create_secret(&self, name: &str) -> anyhow::Result<()> {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let secrets = Api::<Secret>::namespaced(self.cluster.client(), &self.namespace);
        secrets.create(&PostParams::default(), &Secret { metadata, ..Secret::default() }).await?;
        Ok(())
    }

    /// Merges `spec` into the spec of a unit.
    ///
    /// # Errors
    /// If the API server rejects it.
    pub async fn edit(&self, name: &str, spec: Value) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.units().patch(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Sets the operating mode of a unit to `Running` or `Suspended`.
    ///
    /// # Errors
    /// If the API server rejects it.
    pub async fn set_mode(&self, name: &str, mode: &str) -> anyhow::Result<()> {
        self.edit(name, json!({"operatingMode": mode})).await
    }

    /// The manifest of a unit in this namespace. Its `cuid` is unique.
    #[must_use]
    pub fn unit(&self, name: &str) -> ComputingUnit {
        units::unit(&self.namespace, name, number(&self.namespace, name))
    }

    /// Waits until a unit is in a phase.
    ///
    /// # Errors
    /// If it does not reach it in time.
    pub async fn until(&self, name: &str, phase: Phase) -> anyhow::Result<ComputingUnit> {
        let so = |unit: Option<&ComputingUnit>| units::phase(unit) == Some(phase);
        until(phase.as_str(), SOON, self.units(), name, so).await?.context("no such unit")
    }

    /// Waits until a condition of a unit has this status and reason. Returns its message.
    ///
    /// # Errors
    /// If it does not in time.
    pub async fn until_condition(&self, name: &str, type_: &str, status: &str, reason: &str) -> anyhow::Result<String> {
        let so =
            |unit: Option<&ComputingUnit>| units::condition(unit, type_, status).is_some_and(|(why, _)| why == reason);
        let unit = until(&format!("{type_}={status}/{reason}"), SOON, self.units(), name, so).await?;
        Ok(units::condition(unit.as_ref(), type_, status).unwrap_or_default().1)
    }

    /// Deletes a unit and waits until it is gone.
    ///
    /// # Errors
    /// If it is not deleted in time.
    pub async fn delete(&self, name: &str) -> anyhow::Result<()> {
        self.units().delete(name, &DeleteParams::default()).await?;
        self.until_gone(name).await
    }

    /// Waits until a unit is gone.
    ///
    /// # Errors
    /// If it is not deleted in time.
    pub async fn until_gone(&self, name: &str) -> anyhow::Result<()> {
        until("deletion", SOON, self.units(), name, |unit| unit.is_none()).await.map(drop)
    }

    /// Waits until a unit and all its children are gone.
    ///
    /// # Errors
    /// If one of them is not deleted in time.
    pub async fn until_nothing_is_left(&self, name: &str) -> anyhow::Result<()> {
        self.until_gone(name).await?;
        until("deletion of the route", SOON, self.routes(), name, |route| route.is_none()).await?;
        until("deletion of the pod", SOON, self.pods(), name, |pod| pod.is_none()).await?;
        until("deletion of the Service", SOON, self.services(), name, |service| service.is_none()).await?;
        Ok(())
    }
}

/// A `cuid` that no other test uses, because routing keys are unique on a Gateway.
fn number(namespace: &str, name: &str) -> i64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (namespace, name).hash(&mut hasher);
    i64::from(u32::try_from(hasher.finish() >> 33).unwrap_or(1)) + 1
}
