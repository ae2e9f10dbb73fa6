//! Output of `describe`.

use std::fmt::Display;

use computing_unit_api::{ComputingUnit, ComputingUnitStatus, Quantity, UnitLifecycle};
use k8s_openapi::{
    api::core::v1::Event,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use kube::ResourceExt;

use super::{age, columns::Column, mode::is_suspended};
use crate::{printer::table, status::one_line};

/// The description of a unit without its Events.
pub fn text(unit: &ComputingUnit, now: Timestamp) -> String {
    let none = ComputingUnitStatus::default();
    let status = unit.status.as_ref().unwrap_or(&none);
    let mut lines = facts(unit, now);
    section(&mut lines, "Ports", &pairs(status.ports.iter().map(|port| (port.name.as_str(), Some(port.url.clone())))));
    section(&mut lines, "Stages", &stages(unit, status));
    section(&mut lines, "Conditions", &conditions(&status.conditions, now));
    section(&mut lines, "Activity", &activity(status, now));
    section(&mut lines, "Schedule", &schedule(status, now));
    section(&mut lines, "Last failure", &failure(status, now));
    section(&mut lines, "Lifecycle", &lifecycle(unit.spec.lifecycle.as_ref()));
    lines.join("\n")
}

/// The Events of a unit and its children in chronological order.
pub fn events(events: Result<&[Event], String>, now: Timestamp) -> String {
    let events = match events {
        Ok([]) => return "Events: <none>".to_owned(),
        Ok(events) => events,
        Err(error) => return format!("Events: {}", one_line(&error)),
    };
    let mut events: Vec<_> = events.iter().map(|event| (when(event), event)).collect();
    events.sort_by_key(|(time, _)| *time);
    let heading = ["TYPE", "REASON", "AGE", "OBJECT", "MESSAGE"].map(str::to_owned).to_vec();
    let row = |(time, event): &(Option<Timestamp>, &Event)| {
        let count = event.series.as_ref().and_then(|series| series.count).or(event.count).unwrap_or(1);
        let ago = time.map(|time| age::between(time, now)).unwrap_or_default();
        let object = &event.involved_object;
        vec![
            event.type_.clone().unwrap_or_default(),
            event.reason.clone().unwrap_or_default(),
            if count > 1 { format!("{ago} (x{count})") } else { ago },
            object.kind.clone().unwrap_or_default(),
            event.message.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = [heading].into_iter().chain(events.iter().map(row)).collect();
    let mut lines = vec![];
    section(&mut lines, "Events", &table::lines(&rows));
    lines.join("\n")
}

/// Whether an Event is of the unit or of its children, and not of an earlier unit of the same name.
pub fn concerns(event: &Event, unit: &ComputingUnit) -> bool {
    let object = &event.involved_object;
    if object.kind.as_deref() == Some("ComputingUnit") {
        return object.uid.is_none() || object.uid == unit.uid();
    }
    // Children are created after their unit, within the resolution of timestamps.
    let created = unit.creation_timestamp().map(|created| created.0);
    when(event).zip(created).is_none_or(|(at, created)| at >= created)
}

/// The time at which an Event was last observed.
fn when(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    series
        .or(event.event_time.as_ref())
        .map(|time| time.0)
        .or_else(|| event.last_timestamp.as_ref().map(|time| time.0))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

fn section(lines: &mut Vec<String>, title: &str, content: &[String]) {
    if content.is_empty() {
        return;
    }
    lines.push(format!("{title}:"));
    lines.extend(content.iter().map(|line| format!("  {line}")));
}

/// Lines with a name and a value. Pairs without a value are omitted.
fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, Option<String>)>) -> Vec<String> {
    let rows: Vec<_> = pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)))
        .map(|(name, value)| vec![format!("{name}:"), value])
        .collect();
    table::lines(&rows)
}

fn facts(unit: &ComputingUnit, now: Timestamp) -> Vec<String> {
    let cell = |column: Column| Some(column.cell(unit, now));
    let spec = &unit.spec;
    let created = unit.creation_timestamp().map(|created| ago(&created, now));
    let deleted = unit.metadata.deletion_timestamp.as_ref().map(|since| ago(since, now));
    let labels = unit.labels().iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ");
    let amounts = spec.resources.iter().flat_map(|resources| &resources.limits).map(amount).collect::<Vec<_>>();
    pairs([
        ("Name", cell(Column::Name)),
        ("Namespace", cell(Column::Namespace)),
        ("Labels", Some(labels)),
        ("Phase", cell(Column::Phase)),
        ("Reason", cell(Column::Reason)),
        ("Mode", Some(if is_suspended(unit) { "Suspended" } else { "Running" }.to_owned())),
        ("URL", cell(Column::Url)),
        ("Key", cell(Column::Key)),
        ("Owner", cell(Column::Owner)),
        ("Pool", cell(Column::Pool)),
        ("Created", created),
        ("Deleted", deleted),
        ("Expires", unit.status.as_ref().and_then(|status| future(status.expires_at.as_ref(), now))),
        ("Limits", Some(amounts.join(", "))),
        ("Shared memory", spec.shared_memory.as_ref().map(ToString::to_string)),
        ("Pod", cell(Column::Pod)),
        ("Node", cell(Column::Node)),
        ("Image", cell(Column::Image)),
        ("Restarts", restarts(unit, now)),
    ])
}

