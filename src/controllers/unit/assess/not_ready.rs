//! Why a pod is not Ready: its volumes, its node, or what its status says.
//!
//! Pure.

use computing_unit_api::Reason;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};

use super::pod_setup;
use crate::controllers::unit::{
    pod::{self, display_name},
    pod_events::Finding,
    snapshot::Snapshot,
};

/// Why the pod is not Ready.
pub fn not_ready(snapshot: &Snapshot, pod: &Pod) -> (Reason, String) {
    if let Some(unbound) = unbound_volume(snapshot, pod) {
        return unbound;
    }
    match pod_setup::finding(snapshot) {
        Some(Finding::Failure { reason, event, words }) => {
            (*reason, format!("{} cannot be set up ({event}): {words}", display_name(pod)))
        }
        Some(Finding::Unreadable(why)) => {
            let (reason, message) = pod::not_ready(pod);
            (reason, format!("{message}; the Events of the pod may say why, but cannot be listed: {why}"))
        }
        Some(Finding::Nothing) | None => pod::not_ready(pod),
    }
}

/// A PersistentVolumeClaim that keeps the pod from being scheduled.
fn unbound_volume(snapshot: &Snapshot, pod: &Pod) -> Option<(Reason, String)> {
    if pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()) {
        return None;
    }
    let why = pod::condition(pod, "PodScheduled").filter(|condition| condition.status == "False");
    let why = why.and_then(|condition| condition.message.as_deref());
    // With WaitForFirstConsumer the claim waits for a pod that cannot be scheduled for another reason.
    let of_volumes = |why: &str| ["volume", "storageclass"].iter().any(|word| why.to_lowercase().contains(word));
    if why.is_some_and(|why| !of_volumes(why)) {
        return None;
    }
    let claims = snapshot.pvcs.iter().filter_map(|(name, claim)| Some((name, claim.owned()?)));
    let waiting: Vec<String> = claims
        .filter_map(|(name, claim)| {
            let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
            (phase != "Bound").then(|| format!("PersistentVolumeClaim {name:?} is {phase} ({})", class(claim)))
        })
        .collect();
    if waiting.is_empty() {
        return None;
    }
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    Some((Reason::VolumePending, format!("{}{why}", waiting.join(", "))))
}

fn class(claim: &PersistentVolumeClaim) -> String {
    match claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref()) {
        None => "no storage class, and the cluster has no default".to_owned(),
        Some("") => "no storage class: a PersistentVolume has to be created for it".to_owned(),
        Some(class) => format!("storage class {class:?}"),
    }
}
