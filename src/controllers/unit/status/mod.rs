//! The status of a unit, as a function of its snapshot and assessment, and when it is worth a write.
//!
//! Pure. A step of the plan publishes it.

mod conditions;
pub mod events;
mod phase;
mod slot;
mod stages;
mod urgency;

use computing_unit_api::{Activity, ComputingUnitStatus, ExposedPort, PortStatus, VerifiedRoute, names::own_container};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

pub use self::urgency::{Urgency, urgency};
use super::{
    assess::{
        Assessment,
        state::{Transition, UnitState},
    },
    build::{Wanted, guard::is_guarded},
    snapshot::Snapshot,
};
use crate::routing::{
    self,
    keys::{Holder, RoutingKey},
};

/// What a status is computed from.
#[derive(Clone, Copy)]
struct Facts<'a> {
    snapshot: &'a Snapshot,
    wanted: &'a Wanted,
    assessment: &'a Assessment,
}

impl Facts<'_> {
    fn previous(&self) -> Option<&ComputingUnitStatus> {
        self.snapshot.unit.status.as_ref()
    }

    /// When the pod was created, which begins a start.
    fn started(&self) -> Option<Time> {
        self.snapshot.pod.owned()?.metadata.creation_timestamp.clone()
    }
}

/// The status of a unit.
pub fn status(snapshot: &Snapshot, wanted: &Wanted, assessment: &Assessment) -> ComputingUnitStatus {
    let facts = Facts { snapshot, wanted, assessment };
    let unit = &snapshot.unit;
    let conditions = conditions::all(facts);
    let stages = stages::stages(facts, &conditions);
    let rollout_slot = slot::keeps(facts, &stages);
    let pod = snapshot.pod.owned();
    let spec = pod.and_then(|pod| pod.spec.as_ref());
    let (url, key) = address(facts);
    let previous = facts.previous().map_or(&[][..], |previous| &previous.conditions);
    ComputingUnitStatus {
        observed_generation: unit.metadata.generation,
        phase: Some(phase::phase(facts, &conditions, &stages)),
        url,
        ports: ports(facts),
        key,
        held_key: held_key(facts).map(|key| key.to_string()),
        pod_name: pod.filter(|_| !pod_over(&assessment.state)).map(ResourceExt::name_any),
        node_name: spec.and_then(|spec| spec.node_name.clone()),
        image: pod.and_then(|pod| own_container(pod)?.image.clone()),
        start_time: facts.started(),
        stages,
        verified_route: verified_route(facts),
        activity: activity(facts),
        expires_at: assessment.expiry.map(|expiry| Time(expiry.at)),
        schedule: assessment.scheduling.times.clone(),
        last_failure: assessment.history.last_failure.clone(),
        restarts: assessment.history.restarts.clone(),
        rollout_slot,
        conditions: conditions
            .iter()
            .map(|draft| draft.dated(previous, unit.metadata.generation, snapshot.now))
            .collect(),
    }
}

/// Whether the pod has ended. Such a pod is not named any more: that is how the next reconcile knows that its end is
/// recorded.
fn pod_over(state: &UnitState) -> bool {
    match state {
        UnitState::Unrecorded(Transition::PodLost(_)) | UnitState::PodTerminated => true,
        UnitState::Unrecorded(Transition::Finished(finish)) | UnitState::Finished(finish) => {
            !finish.reason.is_time_limit()
        }
        UnitState::Running | UnitState::AwaitingRestart(_) | UnitState::Suspended | UnitState::Terminating => false,
    }
}

/// URL and key. A rejected unit keeps those that it had, unless another unit has the key.
fn address(facts: Facts<'_>) -> (Option<String>, Option<String>) {
    let Facts { snapshot, wanted, .. } = facts;
    if let Err(rejection) = wanted {
        let kept = facts.previous().filter(|_| !rejection.lost_key());
        return kept.map(|previous| (previous.url.clone(), previous.key.clone())).unwrap_or_default();
    }
    let Some(pool) = &snapshot.pool else { return (None, None) };
    let (routing, name, cuid) = (&pool.spec.routing, snapshot.unit.name_any(), snapshot.unit.spec.cuid);
    let origin = snapshot.gateway.as_ref().and_then(|binding| binding.origin.as_ref());
    let url = routing::address(routing, &name, cuid)
        .and_then(|address| routing::url(&address, routing.base_url.as_deref(), origin));
    (url, Some(routing::key(routing, &name, cuid)))
}

/// The URLs of the other ports. A rejected unit keeps those that it had, unless another unit has the key.
fn ports(facts: Facts<'_>) -> Vec<PortStatus> {
    let Facts { snapshot, wanted, .. } = facts;
    if let Err(rejection) = wanted {
        return facts
            .previous()
            .filter(|_| !rejection.lost_key())
            .map(|previous| previous.ports.clone())
            .unwrap_or_default();
    }
    let Some(pool) = &snapshot.pool else { return vec![] };
    let (routing, name) = (&pool.spec.routing, snapshot.unit.name_any());
    let origin = snapshot.gateway.as_ref().and_then(|binding| binding.origin.as_ref());
    let port = |port: &ExposedPort| {
        let address = routing::port_address(routing, &name, &port.name)?;
        let url = routing::url(&address, routing.base_url.as_deref(), origin)?;
        Some(PortStatus { name: port.name.clone(), url })
    };
    pool.spec.ports.iter().filter_map(port).collect()
}

/// The routing key that the unit holds. A unit that may be exposed keeps the one that it has been exposed with.
fn held_key(facts: Facts<'_>) -> Option<RoutingKey> {
    let Facts { snapshot, wanted, .. } = facts;
    let recorded = snapshot.held_key();
    if snapshot.terminating() || (recorded.is_some() && snapshot.may_be_exposed()) {
        return recorded;
    }
    let reservation =
        snapshot.key.as_ref().filter(|reservation| reservation.holder == Holder::Unit && wanted.is_ok())?;
    Some(reservation.key.clone())
}

/// The activity of the unit. A unit without a pod keeps the time of its last activity.
fn activity(facts: Facts<'_>) -> Option<Activity> {
    let Facts { snapshot, assessment, .. } = facts;
    if snapshot.pool.as_ref().is_some_and(|pool| pool.spec.lifecycle.idle_timeout.is_none()) {
        return None;
    }
    let previous = facts.previous().and_then(|previous| previous.activity.clone());
    if assessment.at_rest || snapshot.terminating() {
        return previous.map(|previous| Activity { idle_at: None, message: None, ..previous });
    }
    snapshot.activity.activity.clone().or(previous)
}

/// The state of the route that every proxy was seen to have, so that a restarted operator need not probe again.
fn verified_route(facts: Facts<'_>) -> Option<VerifiedRoute> {
    facts.snapshot.route.owned().filter(|route| !is_guarded(route))?;
    if facts.snapshot.probes_disabled() || !facts.assessment.verified {
        return None;
    }
    facts.snapshot.route_version()
}
