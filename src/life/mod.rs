//! What has become of a unit: whether it is to have a pod now, waits for the next one, or is finished.
//!
//! Pure. Read off the unit's status, its pod and the clock, so that an operator that is started anew knows the same.
//! Whatever happens to a pod is written into the status before anything is done about it: until then it is
//! [`Life::Unwritten`], and nothing is made or deleted. It never decides how a route is closed.

mod limits;
mod loss;
mod record;
mod rest;

use k8s_openapi::{
    api::core::v1::Pod,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use kube::ResourceExt;

use crate::{
    api::{ComputingUnitStatus, Failure},
    observed::{Child, Observed, ended},
    status::{
        pod::{POD_FAILED, POD_SUCCEEDED, START_TIMEOUT},
        start_deadline, types,
    },
};

pub use limits::{expired, expires, next};
pub use loss::{EVICTED, LOST, stuck};
pub use record::{Record, record};

/// Reason: `spec.lifecycle.shutdownTime` is over.
pub const SHUTDOWN_TIME: &str = "ShutdownTime";
/// Reason: the unit is older than its pool's `spec.lifecycle.maxAge`.
pub const MAX_AGE: &str = "MaxAge";

/// What has become of a unit that is not being deleted.
#[derive(Clone, Debug, PartialEq)]
pub enum Life {
    /// It is to have a pod, unless it is suspended.
    Runs,
    /// Something has happened that its status does not say yet.
    Unwritten(News),
    /// Its pod has ended or is given up, and the status says so: the pod is to go.
    Spent,
    /// Its pod is gone, and the next one is made then.
    Waits(Timestamp),
    /// It is not to have a pod unless it is edited.
    Finished(End),
}

/// What its status does not say yet.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// Its pod is lost, and is to be made anew.
    Lost(Failure),
    /// It is finished.
    Finished(End),
}

/// Why a unit is finished.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// One word, from a closed set.
    pub reason: String,
    /// A sentence that says what to do.
    pub message: String,
    /// How its pod failed, if it did and that is news.
    pub failure: Option<Failure>,
}

impl End {
    /// Whether the unit failed, rather than having come to its end.
    #[must_use]
    pub fn failed(&self) -> bool {
        [POD_FAILED, START_TIMEOUT].contains(&self.reason.as_str())
    }

    /// Whether a clock decided, and not the pod.
    #[must_use]
    pub fn by_clock(&self) -> bool {
        [SHUTDOWN_TIME, MAX_AGE].contains(&self.reason.as_str())
    }
}

/// What has become of a unit.
#[must_use]
pub fn life(observed: &Observed) -> Life {
    if observed.deleting() {
        return Life::Runs;
    }
    let written = finished(observed);
    if let Some(end) = written.filter(|written| stays(observed, written)) {
        return Life::Finished(told(end));
    }
    if let Some(end) = limits::over(observed) {
        let known = written.is_some_and(|written| written.reason == end.reason);
        return if known { Life::Finished(end) } else { Life::Unwritten(News::Finished(end)) };
    }
    if observed.suspended() {
        return Life::Runs;
    }
    match &observed.pod {
        Child::Owned(pod) if accounted(observed, pod) => Life::Spent,
        Child::Owned(pod) if ended(pod) => Life::Unwritten(loss::ended(pod, observed.now)),
        Child::Owned(pod) => match start_deadline(observed) {
            Some(deadline) if observed.now >= deadline => Life::Unwritten(loss::late(pod, observed.now)),
            _ => Life::Runs,
        },
        Child::Leaving | Child::Absent => match () {
            () if stopped(observed) => Life::Runs,
            () if had_pod(observed) => Life::Unwritten(News::Lost(loss::gone(observed))),
            () => due(observed).map_or(Life::Runs, Life::Waits),
        },
    }
}

/// Whether the unit's status has yet to say what has happened.
#[must_use]
pub fn unwritten(observed: &Observed) -> bool {
    matches!(life(observed), Life::Unwritten(_))
}

/// When the next pod is made, if that is still to come.
fn due(observed: &Observed) -> Option<Timestamp> {
    let next = status(observed)?.restarts.as_ref()?.next.as_ref()?.0;
    (next > observed.now).then_some(next)
}

fn status(observed: &Observed) -> Option<&ComputingUnitStatus> {
    observed.unit.status.as_ref()
}

fn condition<'a>(observed: &'a Observed, type_: &str) -> Option<&'a Condition> {
    status(observed)?.conditions.iter().find(|condition| condition.type_ == type_)
}

/// The written end of the unit, of whatever generation.
fn finished(observed: &Observed) -> Option<&Condition> {
    condition(observed, types::FINISHED).filter(|condition| condition.status == "True")
}

/// Whether a written end holds until the unit is edited. The other ends are read off the clock.
fn stays(observed: &Observed, end: &Condition) -> bool {
    let by_itself = [POD_FAILED, POD_SUCCEEDED, START_TIMEOUT].contains(&end.reason.as_str());
    by_itself && end.observed_generation == observed.unit.metadata.generation
}

fn told(end: &Condition) -> End {
    End { reason: end.reason.clone(), message: end.message.clone(), failure: None }
}

/// Whether the status already tells of the end of the very pod that is there: it names a pod only while that one runs.
fn accounted(observed: &Observed, pod: &Pod) -> bool {
    let Some(status) = status(observed) else { return false };
    let same = status.start_time.as_ref().map(seconds) == pod.metadata.creation_timestamp.as_ref().map(seconds);
    same && status.pod_name.is_none() && (status.last_failure.is_some() || finished(observed).is_some())
}

/// The status has whole seconds.
fn seconds(time: &Time) -> i64 {
    time.0.as_second()
}

/// Whether there was a pod that the status does not know to be gone.
fn had_pod(observed: &Observed) -> bool {
    observed.pod_made || status(observed).is_some_and(|status| status.pod_name.is_some())
}

/// Whether the pod was stopped by the operator, as the status says: such a pod is not lost.
fn stopped(observed: &Observed) -> bool {
    let on_purpose = [types::SUSPENDED, types::REPLACING].iter().any(|type_| condition(observed, type_).is_some());
    on_purpose || finished(observed).is_some()
}

/// The name of a pod for a sentence.
fn named(pod: &Pod) -> String {
    match pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) {
        Some(node) => format!("pod {:?} on node {node:?}", pod.name_any()),
        None => format!("pod {:?}", pod.name_any()),
    }
}

#[cfg(test)]
mod tests;
