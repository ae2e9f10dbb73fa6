//! Leader election: one process works, the others stand by.
//!
//! The protocol is that of client-go's leader election. The leader renews a Lease, and stops its work early enough for it
//! to end before a standby may take the Lease over. There is no fencing: a process that lost the Lease has to exit.

use std::pin::pin;

use kube::Client;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use self::{
    elector::{Attempt, Elector, Held},
    record::{Pace, View},
};
use crate::{config::Election, health::Gates, metrics::Metrics};

mod elector;
mod record;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

/// The gate of a process that does not know yet which process leads. A standby is ready.
const GATE: &str = "leader election";

/// Why this process must not work any more.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// Another process holds the Lease, or it was released by hand.
    #[error("this process no longer holds the Lease {0}: it exits, and restarts as a standby")]
    Taken(String),
    /// The Lease could not be renewed before the renew deadline.
    #[error(
        "the Lease {0} could not be renewed: this process exits before another one takes over; check whether the API server can be reached"
    )]
    Expired(String),
}

/// Acquires the Lease, runs `work` while it is held, and releases it. `work` has to end soon after its token is
/// cancelled, which happens at `shutdown` and when the Lease is lost. Returns the output of `work`, or `None` if
/// `shutdown` came before the Lease was acquired.
///
/// # Errors
/// If the Lease was lost. The process has to exit then, because `work` may have been interrupted.
pub async fn lead<W, F>(
    client: &Client,
    election: &Election,
    metrics: &Metrics,
    gates: &Gates,
    shutdown: &CancellationToken,
    work: W,
) -> Result<Option<F::Output>, Lost>
where
    W: FnOnce(CancellationToken) -> F,
    F: Future,
{
    let elector = Elector::new(client, election);
    gates.close(GATE);
    let Some(mut held) = acquired(&elector, gates, shutdown).await else {
        return Ok(None);
    };
    tracing::info!(lease = elector.label, identity = elector.identity, "this process leads");
    metrics.leading(true);
    gates.open(GATE);
    let working = shutdown.child_token();
    let mut work = pin!(work(working.clone()));
    let outcome = tokio::select! {
        done = &mut work => Ok(Some(done)),
        lost = elector.keep(&mut held) => Err(lost),
    };
    if let Err(lost) = &outcome {
        tracing::error!(reason = %lost, "stopping");
        working.cancel();
        let end = match lost {
            Lost::Taken(_) => Instant::now(),
            Lost::Expired(_) => elector.expiry(&held),
        };
        if timeout_at(end, work).await.is_err() {
            tracing::warn!("the work was interrupted");
        }
    }
    metrics.leading(false);
    if outcome.is_ok() {
        elector.release(held).await;
    }
    outcome
}

/// The Lease, once this process holds it; `None` if `shutdown` comes first.
async fn acquired(elector: &Elector, gates: &Gates, shutdown: &CancellationToken) -> Option<Held> {
    let mut view = View::new(elector.timing.lease_duration, Instant::now());
    let mut pace = Pace::new(&elector.identity, elector.timing.retry_period);
    let mut leader = None;
    while !shutdown.is_cancelled() {
        // An attempt is not interrupted by `shutdown`: a Lease that it acquired has to be released.
        match elector.acquire(&mut view).await {
            Ok(Attempt::Acquired(held)) if shutdown.is_cancelled() => elector.release(*held).await,
            Ok(Attempt::Acquired(held)) => return Some(*held),
            // The next attempt shows who the leader is.
            Ok(Attempt::Conflict) => {}
            Ok(Attempt::HeldBy(holder)) => {
                gates.open(GATE);
                if leader.as_ref() != Some(&holder) {
                    tracing::info!(lease = elector.label, holder, "another process leads; this one stands by");
                    leader = Some(holder);
                }
            }
            Err(error) => {
                gates.close(GATE);
                tracing::warn!(lease = elector.label, %error, "cannot determine the leader; retrying");
            }
        }
        let _ = timeout(pace.next(), shutdown.cancelled()).await;
    }
    None
}
