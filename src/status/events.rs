//! Which Events a change of status is worth: one for each transition that a person would want to know of.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};

use super::{pod, types, urgency::trouble};
use crate::api::{ComputingUnitStatus, Phase, Restarts};

/// The Events of the change from `old` to `new`.
pub fn events(old: Option<&ComputingUnitStatus>, new: &ComputingUnitStatus) -> Vec<Event> {
    let mut events: Vec<Event> = new
        .conditions
        .iter()
        .filter(|condition| worth_telling(condition))
        // What became of a pod has an Event of its own.
        .filter(|condition| condition.type_ != types::POD_READY || find(Some(new), types::FINISHED).is_none())
        .filter(|condition| find(old, &condition.type_).is_none_or(|was| was.reason != condition.reason))
        .map(|condition| event(EventType::Warning, &condition.reason, condition.message.clone(), "Reconcile"))
        .collect();
    events.extend(lost(old, new));
    events.extend(finished(old, new));
    let was = old.and_then(|old| old.phase);
    if was != new.phase {
        match new.phase {
            Some(Phase::Ready) => {
                let url = new.url.as_deref().unwrap_or("its URL");
                events.push(event(EventType::Normal, "Ready", format!("the unit answers at {url}"), "Start"));
            }
            Some(Phase::NotReady) => {
                let message = find(Some(new), types::READY).map(|ready| ready.message.clone()).unwrap_or_default();
                events.push(event(EventType::Warning, "NotReady", message, "Watch"));
            }
            Some(Phase::Suspending) if find(Some(new), types::FINISHED).is_none() => {
                let note = "the route is closed, then the pod is stopped".to_owned();
                events.push(event(EventType::Normal, "Suspending", note, "Suspend"));
            }
            Some(Phase::Suspended) => {
                let note = "the unit has no pod; its URL and its Service are kept".to_owned();
                events.push(event(EventType::Normal, "Suspended", note, "Suspend"));
            }
            Some(Phase::Terminating) => {
                events.push(event(
                    EventType::Normal,
                    "Closing",
                    "the route is closed before the pod is stopped".into(),
                    "Stop",
                ));
            }
            _ => {}
        }
    }
    events
}

/// A pod that is lost and made anew.
fn lost(old: Option<&ComputingUnitStatus>, new: &ComputingUnitStatus) -> Option<Event> {
    let failure = new.last_failure.as_ref()?;
    let known = old.is_some_and(|old| old.last_failure.as_ref() == Some(failure));
    let Restarts { count, next } = new.restarts.as_ref().filter(|_| !known)?;
    let delay = next.as_ref()?.0.duration_since(failure.time.as_ref()?.0).as_secs_f64().ceil();
    let note = format!("{}; it is made anew in {delay} s (restart {count})", failure.message);
    Some(event(EventType::Warning, &failure.reason, note, "Restart"))
}

/// A unit that has failed or has come to its end.
fn finished(old: Option<&ComputingUnitStatus>, new: &ComputingUnitStatus) -> Option<Event> {
    let end = find(Some(new), types::FINISHED)?;
    if find(old, types::FINISHED).is_some_and(|was| was.reason == end.reason) {
        return None;
    }
    let failed = new.phase == Some(Phase::Failed);
    let (type_, reason) = if failed { (EventType::Warning, "Failed") } else { (EventType::Normal, "Finished") };
    Some(event(type_, reason, format!("{}: {}", end.reason, end.message), "Finish"))
}

/// The Event of a unit that is deleted for having been finished for long enough.
pub fn expired() -> Event {
    let note = "the unit was finished for as long as its ttlSecondsAfterFinished, or its pool's, and is deleted";
    event(EventType::Normal, "Expired", note.to_owned(), "Delete")
}

/// The Event of a unit that is stopped for being idle, or soon will be.
pub fn idle(reason: &str, note: String) -> Event {
    event(EventType::Normal, reason, note, "Idle")
}

/// The Event of a unit whose pod is stopped although its proxies were not seen to give up its route.
pub fn overdue() -> Event {
    event(
        EventType::Warning,
        "DrainTimedOut",
        "the proxies of the gateway were not seen to give up the unit's route in time: its pod is stopped all the same, \
         and requests may fail for a moment; see that the gateway's controller and its proxies run"
            .to_owned(),
        "Stop",
    )
}

fn worth_telling(condition: &Condition) -> bool {
    let refused = condition.type_ == types::ACCEPTED && condition.status == "False";
    // Said only once it has lasted.
    let volume = condition.reason == pod::VOLUME_PENDING;
    // Ready repeats the reason of another.
    condition.type_ != types::READY
        && (refused || volume || trouble(&condition.type_, &condition.status, &condition.reason))
}

fn find<'a>(status: Option<&'a ComputingUnitStatus>, type_: &str) -> Option<&'a Condition> {
    status?.conditions.iter().find(|condition| condition.type_ == type_)
}

fn event(type_: EventType, reason: &str, note: String, action: &str) -> Event {
    // The API server takes at most 1 kB.
    let note = note.chars().take(1000).collect();
    Event { type_, reason: reason.to_owned(), note: Some(note), action: action.to_owned(), secondary: None }
}
