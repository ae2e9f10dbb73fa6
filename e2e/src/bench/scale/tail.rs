//! Follows the audit log, and counts the calls in it.

use std::{
    io::SeekFrom,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use super::audit::{Call, Calls, parse};
use crate::wait::pass;

/// How often the file is read.
const TICK: Duration = Duration::from_millis(100);

/// What the log has so far.
#[derive(Clone, Debug)]
struct Seen {
    calls: Calls,
    last_write: Instant,
}

/// The audit log from now on. Without a log, nothing is counted.
pub struct AuditLog {
    seen: watch::Receiver<Seen>,
    exists: bool,
    _following: JoinSet<anyhow::Result<()>>,
}

impl AuditLog {
    /// Starts at the end of the file.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn follow(path: Option<&Path>) -> anyhow::Result<Self> {
        let (tell, seen) = watch::channel(Seen { calls: Calls::default(), last_write: Instant::now() });
        let mut following = JoinSet::new();
        if let Some(path) = path {
            let end = tokio::fs::metadata(path).await.with_context(|| path.display().to_string())?.len();
            following.spawn(follow(path.to_owned(), end, tell));
        }
        Ok(Self { seen, exists: path.is_some(), _following: following })
    }

    /// Whether there is a log.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.exists
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.seen.borrow().calls.clone()
    }

    /// Waits until there was no write for `quiet`, at most for `deadline`. Returns whether it became quiet.
    pub async fn quiet(&self, quiet: Duration, deadline: Duration) -> bool {
        if !self.exists {
            pass(quiet).await;
            return true;
        }
        let settled = async {
            loop {
                let since = self.seen.borrow().last_write.elapsed();
                let Some(left) = quiet.checked_sub(since) else { break };
                pass(left + TICK).await;
            }
        };
        timeout(deadline, settled).await.is_ok()
    }
}

async fn follow(path: PathBuf, offset: u64, tell: watch::Sender<Seen>) -> anyhow::Result<()> {
    let mut file = File::open(&path).await?;
    file.seek(SeekFrom::Start(offset)).await?;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rest = Vec::new();
    loop {
        ticks.tick().await;
        file.read_to_end(&mut rest).await?;
        let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else { continue };
        let lines: Vec<u8> = rest.drain(..=end).collect();
        let parsed: Vec<(Call, bool)> = String::from_utf8_lossy(&lines).lines().filter_map(parse).collect();
        let now = Instant::now();
        tell.send_modify(|seen| {
            for (call, failed) in parsed {
                if call.is_write() {
                    seen.last_write = now;
                }
                seen.calls.add(call, failed);
            }
        });
    }
}
