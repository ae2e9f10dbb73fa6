//! Watching units until each has reached a state, or cannot reach it. [`crate::goal`] evaluates the status.
//!
//! The units of a namespace share a watch, and all units share the deadline.

use std::{
    collections::BTreeMap,
    future::{Future, pending},
    io,
    pin::pin,
    time::Duration,
};

use futures::{
    StreamExt,
    stream::{BoxStream, SelectAll, select_all},
};
use kube::{
    ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::time::{self, Instant, interval};

use crate::{
    connection::Connection,
    goal::Goal,
    object::Unit,
    outcome::{Outcome, Waited},
    screen::Screen,
    waiting::Waiting,
};

/// Interval at which the elapsed time is updated.
const TICK: Duration = Duration::from_millis(250);

/// Events of a namespace.
type Watches = SelectAll<BoxStream<'static, (String, Result<Event<Unit>, watcher::Error>)>>;

/// Waits for `units` until `deadline` or until `interrupt` completes, and shows the progress.
///
/// # Errors
/// If the progress cannot be written.
pub async fn wait(
    connection: &Connection,
    units: Vec<Unit>,
    goal: &Goal,
    deadline: Instant,
    interrupt: impl Future<Output = ()>,
    screen: &mut Screen<'_>,
) -> io::Result<Vec<Waited>> {
    let started = Instant::now();
    let mut events = watches(connection, &units);
    let mut waiting = Waiting::new(units, goal);
    let mut interrupt = pin!(interrupt);
    let mut deadline = pin!(time::timeout_at(deadline, pending::<()>()));
    let mut tick = interval(TICK);
    while !waiting.is_done() {
        tokio::select! {
            biased;
            () = &mut interrupt => waiting.end(Outcome::Interrupted, started.elapsed()),
            Some((namespace, event)) = events.next() => waiting.apply(&namespace, event, started.elapsed()),
            _ = &mut deadline => waiting.end(Outcome::TimedOut, started.elapsed()),
            _ = tick.tick() => {}
        }
        waiting.show(screen, started.elapsed())?;
    }
    screen.close();
    Ok(waiting.results(started.elapsed()))
}

/// A watch for each namespace: of the unit if it is the only one, otherwise of all units.
fn watches(connection: &Connection, units: &[Unit]) -> Watches {
    let mut namespaces: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for unit in units {
        namespaces.entry(unit.namespace().unwrap_or_default()).or_default().push(unit.name_any());
    }
    let watch = |(namespace, names): (String, Vec<String>)| {
        let config = match names.as_slice() {
            [name] => watcher::Config::default().fields(&format!("metadata.name={name}")),
            _ => watcher::Config::default(),
        };
        let events = watcher(connection.units(&namespace), config).default_backoff();
        events.map(move |event| (namespace.clone(), event)).boxed()
    };
    select_all(namespaces.into_iter().map(watch))
}

#[cfg(test)]
mod tests {
    use indicatif::{InMemoryTerm, ProgressDrawTarget};
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{self, Server, TARGET, condition, together};

    const T: &str = "2026-01-01T00:00:00Z";

    /// Waits while `script` responds. Returns the result and the output.
    async fn watch(script: impl AsyncFnOnce(&mut Server), interrupt: impl Future<Output = ()>) -> (Outcome, String) {
        let (connection, mut server) = testing::server();
        let mut shown = Vec::new();
        let mut screen = Screen::lines(vec!["ada".into()], &mut shown);
        let units = vec![created()];
        let waiting = Box::pin(wait(&connection, units, &Goal::Ready, in_ten_minutes(), interrupt, &mut screen));
        let waited = together(waiting, script(&mut server)).await.unwrap();
        drop(screen);
        (waited[0].outcome.clone(), String::from_utf8(shown).unwrap())
    }

    fn in_ten_minutes() -> Instant {
        Instant::now() + Duration::from_mins(10)
    }

    fn created() -> Unit {
        serde_json::from_value(testing::unit(Value::Null)).unwrap()
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
        let messages = outcome.messages(&Goal::Ready, TARGET, Duration::ZERO);
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
        let mut shown = Vec::new();
        let mut screen = Screen::lines(vec!["ada".into()], &mut shown);
        let timeout = Duration::from_mins(10);
        let script = async {
            server.list(&[unschedulable()]).await;
            let (_, _pending_response) = server.next().await;
            pending::<()>().await;
        };
        let units = vec![created()];
        let outcome = tokio::select! {
            waited = wait(&connection, units, &Goal::Ready, Instant::now() + timeout, pending(), &mut screen) => waited.unwrap()[0].outcome.clone(),
            () = script => unreachable!(),
        };
        drop(screen);
        assert_eq!(
            outcome.messages(&Goal::Ready, TARGET, timeout),
            ["timed out after 10m: computing unit \"ada\" is not ready, waiting for the pod: Unschedulable: about \
                 Unschedulable; see kubectl cu describe ada -n team"]
        );
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(shown.matches("waiting for the pod").count(), 1, "{shown}");
    }

    #[tokio::test(start_paused = true)]
    async fn interrupt_ends_the_wait_and_repeats_what_it_was_for() {
        let (outcome, _) = watch(async |_| {}, std::future::ready(())).await;
        let messages = outcome.messages(&Goal::Ready, TARGET, Duration::ZERO);
        assert!(matches!(outcome, Outcome::Interrupted(_)));
        assert!(
            messages[0].contains("is not ready, waiting for the operator: the unit is not reconciled yet"),
            "{messages:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn unit_that_has_reached_the_state_is_not_watched() {
        let (connection, _server) = testing::server();
        let mut screen = Screen::lines(vec!["ada".into()], std::io::sink());
        let units = vec![serde_json::from_value(ready()).unwrap()];
        let waited = wait(&connection, units, &Goal::Ready, Instant::now(), pending(), &mut screen).await.unwrap();
        assert!(matches!(waited[0].outcome, Outcome::Reached), "also without time to wait");
    }

    #[tokio::test(start_paused = true)]
    async fn units_are_waited_for_side_by_side() {
        let (connection, mut server) = testing::server();
        let terminal = InMemoryTerm::new(10, 60);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let mut screen = Screen::terminal(vec!["ada".into(), "bob".into()], target);
        let one = |name: &str, status: Value| testing::named(name, status);
        let units = ["ada", "bob"].map(|name| serde_json::from_value(one(name, Value::Null)).unwrap()).to_vec();
        let waiting = Box::pin(wait(&connection, units, &Goal::Suspended, in_ten_minutes(), pending(), &mut screen));
        let script = async {
            server.list_all(&[one("ada", Value::Null), one("bob", Value::Null)]).await;
            let suspended = || json!({"phase": "Suspended"});
            // The second is first.
            let events = [("MODIFIED", one("bob", suspended())), ("MODIFIED", one("ada", suspended()))];
            server.watch(&events).await;
        };
        let waited = together(waiting, script).await.unwrap();
        assert!(waited.iter().all(|one| matches!(one.outcome, Outcome::Reached)));
        let shown = terminal.contents();
        let lines: Vec<_> = shown.lines().filter(|line| line.contains("Suspended")).collect();
        assert!(lines.len() == 2 && lines[0].starts_with("ada  ") && lines[1].starts_with("bob  "), "{shown}");
    }

    #[tokio::test(start_paused = true)]
    async fn missing_permission_to_watch_is_reported() {
        let denied = json!({"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message":
            "computingunits.texera.apache.org is forbidden: User \"eve\" cannot list resource \"computingunits\" in API \
             group \"texera.apache.org\" in the namespace \"team\""});
        let (outcome, _) = watch(async |server| server.answer("GET", 403, &denied.to_string()).await, pending()).await;
        let messages = outcome.messages(&Goal::Ready, TARGET, Duration::ZERO);
        assert!(messages[0].starts_with("user \"eve\" cannot list computing units"), "{messages:?}");
        assert!(messages[1].contains("cannot watch"), "{messages:?}");
    }
}
