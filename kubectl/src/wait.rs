//! Watching one unit until it has reached a state, or cannot reach it. [`crate::goal`] evaluates the status.

use std::{
    future::{Future, pending},
    io::{self, Write},
    pin::pin,
    time::Duration,
};

use computing_unit_api as api;
use computing_unit_api::ComputingUnit;
use futures::StreamExt;
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio::time::{self, Instant, interval};

use crate::{
    explain::{self, Target},
    goal::{Goal, Verdict},
    progress::Report,
    screen::Screen,
};

/// Interval at which the elapsed time is updated.
const TICK: Duration = Duration::from_millis(250);

/// Result of a wait.
#[derive(Debug)]
pub enum Outcome {
    /// The unit has reached the state.
    Reached,
    /// The unit cannot reach the state without intervention: the reason.
    Failed(String),
    /// The unit was deleted, or replaced by another of the same name.
    Deleted,
    /// The timeout has passed: the unmet condition.
    TimedOut(String),
    /// Ctrl-C.
    Interrupted,
    /// The unit cannot be watched.
    WatchFailed(Box<kube::Error>),
}

/// Result of a wait, and the last observed state of the unit.
pub struct Waited {
    /// Result of the wait.
    pub outcome: Outcome,
    /// Last observed state of the unit.
    pub last: ComputingUnit,
}

/// Waits for `unit` until `timeout` has passed or `interrupt` completes, and shows the progress.
///
/// # Errors
/// If the progress cannot be written.
pub async fn wait<W: Write>(
    api: Api<ComputingUnit>,
    unit: ComputingUnit,
    goal: Goal,
    timeout: Duration,
    interrupt: impl Future<Output = ()>,
    screen: &mut Screen<W>,
) -> io::Result<Waited> {
    let started = Instant::now();
    let name = unit.name_any();
    let mut report = Report::new(goal, &unit);
    let mut last = unit;
    let mut seen = false;
    let mut events = pin!(watcher::watch_object(api, &name).default_backoff());
    let mut interrupt = pin!(interrupt);
    let mut deadline = pin!(time::timeout(timeout, pending::<()>()));
    let mut tick = interval(TICK);
    let outcome = loop {
        let mut stages = Vec::new();
        let mut end = None;
        tokio::select! {
            biased;
            () = &mut interrupt => end = Some(Outcome::Interrupted),
            Some(event) = events.next() => match event {
                Ok(Some(unit)) if unit.uid() == last.uid() => {
                    seen = true;
                    stages = report.observe(&unit, started.elapsed());
                    end = goal.verdict(&unit).map(Outcome::from);
                    last = unit;
                }
                Ok(_) => end = Some(if goal == Goal::Deleted { Outcome::Reached } else { Outcome::Deleted }),
                Err(error) => match fatal(error, seen) {
                    Ok(error) => end = Some(Outcome::WatchFailed(Box::new(error))),
                    Err(error) => report.disconnected(&error, started.elapsed()),
                },
            },
            _ = &mut deadline => end = Some(Outcome::TimedOut(report.waiting_for(started.elapsed()))),
            _ = tick.tick() => {}
        }
        screen.show(&mut report, &stages, &name, started.elapsed())?;
        if let Some(outcome) = end {
            break outcome;
        }
    };
    screen.finish()?;
    Ok(Waited { outcome, last })
}

/// An error that ends the watch. An API server that has just started may reject requests that it allows later, so only the
/// first response is considered.
///
/// # Errors
/// The message, if the watch is retried.
pub fn fatal(error: watcher::Error, seen: bool) -> Result<kube::Error, String> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            if !seen && matches!(status.code, 401 | 403 | 404) =>
        {
            Ok(kube::Error::Api(status))
        }
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => Err(explain::innermost(&error).to_string()),
        other => Err(other.to_string()),
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Reached => Self::Reached,
            Verdict::Failed(why) => Self::Failed(why),
            Verdict::Deleted => Self::Deleted,
        }
    }
}

