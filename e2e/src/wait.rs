//! Waits for a condition under a deadline. The error names the condition.

use std::{fmt::Debug, future::Future, time::Duration};

use anyhow::{Context, bail};
use kube::{Api, Resource, runtime::wait::await_condition};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// The polling interval for conditions that cannot be watched.
const TICK: Duration = Duration::from_millis(20);

/// Watches an object until it satisfies `so`. `None` means that the object does not exist.
///
/// # Errors
/// If that takes longer than `deadline`. The error contains the object.
pub async fn until<K>(
    what: &str,
    deadline: Duration,
    api: Api<K>,
    name: &str,
    so: impl Fn(Option<&K>) -> bool,
) -> anyhow::Result<Option<K>>
where
    K: Resource + Clone + Debug + Send + DeserializeOwned + 'static,
{
    let condition = await_condition(api.clone(), name, |object: Option<&K>| so(object));
    match timeout(deadline, condition).await {
        Ok(object) => object.with_context(|| format!("watch {name} for {what}")),
        Err(_) => bail!("{name}: no {what} within {deadline:?}; it is {:#?}", api.get_opt(name).await?),
    }
}

/// Waits for a fixed time, during which something is observed.
pub async fn pass(time: Duration) {
    let _ = timeout(time, std::future::pending::<()>()).await;
}

/// Polls until there is a result.
///
/// # Errors
/// If a poll fails, or there is no result within `deadline`.
pub async fn eventually<T, F>(what: &str, deadline: Duration, ask: impl Fn() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let end = Instant::now() + deadline;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(answer) = ask().await.with_context(|| format!("poll {what}"))? {
            return Ok(answer);
        }
        if Instant::now() >= end {
            bail!("no {what} within {deadline:?}");
        }
    }
}
