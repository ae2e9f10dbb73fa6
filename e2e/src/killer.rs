//! Kills the operator at a given write of a change, and lets the next operator finish the change.

use anyhow::Context;

use crate::{
    faults::{LastWrite, OperatorProcess},
    fixture::{Fixture, SOON},
};

/// Kills one operator after another. One of them is always running.
pub struct Killer<'a> {
    fixture: &'a Fixture,
    operator: Option<OperatorProcess>,
    write: u64,
    last: LastWrite,
    kills: u64,
}

impl<'a> Killer<'a> {
    /// Starts an operator, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn start(fixture: &'a Fixture) -> anyhow::Result<Self> {
        let operator = Some(fixture.start().await?);
        Ok(Self { fixture, operator, write: 1, last: LastWrite::Refused, kills: 0 })
    }

    /// Runs `round` once for each of the first `writes` writes of a change, and for each of `lasts`. Returns how often
    /// the operator was killed at a write, because a change may have fewer writes.
    ///
    /// # Errors
    /// Those of a round.
    pub async fn at_each_write(
        &mut self,
        lasts: &[LastWrite],
        writes: u64,
        round: impl AsyncFn(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        let before = self.kills;
        for last in lasts {
            for write in 1..=writes {
                self.at(write, *last);
                round(self).await.with_context(|| self.place())?;
            }
        }
        println!("killed at {} writes", self.kills - before);
        Ok(self.kills - before)
    }

    /// Sets the write of each change at which the operator is killed.
    pub const fn at(&mut self, write: u64, last: LastWrite) {
        self.write = write;
        self.last = last;
    }

    /// A name for the point where the operator is killed.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{:?}-{}", self.last, self.write).to_lowercase()
    }

    /// The number of operators that were killed at a write.
    #[must_use]
    pub const fn kills(&self) -> u64 {
        self.kills
    }

    /// Makes a change, and kills the operator at the configured write, or once the change is `done`. Waits until the
    /// next operator has completed the change. Returns the result of `change`.
    ///
    /// # Errors
    /// Those of the change, or if it is not completed.
    pub async fn during<T>(
        &mut self,
        change: impl Future<Output = anyhow::Result<T>>,
        done: impl AsyncFn() -> anyhow::Result<()>,
    ) -> anyhow::Result<T> {
        let cut = self.fixture.proxy.cut_at(self.write, self.last).await;
        let changed = change.await?;
        tokio::select! {
            call = cut.come(SOON) => {
                call?;
                self.kills += 1;
            }
            ended = done() => ended?,
        }
        if let Some(operator) = self.operator.take() {
            operator.kill().await?;
        }
        self.fixture.proxy.restore().await;
        self.operator = Some(self.fixture.start().await?);
        done().await.context("with the next operator")?;
        Ok(changed)
    }
}
