//! Failures that Events report of a pod whose containers are not created. The status of such a pod has no cause.
//!
//! Events are not watched, because there are too many. Those of one pod are listed at growing intervals if its node takes
//! long: see
//! [`assess::pod_setup`](super::assess::pod_setup).

use std::{collections::HashMap, time::Duration};

use computing_unit_api::Reason;
use k8s_openapi::{api::events::v1::Event, jiff::Timestamp};
use parking_lot::Mutex;
use tokio::time::Instant;

/// Delays until the Events of a pod are listed again. The last one repeats.
const INTERVALS: [Duration; 3] = [Duration::from_secs(15), Duration::from_secs(30), Duration::from_mins(1)];

/// What the Events of a pod say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// No failure.
    Nothing,
    /// A failure of the node, or of the controller that attaches volumes to it, in its own words.
    Failure { reason: Reason, event: String, words: String },
    /// The Events cannot be listed.
    Unreadable(String),
}

/// The last list of the Events of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodEvents {
    /// UID of the pod.
    pub pod: String,
    pub finding: Finding,
    /// When they are listed again.
    pub next_in: Duration,
}

struct Entry {
    pod: String,
    finding: Finding,
    lists: usize,
    next: Instant,
}

/// What is remembered of the Events of pods, by UID of the unit.
#[derive(Default)]
pub struct PodEventsMemory(Mutex<HashMap<String, Entry>>);

impl PodEventsMemory {
    /// Records what a list has shown. A list that failed does not replace a failure that is known.
    pub fn record(&self, uid: &str, pod: &str, finding: Finding) {
        let mut entries = self.0.lock();
        let before = entries.remove(uid).filter(|entry| entry.pod == pod);
        let lists = before.as_ref().map_or(0, |before| before.lists);
        let next = Instant::now() + INTERVALS[lists.min(INTERVALS.len() - 1)];
        let known = before.map(|before| before.finding).filter(|known| matches!(known, Finding::Failure { .. }));
        let finding = match finding {
            Finding::Unreadable(_) => known.unwrap_or(finding),
            Finding::Nothing | Finding::Failure { .. } => finding,
        };
        entries.insert(uid.to_owned(), Entry { pod: pod.to_owned(), finding, lists: lists + 1, next });
    }

    pub fn of(&self, uid: &str) -> Option<PodEvents> {
        let entries = self.0.lock();
        let Entry { pod, finding, next, .. } = entries.get(uid)?;
        let next_in = next.saturating_duration_since(Instant::now());
        Some(PodEvents { pod: pod.clone(), finding: finding.clone(), next_in })
    }

    pub fn forget(&self, uid: &str) {
        self.0.lock().remove(uid);
    }
}

/// The latest failure among the Events of a pod. An Event of a container shows that earlier failures are resolved.
pub fn finding(events: &[Event]) -> Finding {
    let over = events.iter().filter(|event| of_container(event)).map(time).max();
    let failures = events.iter().filter_map(|event| Some((time(event), event, reason(event)?)));
    let current = failures.filter(|(time, ..)| over.as_ref().is_none_or(|over| over < time));
    match current.max_by_key(|(time, ..)| *time) {
        Some((_, event, reason)) => Finding::Failure {
            reason,
            event: event.reason.clone().unwrap_or_default(),
            words: event.note.clone().unwrap_or_default(),
        },
        None => Finding::Nothing,
    }
}

/// The reason of the condition for a failure of the kubelet or of the attach/detach controller.
fn reason(event: &Event) -> Option<Reason> {
    match event.reason.as_deref()? {
        "FailedMount" | "FailedMapVolume" | "FailedMountOnFilesystemMismatch" => Some(Reason::VolumeMountFailed),
        "FailedAttachVolume" => Some(Reason::VolumeAttachFailed),
        "FailedCreatePodSandBox" | "FailedPodSandBoxStatus" | "NetworkNotReady" | "FailedPrepareDynamicResources" => {
            Some(Reason::SandboxFailed)
        }
        _ => None,
    }
}

fn of_container(event: &Event) -> bool {
    matches!(event.reason.as_deref(), Some("Pulling" | "Pulled" | "Created" | "Started"))
}

