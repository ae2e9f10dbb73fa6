//! Amounts of CPU and memory that admission changed when the pod was created.
//!
//! Pure. They stay: the cluster's administrator wants them. The pod's annotation has the amounts that were sent, and its
//! generation tells that nothing has changed them since.

use computing_unit_api::names::SENT_AMOUNTS;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::api::resource::Quantity as Amount};
use kube::ResourceExt;
use serde_json::Value;

use super::amounts::{amount, running_container, same, unit_container};
use crate::controllers::unit::{
    build::{Children, pod::AMOUNTS},
    pod::terminated,
    snapshot::Snapshot,
};

/// Whether the running pod was created with that wanted amount, and is as admission made it.
pub(super) fn sent(pod: &Pod, list: &str, name: &str, wanted: &Amount) -> bool {
    // The API server counts the changes of a pod's spec from 1. A resize is one.
    let untouched = pod.metadata.generation == Some(1);
    let sent = pod.annotations().get(SENT_AMOUNTS).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let sent = sent.and_then(|sent| Some(Amount(sent[list][name].as_str()?.to_owned())));
    untouched && sent.is_some_and(|sent| same(&sent, wanted))
}

/// What admission changed: `requests.cpu is 20m instead of 100m`.
pub fn changes(snapshot: &Snapshot, children: &Children) -> Vec<String> {
    let Some(pod) = snapshot.pod.owned().filter(|pod| !terminated(pod)) else { return vec![] };
    let (Some(has), Some(should)) = (running_container(pod, children), unit_container(children)) else {
        return vec![];
    };
    let (Some(has), Some(should)) = (&has.resources, &should.resources) else { return vec![] };
    let lists = AMOUNTS.into_iter().flat_map(|name| [("limits", name), ("requests", name)]);
    lists
        .filter_map(|(list, name)| {
            let (has, wanted) = amount(has, list, name).zip(amount(should, list, name))?;
            let changed = !same(has, wanted) && sent(pod, list, name, wanted);
            changed.then(|| format!("{list}.{name} is {} instead of {}", has.0, wanted.0))
        })
        .collect()
}
