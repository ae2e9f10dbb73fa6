//! When the Events of a pod are listed because its containers are not created. A normal start needs no list.
//!
//! Pure.

use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;

use super::state::UnitState;
use crate::controllers::unit::{
    pod,
    pod_events::{Finding, PodEvents},
    snapshot::Snapshot,
};

/// How long a node may take to create the containers before the Events are listed.
const GRACE: SignedDuration = SignedDuration::from_secs(5);

/// In how long the Events of the pod are to be listed. Zero is now, `None` never.
pub fn events_in(snapshot: &Snapshot, state: &UnitState) -> Option<Duration> {
    let pod = snapshot.pod.owned().filter(|_| *state == UnitState::Running)?;
    let since = pod::set_up_since(pod)?;
    let due = since.checked_add(GRACE).ok()?;
    let first = Duration::try_from(due.duration_since(snapshot.now)).unwrap_or_default();
    Some(known(snapshot).map_or(first, |known| known.next_in))
}

/// What the Events of the pod say, while its node sets it up.
pub fn finding(snapshot: &Snapshot) -> Option<&Finding> {
    pod::set_up_since(snapshot.pod.owned()?)?;
    known(snapshot).map(|known| &known.finding)
}

fn known(snapshot: &Snapshot) -> Option<&PodEvents> {
    let uid = snapshot.pod.owned()?.uid()?;
    snapshot.pod_events.as_ref().filter(|known| known.pod == uid)
}
