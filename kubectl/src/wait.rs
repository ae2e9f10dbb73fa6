//! Waits for a unit, telling its stages as they pass: one line that is rewritten on a terminal, a line each elsewhere.

use std::{
    io::{IsTerminal, Write, stderr},
    time::Duration,
};

use computing_unit_operator::api::ComputingUnit;
use futures::StreamExt;
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    progress::{Standing, stages, standing},
    refusal::Failure,
};

/// Waits until the unit can be opened and returns its URL.
pub async fn until_ready(
    units: Api<ComputingUnit>,
    name: &str,
    uid: Option<String>,
    limit: Duration,
) -> Result<String, Failure> {
    let mut teller = Teller::new(stderr().is_terminal());
    let outcome = tokio::select! {
        outcome = timeout_at(Instant::now() + limit, watch(units, name, uid, &mut teller)) => outcome,
        _ = tokio::signal::ctrl_c() => Ok(Err(Failure::NotReady(format!(
            "no longer waiting; computing unit {name:?} goes on starting: kubectl get computingunit {name}"
        )))),
    };
    let waited = teller.blocker.clone();
    teller.finish();
    outcome.unwrap_or_else(|_| {
        let what = waited.map(|what| format!(" ({what})")).unwrap_or_default();
        Err(Failure::NotReady(format!(
            "computing unit {name:?} was not Ready within {limit:?}{what}; it goes on starting: kubectl describe \
             computingunit {name}"
        )))
    })
}

async fn watch(
    units: Api<ComputingUnit>,
    name: &str,
    uid: Option<String>,
    teller: &mut Teller,
) -> Result<String, Failure> {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = std::pin::pin!(watcher(units, config).default_backoff());
    let gone = || Failure::NotReady(format!("computing unit {name:?} was deleted"));
    let mut listed = false;
    while let Some(event) = events.next().await {
        let unit = match event {
            Ok(watcher::Event::Apply(unit) | watcher::Event::InitApply(unit)) if unit.uid() == uid => unit,
            Ok(watcher::Event::Init) => {
                listed = false;
                continue;
            }
            Ok(watcher::Event::InitDone) if listed => continue,
            Ok(_) => return Err(gone()),
            Err(error) => {
                teller.block(format!("the API server cannot be watched: {error}"));
                continue;
            }
        };
        listed = true;
        teller.pass(&stages(&unit));
        match standing(&unit) {
            Standing::Ready(url) => return Ok(url),
            Standing::Failed(why) => {
                return Err(Failure::NotReady(format!("computing unit {name:?} cannot be opened: {why}")));
            }
            Standing::Waiting(Some(what)) => teller.block(what),
            Standing::Waiting(None) => {}
        }
    }
    Err(gone())
}

/// Tells what has not been told.
struct Teller {
    terminal: bool,
    passed: Vec<String>,
    blocker: Option<String>,
}

impl Teller {
    const fn new(terminal: bool) -> Self {
        Self { terminal, passed: vec![], blocker: None }
    }

    fn pass(&mut self, stages: &[(&'static str, Duration)]) {
        for (stage, after) in stages {
            let words = format!("{stage} {}s", after.as_secs());
            if !self.passed.iter().any(|passed| passed.starts_with(stage)) {
                self.blocker = None;
                self.passed.push(words.clone());
                self.tell(&words);
            }
        }
    }

    fn block(&mut self, what: String) {
        if self.blocker.as_ref() != Some(&what) {
            self.blocker = Some(what.clone());
            self.tell(&format!("waiting: {what}"));
        }
    }

    fn tell(&self, line: &str) {
        // Progress that nobody can see is no reason to stop waiting.
        let _ = if self.terminal {
            let blocker = self.blocker.iter().map(|blocker| format!("waiting: {blocker}"));
            let words: Vec<String> = self.passed.iter().cloned().chain(blocker).collect();
            write!(stderr().lock(), "\r\x1b[2K{}", fit(&words.join(", ")))
        } else {
            writeln!(stderr().lock(), "{line}")
        };
    }

    fn finish(&self) {
        if self.terminal && !(self.passed.is_empty() && self.blocker.is_none()) {
            let _ = writeln!(stderr().lock());
        }
    }
}

/// What fits into one line, so that it can be rewritten.
fn fit(text: &str) -> String {
    let width = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(80_usize);
    if text.chars().count() < width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(4)).collect();
    format!("{kept}...")
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::{Client, client::Body};
    use serde_json::{Value, json};

    use super::*;

    fn unit(version: u32, status: &Value) -> Value {
        json!({
            "apiVersion": "texera.apache.org/v1alpha1", "kind": "ComputingUnit",
            "metadata": {"name": "a", "namespace": "n", "uid": "u", "generation": 1, "resourceVersion": version.to_string(),
                         "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {}, "status": status,
        })
    }

    /// Waits while an API server lists `first` and then tells of `later`.
    async fn wait(first: &[Value], later: &[Value]) -> Result<String, Failure> {
        let (service, mut server) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        let client = Client::new(service, "n");
        let list = json!({
            "apiVersion": "texera.apache.org/v1alpha1", "kind": "ComputingUnitList",
            "metadata": {"resourceVersion": "1"}, "items": first,
        });
        let events: String = later.iter().map(|event| format!("{event}\n")).collect();
        let answers = async {
            for body in [list.to_string(), events] {
                let (_, send) = server.next_request().await.unwrap();
                send.send_response(Response::new(Body::from(body.into_bytes())));
            }
            std::future::pending::<()>().await;
        };
        let limit = Duration::from_secs(5);
        tokio::select! {
            outcome = until_ready(Api::namespaced(client, "n"), "a", Some("u".into()), limit) => outcome,
            () = answers => unreachable!(),
        }
    }

    #[tokio::test]
    async fn ends_with_the_url() {
        let ready = unit(2, &json!({"observedGeneration": 1, "phase": "Ready", "url": "http://u"}));
        let events = [json!({"type": "MODIFIED", "object": ready})];
        assert_eq!(wait(&[unit(1, &Value::Null)], &events).await.unwrap(), "http://u");
    }

    #[tokio::test]
    async fn ends_when_the_unit_goes() {
        let events = [json!({"type": "DELETED", "object": unit(2, &Value::Null)})];
        let failure = wait(&[unit(1, &Value::Null)], &events).await.unwrap_err();
        assert!(failure.to_string().contains("deleted"), "{failure}");
        assert!(wait(&[], &[]).await.unwrap_err().to_string().contains("deleted"), "before it was seen");
    }

    #[tokio::test(start_paused = true)]
    async fn ends_in_time_with_what_it_waited_for() {
        let waiting = json!({"observedGeneration": 1, "phase": "Pending", "conditions": [{
            "type": "Ready", "status": "False", "reason": "Unschedulable", "message": "no node",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]});
        let failure = wait(&[unit(1, &waiting)], &[]).await.unwrap_err();
        assert!(failure.to_string().contains("Unschedulable: no node"), "{failure}");
    }
}
