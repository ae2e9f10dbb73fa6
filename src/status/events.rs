//! Which Events a change of status is worth: one for each transition that a person would want to know of.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};

use super::{pod, types, urgency::trouble};
use crate::api::{ComputingUnitStatus, Phase};

/// The Events of the change from `old` to `new`.
pub fn events(old: Option<&ComputingUnitStatus>, new: &ComputingUnitStatus) -> Vec<Event> {
    let mut events: Vec<Event> = new
        .conditions
        .iter()
        .filter(|condition| worth_telling(condition))
        .filter(|condition| find(old, &condition.type_).is_none_or(|was| was.reason != condition.reason))
        .map(|condition| event(EventType::Warning, &condition.reason, condition.message.clone(), "Reconcile"))
        .collect();
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
            Some(Phase::Suspending) => {
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

/// The Event of a unit that was let go although its proxies were not seen to give up its route.
pub fn overdue() -> Event {
    event(
        EventType::Warning,
        "DrainTimedOut",
        "the proxies of the gateway were not seen to give up the unit's route in time: the unit is let go all the same; \
         see that the gateway's controller and its proxies run"
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
