//! A cut: from the n-th write on, no call passes.

use std::time::Duration;

use anyhow::Context;
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::timeout;

use super::call::Call;

/// The outcome of the last write before a cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LastWrite {
    /// The API server does not receive it.
    Refused,
    /// It takes effect, but the operator does not get the response.
    Unanswered,
    /// It takes effect, and the response is sent to the operator, which may be killed before it reads the response.
    Answered,
}

/// Reports when a cut takes effect.
#[derive(Clone, Debug)]
pub struct Cut(watch::Receiver<Option<Call>>);

impl Cut {
    /// Waits until the cut takes effect. Returns the write that triggered it.
    ///
    /// # Errors
    /// If the cut does not take effect within `deadline`, or is removed or replaced before that.
    pub async fn come(mut self, deadline: Duration) -> anyhow::Result<Call> {
        let call = timeout(deadline, self.0.wait_for(Option::is_some)).await;
        let call = call.with_context(|| format!("no cut within {deadline:?}"))?.context("the cut was removed")?;
        call.clone().context("no write before the cut")
    }

    /// Whether the cut has taken effect.
    #[must_use]
    pub fn has_come(&self) -> bool {
        self.0.borrow().is_some()
    }
}

/// A scheduled cut, with the number of writes until it takes effect, including the last one.
#[derive(Debug)]
struct Set {
    left: u64,
    last: LastWrite,
    cut: watch::Sender<Option<Call>>,
}

/// The gate that every call passes. While a cut is set, writes pass one at a time, so that none overtakes the cut.
#[derive(Debug, Default)]
pub(super) struct Gate {
    set: Mutex<Option<Set>>,
    came: watch::Sender<bool>,
}

/// The lock that a write holds while it is in flight. Empty if no cut is set.
pub(super) struct Pass<'a> {
    set: Option<MutexGuard<'a, Option<Set>>>,
}

impl Gate {
    /// Sets a cut at the `writes`-th write from now. Zero cuts immediately.
    pub(super) async fn cut_at(&self, writes: u64, last: LastWrite) -> Cut {
        let (cut, coming) = watch::channel(None);
        let mut set = self.set.lock().await;
        *set = Some(Set { left: writes, last, cut });
        self.came.send_replace(writes == 0);
        Cut(coming)
    }

    /// Removes the cut.
    pub(super) async fn restore(&self) {
        *self.set.lock().await = None;
        self.came.send_replace(false);
    }

    /// Waits until the cut takes effect.
    pub(super) fn came(&self) -> impl Future<Output = ()> + use<> {
        let mut came = self.came.subscribe();
        // If the gate is dropped, no call passes any more.
        async move { drop(came.wait_for(|came| *came).await) }
    }

    /// Requests a pass. Fails if the cut has taken effect, or takes effect with this write.
    pub(super) async fn pass(&self, call: &Call) -> Result<Pass<'_>, Option<Signal>> {
        let mut pass = Pass { set: None };
        if call.is_write() {
            let mut guard = self.set.lock().await;
            if let Some(set) = guard.as_mut()
                && set.left == 1
                && set.last == LastWrite::Refused
            {
                return Err(Some(self.come(set, call)));
            }
            pass.set = guard.is_some().then_some(guard);
        }
        if *self.came.borrow() { Err(None) } else { Ok(pass) }
    }

    /// Records that the API server has answered `call`. Returns whether to drop the response.
    pub(super) fn answered(&self, pass: Pass<'_>, call: &Call) -> (bool, Option<Signal>) {
        let Some(mut guard) = pass.set else { return (false, None) };
        let Some(set) = guard.as_mut() else { return (false, None) };
        if set.left > 1 {
            set.left -= 1;
            return (false, None);
        }
        let signal = self.come(set, call);
        (set.last == LastWrite::Unanswered, Some(signal))
    }

    fn come(&self, set: &mut Set, call: &Call) -> Signal {
        set.left = 0;
        self.came.send_replace(true);
        Signal { cut: set.cut.clone(), call: call.clone() }
    }
}

/// The notification of a cut. It is sent after the last write is counted, because tests read the counts then.
pub(super) struct Signal {
    cut: watch::Sender<Option<Call>>,
    call: Call,
}

impl Signal {
    /// Sends the notification.
    pub(super) fn give(self) {
        self.cut.send_replace(Some(self.call));
    }
}
