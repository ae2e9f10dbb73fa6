//! A cut: after the n-th write that counts, nothing gets through. It decides who passes, and asks nobody itself.

use std::time::Duration;

use anyhow::Context;
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::timeout;

use super::call::Call;

/// What becomes of the answer to the last write before a cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LastAnswer {
    /// It is sent to the operator, which may be killed before it has read it.
    Delivered,
    /// The operator never gets it: what it has asked for is done, and it does not know.
    Lost,
}

/// Tells when a cut has come.
#[derive(Clone, Debug)]
pub struct Cut(watch::Receiver<Option<Call>>);

impl Cut {
    /// Waits for the cut; the write it came after.
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

/// A cut that is set: the writes that are still let through, and then nothing.
#[derive(Debug)]
struct Set {
    left: u64,
    last: LastAnswer,
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
    /// Sets a cut after `writes` writes; none means at once.
    pub(super) async fn cut_after(&self, writes: u64, last: LastAnswer) -> Cut {
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

    /// Asks to pass; none if the cut has come.
    pub(super) async fn pass(&self, call: &Call) -> Option<Pass<'_>> {
        let set = if call.is_object_write() {
            let set = self.set.lock().await;
            set.is_some().then_some(set)
        } else {
            None
        };
        (!*self.came.borrow()).then_some(Pass { set })
    }

    /// Tells that `call` was answered by the API server; whether its answer is to be lost.
    pub(super) fn answered(&self, pass: Pass<'_>, call: &Call) -> bool {
        let Some(mut guard) = pass.set else { return false };
        let Some(set) = guard.as_mut() else { return false };
        set.left = set.left.saturating_sub(1);
        if set.left > 0 {
            return false;
        }
        self.came.send_replace(true);
        set.cut.send_replace(Some(call.clone()));
        set.last == LastAnswer::Lost
    }
}
