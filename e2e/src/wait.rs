//! Waiting for a condition under a deadline. A failure names what was waited for.

use std::{fmt::Debug, future::Future, time::Duration};

use anyhow::{Context, bail};
use kube::{Api, Resource, runtime::wait::await_condition};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// The interval at which something is polled that cannot be watched.
const TICK: Duration = Duration::from_millis(20);

/// Watches an object until it satisfies `so`; `None` means that it does not exist.
///
/// # Errors
/// If that takes longer than `deadline`: the object at that time.
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

/// Lets that time pass, for what is observed over all of it.
pub async fn pass(time: Duration) {
    let _ = timeout(time, std::future::pending::<()>()).await;
}

/// Polls until there is a result.
///
/// # Errors
/// If asking fails, or there is none within `deadline`.
pub async fn eventually<T, F>(what: &str, deadline: Duration, ask: impl Fn() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let end = Instant::now() + deadline;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(answer) = ask().await.with_context(|| format!("ask for {what}"))? {
            return Ok(answer);
        }
        if Instant::now() >= end {
            bail!("no {what} within {deadline:?}");
        }
    }
}