fn amount((key, amount): (&String, &Quantity)) -> String {
    format!("{key} {amount}")
}

fn restarts(unit: &ComputingUnit, now: Timestamp) -> Option<String> {
    let restarts = unit.status.as_ref()?.restarts.as_ref()?;
    let next = restarts.next.as_ref().map(|next| format!(", next pod in {}", age::between(now, next.0)));
    Some(format!("{}{}", restarts.count, next.unwrap_or_default()))
}

/// For each stage the time, the duration, and the time since the start.
fn stages(unit: &ComputingUnit, status: &ComputingUnitStatus) -> Vec<String> {
    let stages = &status.stages;
    let begin = status.start_time.clone().or_else(|| unit.creation_timestamp());
    let mut rows = vec![["STAGE", "AT", "TOOK", "SINCE START"].map(str::to_owned).to_vec()];
    let mut before = begin.clone();
    for (name, at) in [
        ("Accepted", &stages.accepted),
        ("Scheduled", &stages.scheduled),
        ("Pod ready", &stages.pod_ready),
        ("Route accepted", &stages.route_accepted),
        ("Reachable", &stages.reachable),
    ] {
        let Some(at) = at else { continue };
        let since = |from: &Option<Time>| from.as_ref().map(|from| age::between(from.0, at.0)).unwrap_or_default();
        rows.push(vec![name.to_owned(), at.0.to_string(), since(&before), since(&begin)]);
        // A unit that is restarted was accepted before the start.
        before = before.max(Some(at.clone()));
    }
    if rows.len() > 1 { table::lines(&rows) } else { vec![] }
}

fn conditions(conditions: &[Condition], now: Timestamp) -> Vec<String> {
    let row = |condition: &Condition| {
        vec![
            condition.type_.clone(),
            condition.status.clone(),
            age::between(condition.last_transition_time.0, now),
            condition.reason.clone(),
            condition.message.clone(),
        ]
    };
    if conditions.is_empty() {
        return vec![
            "<none>: the unit is not reconciled yet; check that the operator is running and watches this namespace"
                .into(),
        ];
    }
    let heading = ["TYPE", "STATUS", "FOR", "REASON", "MESSAGE"].map(str::to_owned).to_vec();
    let rows: Vec<_> = [heading].into_iter().chain(conditions.iter().map(row)).collect();
    table::lines(&rows)
}

fn activity(status: &ComputingUnitStatus, now: Timestamp) -> Vec<String> {
    let Some(activity) = &status.activity else { return vec![] };
    pairs([
        ("Last used", activity.last.as_ref().map(|last| ago(last, now))),
        ("Signal", activity.source.clone()),
        ("Idle", future(activity.idle_at.as_ref(), now)),
        ("Error", activity.message.clone()),
    ])
}

fn schedule(status: &ComputingUnitStatus, now: Timestamp) -> Vec<String> {
    let Some(schedule) = &status.schedule else { return vec![] };
    pairs([
        ("Next suspension", future(schedule.next_suspend.as_ref(), now)),
        ("Next resume", future(schedule.next_resume.as_ref(), now)),
    ])
}

fn failure(status: &ComputingUnitStatus, now: Timestamp) -> Vec<String> {
    let Some(failure) = &status.last_failure else { return vec![] };
    let mut lines = pairs([
        ("When", failure.time.as_ref().map(|time| ago(time, now))),
        ("Reason", Some(failure.reason.clone())),
        ("Container", failure.container.clone()),
        ("Exit code", failure.exit_code.as_ref().map(ToString::to_string)),
    ]);
    // The message can have several lines of a log.
    lines.extend(failure.message.lines().map(one_line).filter(|line| !line.is_empty()));
    lines
}

fn lifecycle(lifecycle: Option<&UnitLifecycle>) -> Vec<String> {
    let Some(lifecycle) = lifecycle else { return vec![] };
    let text = |value: Option<&dyn Display>| value.map(ToString::to_string);
    pairs([
        ("Idle timeout", text(lifecycle.idle_timeout.as_ref().map(|timeout| timeout as _))),
        ("Idle action", lifecycle.idle_action.map(|action| format!("{action:?}"))),
        ("Shutdown time", lifecycle.shutdown_time.as_ref().map(|time| time.0.to_string())),
        ("TTL after finished", lifecycle.ttl_seconds_after_finished.map(|seconds| format!("{seconds}s"))),
        ("TTL after suspended", lifecycle.ttl_seconds_after_suspended.map(|seconds| format!("{seconds}s"))),
    ])
}

fn ago(time: &Time, now: Timestamp) -> String {
    format!("{} ({} ago)", time.0, age::between(time.0, now))
}

