//! Waiting until units exist, as `kubectl wait --for=create` does.

use std::pin::pin;

use futures::{StreamExt, future::try_join_all};
use kube::{
    Api,
    runtime::{
        WatchStreamExt,
        watcher::{Config, Event, watcher},
    },
};
use tokio::time::{Instant, timeout_at};

use super::select::{Query, Select, Unselected};
use crate::{connection::Connection, error::Error, object::Unit, stdio::ctrl_c, waiting::retried};

/// The end of the wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// All units exist that were selected by name, or one that was selected otherwise.
    Created,
    /// They do not exist in time.
    TimedOut,
    /// Ctrl-C.
    Interrupted,
}

/// Waits until the selected units exist.
///
/// # Errors
/// If they cannot be watched.
pub async fn created(connection: &Connection, select: &Select, deadline: Instant) -> Result<Ended, Error> {
    let query = select.query(Unselected::Refused)?;
    let waiting = async {
        match query {
            Query::Named(names) => {
                let one = |name: String| {
                    let selection = Config::default().fields(&format!("metadata.name={name}"));
                    exists(connection, connection.units(&connection.namespace), selection)
                };
                try_join_all(names.into_iter().map(one)).await?;
            }
            Query::Listed { labels, fields, all_namespaces } => {
                let units = connection.units_in(all_namespaces);
                let selection = Config { label_selector: labels, field_selector: fields, ..Config::default() };
                exists(connection, units, selection).await?;
            }
        }
        Ok(Ended::Created)
    };
    tokio::select! {
        biased;
        ended = timeout_at(deadline, waiting) => ended.unwrap_or(Ok(Ended::TimedOut)),
        () = ctrl_c() => Ok(Ended::Interrupted),
    }
}

/// Waits until there is a unit of that selection.
async fn exists(connection: &Connection, units: Api<Unit>, selection: Config) -> Result<(), Error> {
    let mut events = pin!(watcher(units, selection).default_backoff());
    let mut listed = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::InitApply(_) | Event::Apply(_)) => break,
            Ok(Event::InitDone) => listed = true,
            Ok(Event::Init | Event::Delete(_)) => {}
            Err(error) => retried(error, listed, connection.here())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{self, Server, named, together};

    /// Waits for a selection while `script` responds.
    async fn wait(select: Select, script: impl AsyncFnOnce(&mut Server)) -> Result<Ended, String> {
        let (connection, mut server) = testing::server();
        let deadline = Instant::now() + Duration::from_mins(10);
        let waiting = async { created(&connection, &select, deadline).await.map_err(|error| error.to_string()) };
        together(waiting, script(&mut server)).await
    }

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        select: Select,
    }

    fn select(line: &str) -> Select {
        Line::try_parse_from(["x"].into_iter().chain(line.split_whitespace())).unwrap().select
    }

    #[tokio::test(start_paused = true)]
    async fn unit_that_exists_is_not_watched() {
        let ended = wait(select("ada"), async |server| server.list(&[named("ada", Value::Null)]).await).await;
        assert_eq!(ended, Ok(Ended::Created));
    }

    #[tokio::test(start_paused = true)]
    async fn unit_is_waited_for_until_it_is_created() {
        let ended = wait(select("ada"), async |server| {
            server.list(&[]).await;
            server.watch(&[("ADDED", named("ada", Value::Null))]).await;
        });
        assert_eq!(ended.await, Ok(Ended::Created));
    }

    #[tokio::test(start_paused = true)]
    async fn each_named_unit_has_to_exist() {
        let ended = wait(select("ada bob"), async |server| {
            server.list(&[named("ada", Value::Null)]).await;
            server.list(&[]).await;
            // No other response: the watch of bob lasts until the deadline.
            let (request, _response) = server.next().await;
            assert!(request.contains("watch=true") && request.contains("metadata.name%3Dbob"), "{request}");
            tokio::time::sleep_until(Instant::now() + Duration::from_mins(11)).await;
        });
        assert_eq!(ended.await, Ok(Ended::TimedOut));
    }

    #[tokio::test(start_paused = true)]
    async fn one_unit_of_a_selection_is_enough() {
        let ended = wait(select("-l team=blue"), async |server| {
            let list = json!({
                "apiVersion": "texera.apache.org/v1alpha1", "kind": "ComputingUnitList",
                "metadata": {"resourceVersion": "1"}, "items": [],
            });
            let request =
                "GET /apis/texera.apache.org/v1alpha1/namespaces/team/computingunits?&labelSelector=team%3Dblue";
            server.answer(request, 200, &list.to_string()).await;
            server.watch(&[("ADDED", named("eve", Value::Null))]).await;
        });
        assert_eq!(ended.await, Ok(Ended::Created));
    }

    #[tokio::test(start_paused = true)]
    async fn forbidden_watch_is_reported_at_once() {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403, "reason": "Forbidden",
            "message": "computingunits.texera.apache.org is forbidden: User \"eve\" cannot list resource",
        });
        let ended = wait(select("ada"), async |server| server.answer("GET ", 403, &status.to_string()).await);
        let error = ended.await.unwrap_err();
        assert!(error.contains("eve") && error.contains("cannot list"), "{error}");
    }
}
