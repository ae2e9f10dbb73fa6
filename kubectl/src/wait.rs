//! Watching one unit until it is as it is wanted, or until waiting is pointless. Reads only; what a status means is decided
//! in [`crate::goal`].

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
use tokio::time::{Instant, interval, timeout};

use crate::{
    goal::{Goal, Verdict},
    progress::Report,
    refusal::{self, Asked},
    screen::Screen,
};

/// How often the time on the screen moves.
const TICK: Duration = Duration::from_millis(250);

/// How waiting ended.
#[derive(Debug)]
pub enum Outcome {
    /// The unit is as it was wanted.
    Reached,
    /// It cannot become so by itself: why.
    Failed(String),
    /// It was deleted, or replaced by another of its name.
    Deleted,
    /// The deadline passed: what it was waiting for then.
    Late(String),
    /// The user had enough.
    Interrupted,
    /// It cannot be watched.
    Blind(Box<kube::Error>),
}

/// How waiting ended, and the unit as it was seen last.
pub struct Waited {
    /// How waiting ended.
    pub outcome: Outcome,
    /// The unit as it was seen last.
    pub last: ComputingUnit,
}

/// Waits for `unit`, at most for `patience` and until `interrupt` resolves, and shows how far it is.
///
/// # Errors
/// Where nobody reads the progress any more.
pub async fn wait<W: Write>(
    api: Api<ComputingUnit>,
    unit: ComputingUnit,
    goal: Goal,
    patience: Duration,
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
    let mut deadline = pin!(timeout(patience, pending::<()>()));
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
                    stages = report.see(&unit, started.elapsed());
                    end = goal.verdict(&unit).map(Outcome::from);
                    last = unit;
                }
                Ok(_) => end = Some(if goal == Goal::Deleted { Outcome::Reached } else { Outcome::Deleted }),
                Err(error) => match fatal(error, seen) {
                    Ok(error) => end = Some(Outcome::Blind(Box::new(error))),
                    Err(error) => report.lost(&error, started.elapsed()),
                },
            },
            _ = &mut deadline => end = Some(Outcome::Late(report.waits_for(started.elapsed()))),
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

/// An error that another try would not change, or the words for one that it may.
///
/// An API server that has just started refuses what it allows a moment later, so only the first answer counts.
///
/// # Errors
/// The words, where it is worth another try.
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
        | watcher::Error::WatchFailed(error) => Err(refusal::innermost(&error).to_string()),
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
    /// Why the unit is not as it was wanted; nothing where it is.
    pub fn sentences(&self, goal: Goal, asked: Asked<'_>, patience: Duration) -> Vec<String> {
        let Asked { name, namespace, .. } = asked;
        let state = goal.word();
        let stays = if goal == Goal::Ready { "; it stays and keeps starting" } else { "" };
        match self {
            Self::Reached => Vec::new(),
            Self::Failed(why) => {
                let not = if goal == Goal::Ready { "does not run".to_owned() } else { format!("is not {state}") };
                vec![format!(
                    "the unit {name} {not}: {}; it stays: kubectl edit computingunit {name} -n {namespace} changes it, \
                     kubectl delete computingunit {name} -n {namespace} removes it",
                    why.trim_end_matches('.')
                )]
            }
            Self::Deleted => vec![format!("the unit {name} was deleted before it was {state}")],
            Self::Late(waiting) => vec![format!(
                "the unit {name} is not {state} after {}, still {}{stays}: kubectl get computingunit {name} -n \
                 {namespace} --watch",
                api::Duration(patience),
                waiting.trim_end_matches('.')
            )],
            Self::Interrupted => vec![format!(
                "interrupted; nothing is taken back of what was asked of the unit {name}{stays}: kubectl get \
                 computingunit {name} -n {namespace} --watch"
            )],
            Self::Blind(error) => {
                let mut all = refusal::request(error, asked);
                all.push(format!("the unit {name} cannot be waited for; what was asked of it stands"));
                all
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{self, ASKED, Server, condition, together};

    const T: &str = "2026-01-01T00:00:00Z";

    /// Waits ten minutes at most while `script` answers; returns how it ended and what was shown.
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
    async fn a_unit_that_becomes_ready() {
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
    async fn a_watch_that_breaks_is_begun_again() {
        let away = r#"{"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message": "later"}"#;
        let (outcome, shown) = watch(
            async |server| {
                server.list(&[testing::unit(Value::Null)]).await;
                server.watch(&[]).await;
                for _ in 0..4 {
                    server.answer("GET", 403, away).await;
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
    async fn what_only_the_user_can_cure_ends_it() {
        let refused = testing::unit(json!({"phase": "Pending", "conditions": [
            condition("Accepted", "False", "ImageNotOffered"),
        ]}));
        let (outcome, _) = watch(async |server| server.list(&[refused]).await, pending()).await;
        let said = outcome.sentences(Goal::Ready, ASKED, Duration::ZERO);
        assert!(said[0].starts_with("the unit ada does not run: ImageNotOffered: about ImageNotOffered;"), "{said:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_that_goes() {
        let script = async |server: &mut Server| {
            server.list(&[testing::unit(Value::Null)]).await;
            server.watch(&[("DELETED", testing::unit(Value::Null))]).await;
        };
        assert!(matches!(watch(script, pending()).await.0, Outcome::Deleted));
        assert!(matches!(watch(async |server| server.list(&[]).await, pending()).await.0, Outcome::Deleted));
        let mut other = ready();
        other["metadata"]["uid"] = json!("u2");
        let replaced = watch(async |server| server.list(&[other]).await, pending()).await.0;
        assert!(matches!(replaced, Outcome::Deleted), "another unit's URL is not this one's");
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_deadline_it_says_what_it_waited_for() {
        let (connection, mut server) = testing::server();
        let created = serde_json::from_value(testing::unit(Value::Null)).unwrap();
        let mut shown = Vec::new();
        let mut screen = Screen::new(&mut shown, false);
        let patience = Duration::from_mins(10);
        let script = async {
            server.list(&[unschedulable()]).await;
            let (_, _unanswered) = server.asked().await;
            pending::<()>().await;
        };
        let outcome = tokio::select! {
            waited = wait(connection.units(), created, Goal::Ready, patience, pending(), &mut screen) => waited.unwrap().outcome,
            () = script => unreachable!(),
        };
        assert_eq!(
            outcome.sentences(Goal::Ready, ASKED, patience),
            [
                "the unit ada is not ready after 10m, still waiting for the pod: Unschedulable: about Unschedulable; it stays and \
              keeps starting: kubectl get computingunit ada -n team --watch"
            ]
        );
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(shown.matches("waiting for the pod").count(), 1, "{shown}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_interrupt_leaves_the_unit() {
        let (outcome, _) = watch(async |_| {}, std::future::ready(())).await;
        assert!(matches!(outcome, Outcome::Interrupted));
        assert!(outcome.sentences(Goal::Ready, ASKED, Duration::ZERO)[0].contains("it stays and keeps starting"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_create_but_not_watch_is_told_so() {
        let denied = json!({"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message":
            "computingunits.texera.apache.org is forbidden: User \"eve\" cannot list resource \"computingunits\" in API \
             group \"texera.apache.org\" in the namespace \"team\""});
        let (outcome, _) = watch(async |server| server.answer("GET", 403, &denied.to_string()).await, pending()).await;
        let said = outcome.sentences(Goal::Ready, ASKED, Duration::ZERO);
        assert!(said[0].starts_with("user \"eve\" may not list computing units in namespace team"), "{said:?}");
        assert!(said[1].contains("cannot be waited for"), "{said:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_terminal_gets_one_line() {
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
