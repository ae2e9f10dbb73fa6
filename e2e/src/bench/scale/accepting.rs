//! A stand-in for the gateway's controller: accepts each generation of each route at once, as one request, and programs no
//! proxy.

use std::pin::pin;

use computing_unit_api::gateway::HTTPRoute;
use futures::StreamExt;
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    runtime::watcher::{Config, Event, watcher},
};
use serde_json::{Value, json};

use super::audit::CONTROLLER;
use crate::{attach::Cluster, fixture::Fixture};

/// How many routes are accepted at a time.
const CONCURRENCY: usize = 8;

/// Accepts the routes of a namespace until it is dropped.
///
/// # Errors
/// If the API server rejects the client.
pub fn accept(fixture: &Fixture, cluster: &Cluster) -> anyhow::Result<impl Future<Output = ()> + Send + use<>> {
    let routes =
        Api::<HTTPRoute>::namespaced(cluster.clone().with_user_agent(CONTROLLER)?.client(), &fixture.namespace);
    Ok(async move {
        let accept = async |event| {
            let Ok(Event::Apply(route) | Event::InitApply(route)) = event else { return };
            if accepted(&route) {
                return;
            }
            let patch = Patch::Merge(status(&route));
            if let Err(error) = routes.patch_status(&route.name_any(), &PatchParams::default(), &patch).await
                && !matches!(&error, kube::Error::Api(status) if status.code == 404)
            {
                eprintln!("{}: {error}", route.name_any());
            }
        };
        pin!(watcher(routes.clone(), Config::default()).for_each_concurrent(CONCURRENCY, accept)).await;
    })
}

/// Whether the status is that of the current generation.
fn accepted(route: &HTTPRoute) -> bool {
    let parents = route.status.iter().flat_map(|status| &status.parents);
    let mut conditions = parents.flat_map(|parent| &parent.conditions);
    conditions.any(|condition| condition.observed_generation == route.metadata.generation)
}

fn status(route: &HTTPRoute) -> Value {
    let condition = |type_: &str| {
        json!({
            "type": type_, "status": "True", "reason": type_, "message": "",
            "observedGeneration": route.metadata.generation, "lastTransitionTime": Timestamp::now(),
        })
    };
    let parents = route.spec.parent_refs.iter().flatten().map(|parent| {
        json!({
            "controllerName": "gateway.envoyproxy.io/gatewayclass-controller",
            "parentRef": parent,
            "conditions": [condition("Accepted"), condition("ResolvedRefs")],
        })
    });
    json!({"status": {"parents": parents.collect::<Vec<_>>()}})
}
