//! A simulated node: pods that are bound to it become Ready with the address of another server, so that a cluster can
//! have more pods than the machine can run. It acts as the kubelet. The scheduler does not bind pods to it.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::{
    api::{
        coordination::v1::{Lease, LeaseSpec},
        core::v1::{Node, NodeSpec, Pod, Taint},
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
    runtime::watcher::{self, Event},
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    attach::Cluster,
    namespace::{OWNER, is_abandoned},
    plain::is_ready,
};

/// The heartbeat interval. The node controller tolerates 40 s without a heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// The taint that repels pods other than those created with `spec.nodeName`.
const TAINT: &str = "e2e.texera.apache.org/simulated";
/// The namespace of the Leases of nodes.
const LEASES: &str = "kube-node-lease";
/// How many pods are changed at a time.
const CONCURRENCY: usize = 8;
/// The capacity for pods.
const ROOM: &str = "100000";

/// A simulated node. On drop, its tasks are stopped, but the node and its pods remain.
pub struct Simulated {
    client: Client,
    name: String,
    _playing: JoinSet<anyhow::Result<()>>,
}

impl Simulated {
    /// Creates the node. Pods that are bound to it become ready immediately, with the IP address `address`.
    ///
    /// # Errors
    /// If the API server rejects it.
    pub async fn join(cluster: &Cluster, name: &str, address: &str) -> anyhow::Result<Self> {
        let (client, name) = (cluster.client(), name.to_owned());
        let nodes = Api::<Node>::all(client.clone());
        let made = nodes.create(&PostParams::default(), &node(&name)).await?;
        nodes.patch_status(&name, &PatchParams::default(), &Patch::Merge(healthy(address))).await?;
        let mut playing = JoinSet::new();
        playing.spawn(beat(Api::namespaced(client.clone(), LEASES), made));
        playing.spawn(run(client.clone(), name.clone(), address.to_owned()));
        Ok(Self { client, name, _playing: playing })
    }

    /// The name of the node, for `spec.nodeName` of pods.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Deletes the node and all pods that are bound to it.
    ///
    /// # Errors
    /// If one is not deleted in time.
    pub async fn leave(self) -> anyhow::Result<()> {
        remove(&self.client, &self.name).await
    }
}

/// Deletes the nodes that killed runs left behind.
///
/// # Errors
/// If one is not deleted in time.
pub async fn sweep(cluster: &Cluster) -> anyhow::Result<()> {
    let client = cluster.client();
    let nodes = Api::<Node>::all(client.clone()).list_metadata(&ListParams::default().labels(OWNER)).await?;
    for node in nodes.items.iter().filter(|node| is_abandoned(&node.metadata)) {
        remove(&client, &node.name_any()).await?;
    }
    Ok(())
}

/// Deletes the pods of the node, because no kubelet does.
async fn remove(client: &Client, name: &str) -> anyhow::Result<()> {
    let all = Api::<Pod>::all(client.clone());
    let bound = all.list_metadata(&ListParams::default().fields(&format!("spec.nodeName={name}"))).await?;
    let end = |pod: ObjectMeta| {
        let api = Api::<Pod>::namespaced(client.clone(), pod.namespace.as_deref().unwrap_or_default());
        async move { end(&api, &pod.name.unwrap_or_default()).await }
    };
    let pods = bound.items.into_iter().map(|pod| pod.metadata);
    stream::iter(pods).map(end).buffer_unordered(16).try_collect::<Vec<_>>().await?;
    let node = Api::<Node>::all(client.clone()).delete(name, &DeleteParams::default()).await;
    unless_gone(node).with_context(|| format!("delete node {name}"))
}

async fn end(pods: &Api<Pod>, name: &str) -> anyhow::Result<()> {
    unless_gone(pods.delete(name, &DeleteParams::default().grace_period(0)).await)
        .with_context(|| format!("delete pod {name}"))
}

fn unless_gone<T>(answer: kube::Result<T>) -> kube::Result<()> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        answer => answer.map(drop),
    }
}

fn node(name: &str) -> Node {
    let owner = BTreeMap::from([(OWNER.to_owned(), std::process::id().to_string())]);
    let taint = Taint { key: TAINT.to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
    Node {
        metadata: ObjectMeta { name: Some(name.to_owned()), labels: Some(owner), ..ObjectMeta::default() },
        spec: Some(NodeSpec { taints: Some(vec![taint]), ..NodeSpec::default() }),
        status: None,
    }
}

fn healthy(address: &str) -> Value {
    let room = json!({"cpu": ROOM, "memory": format!("{ROOM}Gi"), "pods": ROOM});
    let now = Timestamp::now().to_string();
    json!({"status": {
        "addresses": [{"type": "InternalIP", "address": address}],
        "capacity": room, "allocatable": room,
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "Simulated", "message": "there is no machine",
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        }],
    }})
}

/// Renews the Lease of the node, which the node owns.
async fn beat(leases: Api<Lease>, node: Node) -> anyhow::Result<()> {
    let name = node.name_any();
    let mut ticks = interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                owner_references: node.owner_ref(&()).map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(name.clone()),
                lease_duration_seconds: Some(40),
                renew_time: Some(MicroTime(Timestamp::now())),
                ..LeaseSpec::default()
            }),
        };
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": lease.metadata, "spec": lease.spec,
        });
        let renewed = leases.patch(&name, &PatchParams::apply("e2e").force(), &Patch::Apply(&lease)).await;
        if let Err(error) = renewed {
            eprintln!("{name}: cannot renew the Lease: {error}");
        }
    }
}

/// Acts as the kubelet: sets the status of pods to running, and completes their deletion.
async fn run(client: Client, name: String, address: String) -> anyhow::Result<()> {
    let all = Api::<Pod>::all(client.clone());
    let bound = watcher::Config::default().fields(&format!("spec.nodeName={name}"));
    let events = watcher::watcher(all, bound);
    let play = async |event: watcher::Result<Event<Pod>>| {
        let Ok(Event::Apply(pod) | Event::InitApply(pod)) = event else { return };
        let pods = Api::<Pod>::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
        let done = if pod.metadata.deletion_timestamp.is_some() {
            end(&pods, &pod.name_any()).await
        } else if is_ready(&pod) {
            Ok(())
        } else {
            let status = Patch::Strategic(running(&pod, &address));
            let patched = pods.patch_status(&pod.name_any(), &PatchParams::default(), &status).await;
            unless_gone(patched).context("patch its status")
        };
        if let Err(error) = done {
            eprintln!("{name}: pod {}: {error:#}", pod.name_any());
        }
    };
    // A kubelet starts pods at the same time, too. A pod that is deleted before it is running does not return.
    events.for_each_concurrent(CONCURRENCY, play).await;
    Ok(())
}

fn running(pod: &Pod, address: &str) -> Value {
    let now = Timestamp::now().to_string();
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
        .map(|type_| json!({"type": type_, "status": "True", "lastTransitionTime": now}));
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers).map(|container| {
        json!({
            "name": container.name, "image": container.image, "imageID": "",
            "ready": true, "started": true, "restartCount": 0, "resources": container.resources,
            "state": {"running": {"startedAt": now}},
        })
    });
    json!({"status": {
        "phase": "Running", "startTime": now, "conditions": conditions,
        "podIP": address, "podIPs": [{"ip": address}],
        "containerStatuses": containers.collect::<Vec<_>>(),
    }})
}
