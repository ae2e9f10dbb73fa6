//! Waiting until units exist, as `kubectl wait --for=create` does.

use futures::{StreamExt, future::try_join_all};
use kube::runtime::{WatchStreamExt, wait::await_condition, watcher};
use tokio::time::{Instant, timeout_at};

use super::select::{Query, Select, Unselected};
use crate::{connection::Connection, error::Error, object::Unit, stdio::ctrl_c};

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
                let exists = |name: String| async move {
                    let units = connection.units(&connection.namespace);
                    await_condition(units, &name, |unit: Option<&Unit>| unit.is_some()).await.map(drop)
                };
                try_join_all(names.into_iter().map(exists)).await.map_err(|error| Error::message(error.to_string()))?;
            }
            Query::Listed { labels, fields, all_namespaces } => {
                let units = if all_namespaces {
                    kube::Api::all(connection.client.clone())
                } else {
                    connection.units(&connection.namespace)
                };
                let selection =
                    watcher::Config { label_selector: labels, field_selector: fields, ..watcher::Config::default() };
                let mut found = Box::pin(watcher(units, selection).default_backoff().applied_objects());
                while !matches!(found.next().await, Some(Ok(_)) | None) {}
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
