//! A cut: from the n-th write on, no call passes. It decides which calls pass, and makes none itself.

use std::time::Duration;

use anyhow::Context;
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::timeout;

use super::call::Call;

/// What becomes of the last write before a cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LastWrite {
    /// The API server never sees it.
    Refused,
    /// It is done, but the operator never gets the answer.
    Unanswered,
    /// It is done, and the answer is sent to the operator, which may be killed before it has read it.
    Answered,
}

/// Tells when a cut has come.
#[derive(Clone, Debug)]
pub struct Cut(watch::Receiver<Option<Call>>);

impl Cut {
    /// Waits for the cut; the write it came with.
    ///
    /// # Errors
    /// If it does not come within `deadline`, or the proxy was mended, or given another cut, before.
    pub async fn come(mut self, deadline: Duration) -> anyhow::Result<Call> {
        let call = timeout(deadline, self.0.wait_for(Option::is_some)).await;
        let call = call.with_context(|| format!("a cut within {deadline:?}"))?.context("the cut was called off")?;
        call.clone().context("the write before the cut")
    }

    /// Whether the cut has come.
    #[must_use]
    pub fn has_come(&self) -> bool {
        self.0.borrow().is_some()
    }
}

/// A cut that is set: the writes left until it takes effect, including the last one.
#[derive(Debug)]
struct Set {
    left: u64,
    last: LastWrite,
    cut: watch::Sender<Option<Call>>,
}

/// The place that every call passes. While a cut is set, writes pass it one by one, so that none overtakes the cut.
#[derive(Debug, Default)]
pub(super) struct Gate {
    set: Mutex<Option<Set>>,
    came: watch::Sender<bool>,
}

/// What a write holds while it is with the API server; nothing, if no cut is set.
pub(super) struct Pass<'a> {
    set: Option<MutexGuard<'a, Option<Set>>>,
}

impl Gate {
    /// Sets a cut with the `writes`-th write from now; none means at once.
    pub(super) async fn cut_at(&self, writes: u64, last: LastWrite) -> Cut {
        let (cut, coming) = watch::channel(None);
        let mut set = self.set.lock().await;
        *set = Some(Set { left: writes, last, cut });
        self.came.send_replace(writes == 0);
        Cut(coming)
    }

    /// Takes the cut away, come or not.
    pub(super) async fn mend(&self) {
        *self.set.lock().await = None;
        self.came.send_replace(false);
    }

    /// Waits until the cut has come.
    pub(super) fn came(&self) -> impl Future<Output = ()> + use<> {
        let mut came = self.came.subscribe();
        // A gate that is gone is cut off for good.
        async move { drop(came.wait_for(|came| *came).await) }
    }

    /// Asks to pass. If the cut has come, or comes with this write, there is no pass.
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

    /// Tells that `call` was answered by the API server; whether its answer is to be lost.
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

/// Word of a cut that has come, to be given once its last write is counted: a test looks at the counts then.
pub(super) struct Signal {
    cut: watch::Sender<Option<Call>>,
    call: Call,
}

impl Signal {
    /// Gives word.
    pub(super) fn give(self) {
        self.cut.send_replace(Some(self.call));
    }
}
