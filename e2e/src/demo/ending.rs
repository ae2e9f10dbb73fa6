//! The order of steps when a unit is deleted, as observed by a client and by watches: requests stop reaching the unit
//! before its pod is terminated.

use std::time::Duration;

use anyhow::{Context, ensure};
use computing_unit_api::{ComputingUnit, gateway::HTTPRoute};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::DeleteParams};
use tokio::{task::JoinSet, time::Instant};

use super::show::ResolvedUrl;
use crate::{
    attach::Cluster,
    traffic::Connection,
    wait::{eventually, until},
};

/// The deadline for each step.
const SOON: Duration = Duration::from_mins(1);

/// An observed step, and its time since the deletion request.
#[derive(Clone, Debug)]
pub struct Step {
    /// The description.
    pub what: &'static str,
    /// The time since the deletion request.
    pub after: Duration,
}

const MISSED: &str = "requests get 404: the route is removed from every proxy";
const STOPPED: &str = "the pod is terminating";

/// Deletes a unit and returns the observed steps in order.
///
/// # Errors
/// If the unit is not deleted in time, or its pod is terminated while requests still reach the unit.
pub async fn watch(cluster: &Cluster, unit: &ComputingUnit, url: &ResolvedUrl) -> anyhow::Result<Vec<Step>> {
    let (namespace, name) = (unit.namespace().unwrap_or_default(), unit.name_any());
    let units = Api::<ComputingUnit>::namespaced(cluster.client(), &namespace);
    let pods = Api::<Pod>::namespaced(cluster.client(), &namespace);
    let routes = Api::<HTTPRoute>::namespaced(cluster.client(), &namespace);
    let mut steps = JoinSet::new();
    let at = |what, instant: Instant| anyhow::Ok((what, instant));
    {
        let (pods, name) = (pods.clone(), name.clone());
        steps.spawn(async move {
            let leaving = |pod: Option<&Pod>| pod.is_none_or(|pod| pod.metadata.deletion_timestamp.is_some());
            until("deletion", SOON, pods, &name, leaving).await?;
            at(STOPPED, Instant::now())
        });
    }
    {
        let (units, name) = (units.clone(), name.clone());
        steps.spawn(async move {
            until("deletion", SOON, units, &name, |unit| unit.is_none()).await?;
            at("the unit is gone", Instant::now())
        });
    }
    {
        let (routes, name) = (routes, name.clone());
        steps.spawn(async move {
            until("deletion", SOON, routes, &name, |route| route.is_none()).await?;
            at("the HTTPRoute is gone", Instant::now())
        });
    }
    {
        let name = name.clone();
        steps.spawn(async move {
            until("deletion", SOON, pods, &name, |pod| pod.is_none()).await?;
            at("the pod is gone", Instant::now())
        });
    }
    let url = url.clone();
    steps.spawn(async move {
        let target = url.target()?;
        eventually("404", SOON, || async {
            let answer = Connection::open(url.address).await?.send(&target).await?;
            ensure!(!answer.status.is_server_error(), "the gateway answered {}", answer.status);
            Ok((answer.status == 404).then_some(()))
        })
        .await?;
        at(MISSED, Instant::now())
    });
    let asked = Instant::now();
    units.delete(&name, &DeleteParams::default()).await?;
    let mut seen = vec![];
    while let Some(step) = steps.join_next().await {
        let (what, instant) = step.context("a watch of the unit's end")??;
        seen.push(Step { what, after: instant.saturating_duration_since(asked) });
    }
    seen.sort_by_key(|step| step.after);
    let when = |what| seen.iter().position(|step| step.what == what);
    ensure!(when(MISSED) < when(STOPPED), "the pod was terminated while requests still reached the unit: {seen:?}");
    Ok(seen)
}
