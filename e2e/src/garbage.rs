//! The garbage collector of the cluster, which discovers new kinds with a delay. Until then, children of deleted units
//! remain.

use std::time::Duration;

use anyhow::Context;
use computing_unit_api::ComputingUnitPool;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Resource,
    api::{DeleteParams, ObjectMeta, PostParams},
};

use crate::{
    attach::Cluster,
    gateway,
    units::{self, Mode},
    wait::until,
};

/// The garbage collector discovers new kinds every 30 s.
const DEADLINE: Duration = Duration::from_mins(2);

/// Waits until the garbage collector deletes the child of an object of this project. Only on the local cluster, because
/// it creates objects in the namespace of the shared Gateway.
///
/// # Errors
/// If it does not in time.
pub async fn until_collected(cluster: &Cluster) -> anyhow::Result<()> {
    if !gateway::is_ours(cluster).await? {
        return Ok(());
    }
    let (client, namespace) = (cluster.client(), cluster.gateway().namespace.clone());
    let name = format!("e2e-garbage-{}", std::process::id());
    let pools = Api::<ComputingUnitPool>::namespaced(client.clone(), &namespace);
    let mut pool = units::pool(&namespace, cluster.gateway(), Mode::Query);
    pool.metadata.name = Some(name.clone());
    let owner = pools.create(&PostParams::default(), &pool).await?.controller_owner_ref(&()).context("no UID")?;
    let children = Api::<ConfigMap>::namespaced(client, &namespace);
    let metadata =
        ObjectMeta { name: Some(name.clone()), owner_references: Some(vec![owner]), ..ObjectMeta::default() };
    children.create(&PostParams::default(), &ConfigMap { metadata, ..ConfigMap::default() }).await?;
    pools.delete(&name, &DeleteParams::default()).await?;
    until("garbage collection", DEADLINE, children, &name, |child| child.is_none()).await.map(drop)
}