/// When an Event occurred last.
fn time(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().map(|series| series.last_observed_time.0);
    let deprecated = event.deprecated_last_timestamp.as_ref().map(|time| time.0);
    let created = event.metadata.creation_timestamp.as_ref().map(|time| time.0);
    series.or(deprecated).or_else(|| event.event_time.as_ref().map(|time| time.0)).or(created)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// As a recorder of the core API writes it.
    fn event(second: u32, reason: &str) -> Value {
        json!({
            "metadata": {"name": "ada.x", "namespace": "units"}, "type": "Warning", "reason": reason,
            "note": format!("the words of {reason}"), "eventTime": null,
            "deprecatedLastTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
        })
    }

    /// As a recorder of this API writes it.
    fn repeated(second: u32, reason: &str) -> Value {
        let mut event = event(second, reason);
        event["deprecatedLastTimestamp"] = Value::Null;
        event["eventTime"] = json!("2026-01-01T00:00:00.000000Z");
        event["series"] = json!({"count": 2, "lastObservedTime": format!("2026-01-01T00:00:{second:02}.000000Z")});
        event
    }

    fn found(events: Vec<Value>) -> Option<(Reason, String)> {
        match finding(&serde_json::from_value::<Vec<Event>>(json!(events)).unwrap()) {
            Finding::Failure { reason, words, .. } => Some((reason, words)),
            Finding::Nothing => None,
            Finding::Unreadable(why) => panic!("{why}"),
        }
    }

    #[test]
    fn latest_failure_counts_unless_a_container_has_come_further_since() {
        let mount = Some((Reason::VolumeMountFailed, "the words of FailedMount".to_owned()));
        let attach = Some((Reason::VolumeAttachFailed, "the words of FailedAttachVolume".to_owned()));
        let sandbox = Some((Reason::SandboxFailed, "the words of FailedCreatePodSandBox".to_owned()));
        for (what, events, expected) in [
            ("none", vec![], None),
            ("of the scheduler", vec![event(1, "FailedScheduling"), event(2, "Scheduled")], None),
            ("a mount", vec![event(1, "FailedMount")], mount.clone()),
            ("another volume", vec![event(1, "FailedAttachVolume"), event(2, "SuccessfulAttachVolume")], attach),
            ("the later one", vec![event(9, "FailedCreatePodSandBox"), event(2, "FailedMount")], sandbox.clone()),
            ("a series", vec![repeated(9, "FailedCreatePodSandBox"), event(2, "FailedMount")], sandbox),
            ("retried with success", vec![event(1, "FailedMount"), event(2, "Pulling")], None),
            ("in the same second", vec![event(1, "FailedMount"), event(1, "Pulling")], None),
            ("after a restart of the node", vec![event(1, "Started"), event(2, "FailedMount")], mount),
        ] {
            assert_eq!(found(events), expected, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn list_that_fails_keeps_a_known_failure_and_another_pod_has_none() {
        let memory = PodEventsMemory::default();
        let finding = |memory: &PodEventsMemory| memory.of("u").map(|events| events.finding);
        let failure =
            Finding::Failure { reason: Reason::SandboxFailed, event: "NetworkNotReady".into(), words: "no".into() };
        let unreadable = || Finding::Unreadable("forbidden".into());
        memory.record("u", "a", unreadable());
        assert_eq!(finding(&memory), Some(unreadable()));
        memory.record("u", "a", failure.clone());
        memory.record("u", "a", unreadable());
        assert_eq!(finding(&memory), Some(failure));
        memory.record("u", "b", unreadable());
        assert_eq!(finding(&memory), Some(unreadable()));
        memory.forget("u");
        assert_eq!(finding(&memory), None);
    }

    #[tokio::test(start_paused = true)]
    async fn interval_grows_with_each_list_of_the_same_pod() {
        let memory = PodEventsMemory::default();
        let intervals = ["a", "a", "a", "a", "b"].map(|pod| {
            memory.record("u", pod, Finding::Nothing);
            memory.of("u").unwrap().next_in.as_secs()
        });
        assert_eq!(intervals, [15, 30, 60, 60, 15]);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(memory.of("u").unwrap().next_in, Duration::ZERO);
    }
}
