//! How a route is given up: by a unit that ends, by one that is suspended or finished, by one that is given another pod,
//! and by one that may not run any more.
//!
//! Pure. The order is that of the promise: closed at every proxy, and only then the pod.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::{Step, has_finalizer, lost_key, unprobed};
use crate::{
    desired::route,
    gateway::{HTTPRoute, served},
    observed::{Child, Observed},
    validate::Rejection,
};

/// How long past the pool's `drainTimeout` a route is given up in any case.
const LAST_RESORT: SignedDuration = SignedDuration::from_secs(20);
/// The pool's `drainTimeout` where the pool is gone.
const DRAIN: SignedDuration = SignedDuration::from_secs(10);

/// What the route of a unit that is being closed waits for.
enum Way {
    /// Nothing: there is none, nobody answers by it, or every proxy was seen to have given it up.
    Closed,
    /// Nothing any more: its time is over.
    Overdue,
    /// To be closed.
    Open(Box<HTTPRoute>),
    /// For the proxies.
    Closing,
}

/// A unit that may not run keeps what it has, but not a key that is another's, nor a route to a pod that is gone.
pub(super) fn refuse(observed: &Observed, rejection: &Rejection) -> Option<Step> {
    let seen = observed.route.owned().filter(|seen| !route::is_guarded(seen))?;
    (lost_key(rejection) || !observed.serving()).then(|| guard(observed, seen))
}

/// The end of a unit: its route is closed, seen to be closed, and the unit let go.
pub(super) fn end(observed: &Observed, reached: bool) -> Option<Step> {
    if !has_finalizer(&observed.unit) {
        return None;
    }
    match way(observed, reached) {
        Way::Closed => Some(Step::DropFinalizer { overdue: false }),
        Way::Overdue => Some(Step::DropFinalizer { overdue: true }),
        Way::Open(route) => Some(Step::ReplaceRoute(route)),
        Way::Closing => None,
    }
}

/// A unit is suspended or finished: its route is closed, seen to be closed, deleted, and then its pod.
pub(super) fn rest(observed: &Observed, reached: bool) -> Option<Step> {
    if !has_finalizer(&observed.unit) {
        return Some(Step::AddFinalizer);
    }
    match &observed.route {
        Child::Owned(seen) => match way(observed, reached) {
            Way::Closed => Some(Step::DeleteRoute { route: seen.as_ref().clone().into(), overdue: false }),
            Way::Overdue => Some(Step::DeleteRoute { route: seen.as_ref().clone().into(), overdue: true }),
            Way::Open(route) => Some(Step::ReplaceRoute(route)),
            Way::Closing => None,
        },
        Child::Leaving => None,
        Child::Absent => stop(observed, false),
    }
}

/// A unit is given another pod: its route is closed, seen to be closed, and stays so until the next pod is ready.
pub(super) fn replace(observed: &Observed, reached: bool) -> Option<Step> {
    if let Some(open) = observed.route.owned().filter(|seen| !route::is_guarded(seen)) {
        return Some(guard(observed, open));
    }
    match way(observed, reached) {
        Way::Closed => stop(observed, false),
        Way::Overdue => stop(observed, true),
        Way::Open(route) => Some(Step::ReplaceRoute(route)),
        Way::Closing => None,
    }
}

fn stop(observed: &Observed, overdue: bool) -> Option<Step> {
    observed.pod.owned().map(|pod| Step::DeletePod { pod: Box::new(pod.clone()), overdue })
}

fn way(observed: &Observed, reached: bool) -> Way {
    let Some(seen) = observed.route.owned() else { return Way::Closed };
    if !observed.serving() || gateway_gone(observed) {
        return Way::Closed;
    }
    let open = !route::is_guarded(seen);
    // Without probes there is nothing to see: the proxies get the time that the pool gives them.
    let waited = unprobed(observed) && drained(observed).is_some_and(|drained| observed.now >= drained);
    if !open && (reached || waited) {
        return Way::Closed;
    }
    if deadline(observed).is_some_and(|deadline| observed.now >= deadline) {
        return Way::Overdue;
    }
    if open { Way::Open(guarded(observed, seen)) } else { Way::Closing }
}

fn guard(observed: &Observed, seen: &HTTPRoute) -> Step {
    Step::ReplaceRoute(guarded(observed, seen))
}

fn guarded(observed: &Observed, seen: &HTTPRoute) -> Box<HTTPRoute> {
    Box::new(route::guarded(seen.clone(), &observed.unit.uid().unwrap_or_default()))
}

fn gateway_gone(observed: &Observed) -> bool {
    observed
        .gateway
        .as_ref()
        .is_none_or(|way| way.controller.as_ref().is_err_and(|why| why.reason == served::reasons::GATEWAY_NOT_FOUND))
}

/// When a unit that is being closed has had its pool's `drainTimeout`.
#[must_use]
pub fn drained(observed: &Observed) -> Option<Timestamp> {
    let drain = observed
        .pool
        .as_ref()
        .map_or(DRAIN, |pool| SignedDuration::try_from(pool.spec.drain_timeout.0).unwrap_or(DRAIN));
    observed.closing_since()?.checked_add(drain).ok()
}

/// When the route of a unit that is being closed is given up whatever its proxies do.
#[must_use]
pub fn deadline(observed: &Observed) -> Option<Timestamp> {
    drained(observed)?.checked_add(LAST_RESORT).ok()
}
