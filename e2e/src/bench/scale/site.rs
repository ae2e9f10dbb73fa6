//! What a run works with: a namespace, a simulated node, an operator, and what is watched of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use computing_unit_api::{ComputingUnit, gateway::HTTPRoute};
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    account,
    asking::Asker,
    audit::{BENCH, NODE},
    keeper::{Keeper, READY},
    life::Lives,
    plan::Plan,
    tail::AuditLog,
    watches,
};
use crate::{
    cluster::{audit, control, layout::Layout, node, process::Processes},
    faults::Operator,
    fixture::Fixture,
    gateway, namespace,
    plain::Plain,
    proxies,
    simulated::Simulated,
    units,
};

/// The programs of pods that are measured.
const PROGRAMS: [&str; 3] = ["envoy-gateway", "envoy", "coredns"];

/// What a run works with.
pub struct Site {
    /// The options.
    pub plan: Plan,
    /// The namespace and the cluster.
    pub fixture: Fixture,
    /// The local cluster, if it is one.
    pub layout: Option<Layout>,
    /// The times of the units.
    pub lives: Lives,
    /// The API calls.
    pub audit: AuditLog,
    /// The operator.
    pub operator: Keeper,
    /// Changes to the pool.
    pool: serde_json::Value,
    node: Simulated,
    next: AtomicUsize,
    _kubeconfig: NamedTempFile,
    _tasks: JoinSet<()>,
}

impl Site {
    /// Starts a node and an operator, and creates the pool, with `probes` or without.
    ///
    /// # Errors
    /// If one of them does not become ready.
    pub async fn open(mut fixture: Fixture, plan: &Plan, probes: bool) -> anyhow::Result<Self> {
        let engine = Plain::new(&fixture, "engine");
        engine.make_pod().await?;
        engine.until_ready().await?;
        let address = fixture.pods().get("engine").await?.status.and_then(|status| status.pod_ip);
        let nodes = fixture.cluster.clone().with_user_agent(NODE)?;
        fixture.cluster = fixture.cluster.with_user_agent(BENCH)?;
        let layout = layout(&fixture).await?;
        let log = match &layout {
            Some(layout) if audit::is_on(layout)? => Some(audit::log(layout)?),
            _ => None,
        };
        if log.is_none() {
            eprintln!("the cluster has no audit log: no API calls are counted (see `cu-cluster up --audit`)");
        }
        let audit = AuditLog::follow(log.as_deref()).await?;
        let kubeconfig = account::kubeconfig(&fixture.cluster, &fixture.namespace).await?;
        let node = Simulated::join(&nodes, &fixture.namespace, &address.context("the engine has no address")?).await?;
        let mode = if probes { "Enabled" } else { "Disabled" };
        let pool = json!({"spec": {"template": {"spec": {"nodeName": node.name()}}, "probe": {"mode": mode}}});
        fixture.create_pool(&units::with(&fixture.pool(plan.mode.mode()), &pool)).await?;

        let path = if plan.through_proxy { fixture.proxy.kubeconfig() } else { kubeconfig.path() };
        let log = std::env::temp_dir().join(format!("{}.log", fixture.namespace));
        let mut operator = Operator::new(path, &log)
            .watch(&[&fixture.namespace])
            .gateways(&[&fixture.cluster.gateway().namespace])
            .leader(Some((&fixture.namespace, "bench")))
            .args([format!("--log={}", plan.operator_log)])
            .start()?;
        operator.ready(READY).await?;

        let lives = Lives::default();
        let (opened, open) = mpsc::unbounded_channel();
        let mut tasks = watches::start(&fixture.cluster.client(), &fixture.namespace, &lives, opened);
        let proxy = *fixture.cluster.proxies().await?.first().context("no proxy")?;
        tasks.spawn(Asker::new(proxy, plan.mode.mode(), &fixture.namespace, &lives).run(open));
        Ok(Self {
            plan: plan.clone(),
            layout,
            lives,
            audit,
            pool,
            operator: Keeper::keep(operator),
            node,
            next: AtomicUsize::new(0),
            _kubeconfig: kubeconfig,
            _tasks: tasks,
            fixture,
        })
    }

    /// Names that were not used before.
    pub fn names(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| format!("unit-{}", self.next.fetch_add(1, Ordering::Relaxed))).collect()
    }

    /// A pool with another name and another prefix of paths.
    #[must_use]
    pub fn another_pool(&self, number: usize) -> computing_unit_api::ComputingUnitPool {
        let pool = units::with(&self.fixture.pool(units::Mode::Path), &self.pool);
        let prefix = format!("/{}-{number}", self.fixture.namespace);
        let own = json!({
            "metadata": {"name": format!("pool-{number}")},
            "spec": {"routing": {"path": {"prefix": prefix}}},
        });
        units::with(&pool, &own)
    }

    /// The processes to measure, with the names of their components.
    ///
    /// # Errors
    /// If the API server cannot be read.
    pub async fn processes(&self) -> anyhow::Result<Vec<(&'static str, i32)>> {
        let mut all = vec![("bench and simulated node", i32::try_from(std::process::id())?)];
        all.extend(self.operator.pid().await.map(|id| ("operator", id)));
        let Some(layout) = &self.layout else { return Ok(all) };
        let processes = Processes::of(layout)?;
        let named = control::NAMES.iter().chain(&node::NAMES).filter_map(|name| Some((*name, processes.pid(name)?)));
        all.extend(named);
        for namespace in [self.fixture.cluster.gateway().namespace.as_str(), "kube-system"] {
            let pods = Api::<Pod>::namespaced(self.fixture.cluster.client(), namespace);
            for pod in pods.list_metadata(&ListParams::default()).await? {
                for process in proxies::processes(&pod.uid().unwrap_or_default())? {
                    let comm = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
                    let program = PROGRAMS.into_iter().find(|program| *program == comm.trim());
                    all.extend(program.map(|program| anyhow::Ok((program, proxies::pid(&process)?))).transpose()?);
                }
            }
        }
        Ok(all)
    }

    /// Kills the operator, and deletes all units and their children without it.
    ///
    /// # Errors
    /// If the API server rejects a deletion.
    pub async fn close(self) -> anyhow::Result<()> {
        self.operator.kill().await?;
        let units = self.fixture.units();
        let names = units.list_metadata(&ListParams::default()).await?.items;
        namespace::remove_finalizers(&units, names.iter().map(ResourceExt::name_any)).await?;
        let (client, namespace) = (self.fixture.cluster.client(), &self.fixture.namespace);
        let all = (DeleteParams::default(), ListParams::default());
        Api::<ComputingUnit>::namespaced(client.clone(), namespace).delete_collection(&all.0, &all.1).await?;
        Api::<HTTPRoute>::namespaced(client.clone(), namespace).delete_collection(&all.0, &all.1).await?;
        Api::<Service>::namespaced(client, namespace).delete_collection(&all.0, &all.1).await?;
        self.node.leave().await
    }
}

/// The local cluster of a fixture.
async fn layout(fixture: &Fixture) -> anyhow::Result<Option<Layout>> {
    if !gateway::is_ours(&fixture.cluster).await? {
        return Ok(None);
    }
    let nodes = Api::<Node>::all(fixture.cluster.client()).list_metadata(&ListParams::default()).await?;
    for node in nodes {
        if let Some(layout) = Layout::of_node(&node.name_any())? {
            return Ok(Some(layout));
        }
    }
    Ok(None)
}