/// How far away a time is.
fn future(time: Option<&Time>, now: Timestamp) -> Option<String> {
    time.map(|time| format!("in {} ({})", age::between(now, time.0), time.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{self, condition};

    const NOW: &str = "2026-01-01T01:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    #[test]
    fn ready_unit_is_described_with_stages_and_activity() {
        let mut unit = testing::unit(json!({
            "phase": "Ready", "url": "http://u/?cuid=42", "key": "42", "startTime": "2026-01-01T00:00:01Z",
            "stages": {
                "accepted": "2026-01-01T00:00:01Z", "scheduled": "2026-01-01T00:00:02Z",
                "podReady": "2026-01-01T00:00:10Z", "routeAccepted": "2026-01-01T00:00:10Z",
                "reachable": "2026-01-01T00:00:11Z",
            },
            "conditions": [condition("Ready", "True", "Ready")],
            "activity": {"last": "2026-01-01T00:55:00Z", "source": "Request", "idleAt": "2026-01-01T01:25:00Z"},
            "lastFailure": {"time": "2026-01-01T00:00:00Z", "reason": "Error", "exitCode": 3, "container": "engine",
                "message": "it ended with exit code 3:\nno space\u{1b}[2J left"},
        }));
        unit["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        unit["spec"]["resources"] = json!({"limits": {"cpu": "2", "memory": "4Gi"}});
        unit["spec"]["lifecycle"] = json!({"idleTimeout": "30m", "shutdownTime": "2026-01-02T00:00:00Z"});
        let text = text(&serde_json::from_value(unit).unwrap(), now());
        for line in [
            "Name:        ada",
            "Phase:       Ready",
            "URL:         http://u/?cuid=42",
            "Limits:      cpu 2, memory 4Gi",
            "Created:     2026-01-01T00:00:00Z (60m ago)",
            "  Pod ready        2026-01-01T00:00:10Z   8s     9s",
            "  Reachable        2026-01-01T00:00:11Z   1s     10s",
            "  Ready   True     60m   Ready    about Ready",
            "  Last used:   2026-01-01T00:55:00Z (5m ago)",
            "  Idle:        in 25m (2026-01-01T01:25:00Z)",
            "  Exit code:   3",
            "  it ended with exit code 3:",
            "  no space [2J left",
            "  Idle timeout:    30m",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn suspended_unit_is_described_with_its_times() {
        let unit = testing::unit(json!({
            "phase": "Suspended", "expiresAt": "2026-01-04T02:00:00Z",
            "ports": [{"name": "tensorboard", "url": "http://u/units/ada/-/tensorboard/"}],
            "schedule": {"nextSuspend": "2026-01-01T20:00:00Z", "nextResume": "2026-01-01T08:00:00Z"},
        }));
        let text = text(&serde_json::from_value(unit).unwrap(), now());
        for line in [
            "Expires:     in 3d1h (2026-01-04T02:00:00Z)",
            "  tensorboard:   http://u/units/ada/-/tensorboard/",
            "  Next suspension:   in 19h (2026-01-01T20:00:00Z)",
            "  Next resume:       in 7h (2026-01-01T08:00:00Z)",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn unit_that_is_not_reconciled_is_described() {
        let text = text(&serde_json::from_value(testing::unit(serde_json::Value::Null)).unwrap(), now());
        assert!(text.contains("the unit is not reconciled yet"), "{text}");
        assert!(!text.contains("Stages"), "{text}");
    }

    #[test]
    fn events_are_in_chronological_order() {
        let event = |reason: &str, time: &str, count: i32| {
            json!({"metadata": {}, "involvedObject": {"kind": "Pod"}, "type": "Normal", "reason": reason,
                "message": "m\nn", "lastTimestamp": time, "count": count})
        };
        let all = json!([event("Late", "2026-01-01T00:59:00Z", 3), event("Early", "2026-01-01T00:10:00Z", 1)]);
        let all: Vec<Event> = serde_json::from_value(all).unwrap();
        assert_eq!(
            events(Ok(&all), now()).lines().collect::<Vec<_>>(),
            [
                "Events:",
                "  TYPE     REASON   AGE        OBJECT   MESSAGE",
                "  Normal   Early    50m        Pod      m n",
                "  Normal   Late     60s (x3)   Pod      m n",
            ]
        );
        assert_eq!(events(Err("forbidden".into()), now()), "Events: forbidden");
    }

    #[test]
    fn events_of_an_earlier_unit_of_the_name_are_left_out() {
        let mut unit = testing::unit(serde_json::Value::Null);
        unit["metadata"]["creationTimestamp"] = json!("2026-01-01T00:30:00Z");
        let unit: ComputingUnit = serde_json::from_value(unit).unwrap();
        let of = |kind: &str, uid: &str, time: &str| {
            let event = json!({"metadata": {}, "involvedObject": {"kind": kind, "uid": uid}, "lastTimestamp": time});
            concerns(&serde_json::from_value(event).unwrap(), &unit)
        };
        assert!(of("ComputingUnit", "u1", "2026-01-01T00:30:00Z"));
        assert!(!of("ComputingUnit", "u0", "2026-01-01T00:40:00Z"));
        assert!(of("Pod", "p2", "2026-01-01T00:30:00Z"));
        assert!(!of("Pod", "p1", "2026-01-01T00:29:59Z"));
    }
}
