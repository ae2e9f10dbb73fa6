//! The Events of a change of status: one for each transition that a person may want to know of.

use computing_unit_api::{ComputingUnitStatus, ConditionStatus, ConditionType, Conditions, Phase, Reason, Restarts};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};

use super::urgency::is_problem;
use crate::{
    controllers::unit::assess::{Ttl, schedule::Due},
    schedule::Change,
};

/// The API server accepts notes of at most 1024 bytes.
const MAX_NOTE: usize = 1024;

/// The Events of the change from `old` to `new`.
pub fn of_change(old: Option<&ComputingUnitStatus>, new: &ComputingUnitStatus) -> Vec<Event> {
    let mut events: Vec<Event> = new
        .conditions
        .iter()
        .filter(|condition| is_notable(condition))
        // The end of a pod has an Event of its own.
        .filter(|condition| {
            condition.type_ != ConditionType::PodReady || find(Some(new), ConditionType::Finished).is_none()
        })
        .filter(|condition| {
            let before = old.and_then(|old| old.conditions.iter().find(|before| before.type_ == condition.type_));
            before.is_none_or(|before| before.reason != condition.reason)
        })
        .map(|condition| event(EventType::Warning, &condition.reason, condition.message.clone(), "Reconcile"))
        .collect();
    events.extend(pod_lost(old, new));
    events.extend(finished(old, new));
    if old.and_then(|old| old.phase) != new.phase {
        events.extend(new.phase.and_then(|phase| entered(phase, new)));
    }
    events
}

/// The Event of a phase that was entered.
fn entered(phase: Phase, new: &ComputingUnitStatus) -> Option<Event> {
    let normal =
        |reason: Reason, note: &str, action| Some(event(EventType::Normal, reason.as_str(), note.to_owned(), action));
    match phase {
        Phase::Ready => {
            let url = new.url.as_deref().unwrap_or("its URL");
            normal(Reason::Ready, &format!("the unit answers at {url}"), "Start")
        }
        Phase::NotReady => {
            let ready = find(Some(new), ConditionType::Ready);
            let message = ready.map(|ready| ready.message.clone()).unwrap_or_default();
            Some(event(EventType::Warning, Reason::NotReady.as_str(), message, "Watch"))
        }
        Phase::Suspending if find(Some(new), ConditionType::Finished).is_none() => {
            normal(Reason::Suspending, "the route is being withdrawn; the pod is stopped afterwards", "Suspend")
        }
        Phase::Suspended => {
            normal(Reason::Suspended, "the unit has no pod; its URL and its Service are kept", "Suspend")
        }
        Phase::Terminating => normal(Reason::Closing, "the route is withdrawn before the pod is stopped", "Stop"),
        _ => None,
    }
}

/// The Event of a pod that is lost and will be recreated.
fn pod_lost(old: Option<&ComputingUnitStatus>, new: &ComputingUnitStatus) -> Option<Event> {
    let failure = new.last_failure.as_ref()?;
    let known = old.is_some_and(|old| old.last_failure.as_ref() == Some(failure));
    let Restarts { count, next } = new.restarts.as_ref().filter(|_| !known)?;
    let delay = next.as_ref()?.0.duration_since(failure.time.as_ref()?.0).as_secs_f64().ceil();
    let note = format!("{}; restarting in {delay} s (restart {count})", failure.message);
    Some(event(EventType::Warning, &failure.reason, note, "Restart"))
}

/// The Event of a unit that failed or finished.
fn finished(old: Option<&ComputingUnitStatus>, new: &ComputingUnitStatus) -> Option<Event> {
    let finish = find(Some(new), ConditionType::Finished)?;
    if find(old, ConditionType::Finished).is_some_and(|before| before.reason == finish.reason) {
        return None;
    }
    let failed = new.phase == Some(Phase::Failed);
    let (type_, reason) =
        if failed { (EventType::Warning, Reason::Failed) } else { (EventType::Normal, Reason::Finished) };
    Some(event(type_, reason.as_str(), format!("{}: {}", finish.reason, finish.message), "Finish"))
}

/// The Event of a unit that is deleted after its TTL.
pub fn expired(ttl: Ttl) -> Event {
    let note = match ttl {
        Ttl::Finished => {
            "the unit has been finished for its ttlSecondsAfterFinished, or that of its pool, and is deleted"
        }
        Ttl::Suspended => {
            "the unit has been suspended for its ttlSecondsAfterSuspended, or that of its pool, and is deleted"
        }
    };
    event(EventType::Normal, Reason::Expired.as_str(), note.to_owned(), "Delete")
}

/// The Event of a unit that its schedule suspends or resumes.
pub fn scheduled(Due { change, at }: Due) -> Event {
    // Events of one reason and action count as a series, of which only the first note is kept.
    let (action, note) = match change {
        Change::Suspend => (
            "Suspend",
            format!(
                "the schedule of the unit or of its pool suspends it (time: {at}). Set spec.operatingMode to Running to \
                 start it"
            ),
        ),
        Change::Resume => ("Resume", format!("the schedule of the unit or of its pool resumes it (time: {at})")),
    };
    event(EventType::Normal, Reason::Schedule.as_str(), note, action)
}

/// The Event of a unit whose pod is stopped although the proxies did not confirm that they withdrew its route.
pub fn drain_timed_out() -> Event {
    let note = "timed out waiting for the Gateway's proxies to withdraw the route; stopping the pod anyway. Requests may \
                fail briefly. Check the Gateway's controller and its proxies.";
    event(EventType::Warning, Reason::DrainTimedOut.as_str(), note.to_owned(), "Stop")
}

/// The Event of a write that fails.
pub fn not_written(resource: &str, message: &str) -> Event {
    let note = format!("cannot write the {resource}: {message}");
    event(EventType::Warning, Reason::NotWritten.as_str(), note, "Reconcile")
}

fn is_notable(condition: &Condition) -> bool {
    let refused = condition.type_ == ConditionType::Accepted && condition.status == ConditionStatus::False;
    // It is published only if it lasts.
    let volume = condition.reason == Reason::VolumePending;
    // Ready repeats the reason of another condition.
    condition.type_ != ConditionType::Ready && (refused || volume || is_problem(condition))
}

fn find(status: Option<&ComputingUnitStatus>, type_: ConditionType) -> Option<&Condition> {
    status?.conditions.find(type_)
}

fn event(type_: EventType, reason: &str, note: String, action: &str) -> Event {
    let end = note.floor_char_boundary(MAX_NOTE);
    Event {
        type_,
        reason: reason.to_owned(),
        note: Some(note[..end].to_owned()),
        action: action.to_owned(),
        secondary: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_is_cut_at_a_character_within_the_bytes_that_the_api_server_accepts() {
        let note = |message: &str| not_written("Pod", message).note.unwrap();
        assert_eq!(note("short"), "cannot write the Pod: short");
        let long = note(&"\u{8a08}\u{7b97}".repeat(400));
        assert!(long.len() <= 1024 && long.len() > 1020, "{}", long.len());
    }
}
