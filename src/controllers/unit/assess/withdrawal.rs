//! Where the withdrawal of a route stands: a route is guarded at every proxy before the pod behind it is stopped.
//!
//! Pure.

use computing_unit_api::{ConditionType, Reason};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{recorded::condition, state::UnitState};
use crate::controllers::unit::{blocked::Write, build::guard::is_guarded, snapshot::Snapshot};

/// How long after the pool's `drainTimeout` a withdrawal is abandoned.
const GRACE: SignedDuration = SignedDuration::from_secs(20);
/// The `drainTimeout` if the pool does not exist.
const DEFAULT_DRAIN_TIMEOUT: SignedDuration = SignedDuration::from_secs(10);

/// Where the withdrawal of a route stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// There is no route, nothing serves it, it cannot be withdrawn, or every proxy was seen to have withdrawn it.
    Complete,
    /// The deadline has passed although not every proxy was seen to have withdrawn the route.
    Overdue,
    /// The route is open and has to be guarded.
    NotStarted,
    /// The route is guarded, and the proxies have not all withdrawn it.
    InProgress,
}

/// The deadlines of a withdrawal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadlines {
    /// When the pool's `drainTimeout` is over. Without probes the withdrawal is complete then.
    pub drained: Option<Timestamp>,
    /// When the withdrawal is abandoned.
    pub overdue: Option<Timestamp>,
}

/// The deadlines of the withdrawal of a unit in that state.
pub fn deadlines(snapshot: &Snapshot, state: &UnitState) -> Deadlines {
    let timeout = snapshot.pool.as_ref().map_or(DEFAULT_DRAIN_TIMEOUT, |pool| {
        SignedDuration::try_from(pool.spec.drain_timeout.0).unwrap_or(DEFAULT_DRAIN_TIMEOUT)
    });
    let drained = withdrawing_since(snapshot, state).and_then(|since| since.checked_add(timeout).ok());
    Deadlines { drained, overdue: drained.and_then(|drained| drained.checked_add(GRACE).ok()) }
}

/// Since when the route is being withdrawn, as far as the unit records it.
fn withdrawing_since(snapshot: &Snapshot, state: &UnitState) -> Option<Timestamp> {
    if let Some(deleted) = &snapshot.unit.metadata.deletion_timestamp {
        return Some(deleted.0);
    }
    let (type_, status) = match state {
        _ if snapshot.suspended() => (ConditionType::Suspended, "False"),
        UnitState::Finished(_) => (ConditionType::Finished, "True"),
        _ => (ConditionType::Replacing, "True"),
    };
    let condition = condition(snapshot, type_).filter(|condition| condition.status == status)?;
    Some(condition.last_transition_time.0)
}

/// Where the withdrawal stands. `confirmed` is whether every proxy was seen to have withdrawn the route.
pub fn withdrawal(snapshot: &Snapshot, deadlines: Deadlines, confirmed: bool) -> Withdrawal {
    let Some(route) = snapshot.route.owned() else { return Withdrawal::Complete };
    if !snapshot.serving() || gateway_gone(snapshot) || denied(snapshot) {
        return Withdrawal::Complete;
    }
    let passed = |time: Option<Timestamp>| time.is_some_and(|time| snapshot.now >= time);
    // Without probes nothing can be seen: the proxies get the drain timeout.
    let drained = snapshot.probes_disabled() && passed(deadlines.drained);
    let guarded = is_guarded(route);
    if guarded && (confirmed || drained) {
        Withdrawal::Complete
    } else if passed(deadlines.overdue) {
        Withdrawal::Overdue
    } else if guarded {
        Withdrawal::InProgress
    } else {
        Withdrawal::NotStarted
    }
}

/// Whether the API server does not let the operator withdraw the route of a deleted unit. Its namespace is being deleted, with
/// the Roles and the pods in it in no particular order: waiting does not help.
fn denied(snapshot: &Snapshot) -> bool {
    let route = snapshot.blocked.find(Write::HTTPRoute).map(|blocked| blocked.reason);
    let route_denied = route == Some(Reason::Forbidden) && snapshot.blocked.blocks(Write::HTTPRoute);
    let namespace = snapshot.blocked.all.iter().any(|blocked| blocked.reason == Reason::NamespaceTerminating);
    snapshot.terminating() && (route_denied || namespace)
}

fn gateway_gone(snapshot: &Snapshot) -> bool {
    snapshot
        .gateway
        .as_ref()
        .is_none_or(|binding| binding.controller.as_ref().is_err_and(|why| why.reason == Reason::GatewayNotFound))
}