impl Outcome {
    /// Error messages for the user; empty if the unit has reached the state.
    pub fn messages(&self, goal: Goal, target: Target<'_>, timeout: Duration) -> Vec<String> {
        let Target { name, namespace, .. } = target;
        let state = goal.state();
        let continues = if goal == Goal::Ready { "; the start continues" } else { "" };
        match self {
            Self::Reached => Vec::new(),
            Self::Failed(reason) => vec![format!(
                "computing unit {name:?} is not {state}: {}; change it with kubectl edit computingunit {name} -n {namespace}",
                reason.trim_end_matches('.')
            )],
            Self::Deleted => vec![format!("computing unit {name:?} was deleted before it was {state}")],
            Self::TimedOut(unmet) => vec![format!(
                "timed out after {}: computing unit {name:?} is not {state}, {}{continues}",
                api::Duration(timeout),
                unmet.trim_end_matches('.')
            )],
            Self::Interrupted => vec![format!(
                "interrupted: stopped waiting for computing unit {name:?}; no change is reverted{continues}"
            )],
            Self::WatchFailed(error) => {
                let mut all = explain::request(error, target);
                all.push(format!("cannot watch computing unit {name:?}; no change is reverted"));
                all
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{self, Server, TARGET, condition, together};

    const T: &str = "2026-01-01T00:00:00Z";

    /// Waits while `script` responds. Returns the result and the output.
    async fn watch(script: impl AsyncFnOnce(&mut Server), interrupt: impl Future<Output = ()>) -> (Outcome, String) {
        let (connection, mut server) = testing::server();
        let created = serde_json::from_value(testing::unit(Value::Null)).unwrap();
        let mut shown = Vec::new();
        let mut screen = Screen::new(&mut shown, false);
        let waiting =
            Box::pin(wait(connection.units(), created, Goal::Ready, Duration::from_mins(10), interrupt, &mut screen));
        let outcome = together(waiting, script(&mut server)).await.unwrap().outcome;
        (outcome, String::from_utf8(shown).unwrap())
    }

    fn ready() -> Value {
        testing::unit(json!({"phase": "Ready", "url": "http://u/?cuid=1", "stages": {
            "accepted": T, "scheduled": T, "podReady": T, "routeAccepted": T, "reachable": T,
        }}))
    }

    fn unschedulable() -> Value {
        testing::unit(json!({"phase": "Pending", "stages": {"accepted": T}, "conditions": [
            condition("Accepted", "True", "Accepted"), condition("PodReady", "False", "Unschedulable"),
        ]}))
    }

    #[tokio::test(start_paused = true)]
    async fn wait_ends_when_the_unit_is_ready() {
        let (outcome, shown) = watch(
            async |server| {
                server.list(&[testing::unit(Value::Null)]).await;
                server.watch(&[("MODIFIED", unschedulable()), ("MODIFIED", ready())]).await;
            },
            pending(),
        )
        .await;
        assert!(matches!(outcome, Outcome::Reached));
        let stages: Vec<_> = shown.lines().map(|line| &line[9..]).collect();
        assert_eq!(stages, ["accepted", "scheduled", "pod ready", "route accepted", "reachable"]);
    }

    #[tokio::test(start_paused = true)]
    async fn watch_is_restarted_after_an_error() {
        let forbidden =
            r#"{"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message": "later"}"#;
        let (outcome, shown) = watch(
            async |server| {
                server.list(&[testing::unit(Value::Null)]).await;
                server.watch(&[]).await;
                for _ in 0..4 {
                    server.answer("GET", 403, forbidden).await;
                }
                server.watch(&[("MODIFIED", ready())]).await;
            },
            pending(),
        )
        .await;
        assert!(matches!(outcome, Outcome::Reached));
        assert!(shown.contains("waiting for the API server: later"), "{shown}");
    }

    #[tokio::test(start_paused = true)]
    async fn permanent_reason_ends_the_wait() {
        let rejected = testing::unit(json!({"phase": "Pending", "conditions": [
            condition("Accepted", "False", "ImageNotOffered"),
        ]}));
        let (outcome, _) = watch(async |server| server.list(&[rejected]).await, pending()).await;
        let messages = outcome.messages(Goal::Ready, TARGET, Duration::ZERO);
        let expected = "computing unit \"ada\" is not ready: ImageNotOffered: about ImageNotOffered;";
        assert!(messages[0].starts_with(expected), "{messages:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn deletion_or_replacement_ends_the_wait() {
        let script = async |server: &mut Server| {
            server.list(&[testing::unit(Value::Null)]).await;
            server.watch(&[("DELETED", testing::unit(Value::Null))]).await;
        };
        assert!(matches!(watch(script, pending()).await.0, Outcome::Deleted));
        assert!(matches!(watch(async |server| server.list(&[]).await, pending()).await.0, Outcome::Deleted));
        let mut other = ready();
        other["metadata"]["uid"] = json!("u2");
        let replaced = watch(async |server| server.list(&[other]).await, pending()).await.0;
        assert!(matches!(replaced, Outcome::Deleted), "it has another URL");
    }

    #[tokio::test(start_paused = true)]
    async fn timeout_reports_the_unmet_condition() {
        let (connection, mut server) = testing::server();
        let created = serde_json::from_value(testing::unit(Value::Null)).unwrap();
        let mut shown = Vec::new();
        let mut screen = Screen::new(&mut shown, false);
        let timeout = Duration::from_mins(10);
        let script = async {
            server.list(&[unschedulable()]).await;
            let (_, _pending_response) = server.next().await;
            pending::<()>().await;
        };
        let outcome = tokio::select! {
            waited = wait(connection.units(), created, Goal::Ready, timeout, pending(), &mut screen) => waited.unwrap().outcome,
            () = script => unreachable!(),
        };
        assert_eq!(
            outcome.messages(Goal::Ready, TARGET, timeout),
            ["timed out after 10m: computing unit \"ada\" is not ready, waiting for the pod: Unschedulable: about \
                 Unschedulable; the start continues"]
        );
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(shown.matches("waiting for the pod").count(), 1, "{shown}");
    }

    #[tokio::test(start_paused = true)]
    async fn interrupt_ends_the_wait_only() {
        let (outcome, _) = watch(async |_| {}, std::future::ready(())).await;
        assert!(matches!(outcome, Outcome::Interrupted));
        assert!(outcome.messages(Goal::Ready, TARGET, Duration::ZERO)[0].contains("the start continues"));
    }

    #[tokio::test(start_paused = true)]
    async fn missing_permission_to_watch_is_reported() {
        let denied = json!({"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message":
            "computingunits.texera.apache.org is forbidden: User \"eve\" cannot list resource \"computingunits\" in API \
             group \"texera.apache.org\" in the namespace \"team\""});
        let (outcome, _) = watch(async |server| server.answer("GET", 403, &denied.to_string()).await, pending()).await;
        let messages = outcome.messages(Goal::Ready, TARGET, Duration::ZERO);
        assert!(messages[0].starts_with("user \"eve\" cannot list computing units"), "{messages:?}");
        assert!(messages[1].contains("cannot watch"), "{messages:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn progress_on_a_terminal_is_one_line() {
        let (connection, mut server) = testing::server();
        let created = serde_json::from_value(testing::unit(Value::Null)).unwrap();
        let mut shown = Vec::new();
        let mut screen = Screen::new(&mut shown, true);
        let waiting =
            Box::pin(wait(connection.units(), created, Goal::Ready, Duration::from_mins(10), pending(), &mut screen));
        together(waiting, server.list(&[ready()])).await.unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(shown.matches('\n').count(), 1, "{shown:?}");
        assert!(shown.ends_with("reachable 0.0s\x1b[?7h\n"), "{shown:?}");
    }
}
