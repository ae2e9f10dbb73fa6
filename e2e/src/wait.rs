//! Waiting for something to become so, under a deadline. What is waited for is named, so that a failure says it.

use std::{fmt::Debug, future::Future, time::Duration};

use anyhow::{Context, bail};
use kube::{Api, Resource, runtime::wait::await_condition};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How often something is asked for that cannot be watched.
const TICK: Duration = Duration::from_millis(20);

/// Waits until an object is as `so` wants it, as a watch tells; `None` stands for no object.
///
/// # Errors
/// If that takes longer than `deadline`: what the object was then.
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

/// Lets that time pass: the whole of it is looked at, and nothing is waited for in it.
pub async fn pass(time: Duration) {
    let _ = timeout(time, std::future::pending::<()>()).await;
}

/// Asks again and again until there is an answer.
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
