//! Writes that the API server rejected, remembered so that they are not repeated at every event.

use std::{collections::HashMap, time::Duration};

use computing_unit_api::Reason;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{k8s::backoff::Backoff, metrics::Resource};

/// The writes that can be rejected for longer than a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Write {
    Service,
    Pod,
    HTTPRoute,
    PersistentVolumeClaim,
    /// The resize of a running pod.
    Resize,
    /// The dry run of the pod that is to replace the running one.
    DryRun,
    Status,
}

impl Write {
    pub const ALL: [Self; 7] = [
        Self::Service,
        Self::Pod,
        Self::HTTPRoute,
        Self::PersistentVolumeClaim,
        Self::Resize,
        Self::DryRun,
        Self::Status,
    ];

    /// The kind of the object, for messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::Pod => "Pod",
            Self::HTTPRoute => "HTTPRoute",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::Resize => "Pod (resize)",
            Self::DryRun => "Pod (dry run)",
            Self::Status => "status of the ComputingUnit",
        }
    }
}

impl From<Write> for Resource {
    fn from(write: Write) -> Self {
        match write {
            Write::Service => Self::Services,
            Write::Pod | Write::DryRun => Self::Pods,
            Write::HTTPRoute => Self::HttpRoutes,
            Write::PersistentVolumeClaim => Self::PersistentVolumeClaims,
            Write::Resize => Self::PodsResize,
            Write::Status => Self::ComputingUnitsStatus,
        }
    }
}

/// Which condition reports a blocked write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The unit or its name is at fault: `Accepted` is False.
    Unit,
    /// The cluster is at fault: the child's own condition is False.
    Cluster,
}

/// A write that the API server rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedWrite {
    pub write: Write,
    pub reason: Reason,
    pub message: String,
    pub fault: Fault,
    /// What was attempted, if the rejection says nothing about another attempt: see [`attempt`](super::assess::attempt).
    pub attempt: Option<String>,
}

/// What a child is built from. If any of it changes, a blocked write is retried at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Generation of the unit.
    pub unit: Option<i64>,
    /// Generation of the pool.
    pub pool: Option<i64>,
    /// Version of the image catalog.
    pub catalog: Option<String>,
}

struct Entry {
    blocked: BlockedWrite,
    inputs: Inputs,
    retry: Instant,
}

/// The blocked writes of all units, by UID.
pub struct BlockedWrites {
    entries: Mutex<HashMap<(String, Write), Entry>>,
    backoff: Backoff<(String, Write)>,
    /// Delays of dry runs, which are longer: the running pod serves meanwhile.
    patient: Backoff<(String, Write)>,
}

impl Default for BlockedWrites {
    fn default() -> Self {
        let backoff = |longest| Backoff::new(Duration::from_secs(1), longest);
        Self {
            entries: Mutex::default(),
            backoff: backoff(Duration::from_mins(1)),
            patient: backoff(Duration::from_mins(10)),
        }
    }
}

impl BlockedWrites {
    pub fn record(&self, uid: &str, inputs: Inputs, blocked: BlockedWrite) {
        let key = (uid.to_owned(), blocked.write);
        let retry = Instant::now() + self.backoff(blocked.write).failed(key.clone());
        self.entries.lock().insert(key, Entry { blocked, inputs, retry });
    }

    /// Forgets a blocked write after it succeeded.
    pub fn clear(&self, uid: &str, write: Write) {
        let key = (uid.to_owned(), write);
        if self.entries.lock().remove(&key).is_some() {
            self.backoff(write).succeeded(&key);
        }
    }

    const fn backoff(&self, write: Write) -> &Backoff<(String, Write)> {
        match write {
            Write::DryRun => &self.patient,
            _ => &self.backoff,
        }
    }

    /// Forgets a unit.
    pub fn forget(&self, uid: &str) {
        for write in Write::ALL {
            self.clear(uid, write);
        }
    }

    /// The blocked writes of a unit, and which of them are due for a retry.
    pub fn of(&self, uid: &str, inputs: &Inputs) -> Blocked {
        let entries = self.entries.lock();
        let now = Instant::now();
        let mut blocked = Blocked::default();
        for write in Write::ALL {
            let Some(entry) = entries.get(&(uid.to_owned(), write)) else { continue };
            blocked.all.push(entry.blocked.clone());
            if entry.retry <= now || entry.inputs != *inputs {
                blocked.due.push(write);
            } else {
                let wait = entry.retry - now;
                blocked.retry_in = Some(blocked.retry_in.map_or(wait, |other| other.min(wait)));
            }
        }
        blocked
    }
}

/// The blocked writes of one unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocked {
    pub all: Vec<BlockedWrite>,
    /// Those to be retried now.
    pub due: Vec<Write>,
    /// When the next of the others is due.
    pub retry_in: Option<Duration>,
}

impl Blocked {
    /// Whether a write must not be sent now.
    pub fn blocks(&self, write: Write) -> bool {
        self.find(write).is_some() && !self.due.contains(&write)
    }

    pub fn find(&self, write: Write) -> Option<&BlockedWrite> {
        self.all.iter().find(|blocked| blocked.write == write)
    }

    /// A blocked write, if it was rejected in exactly this attempt.
    pub fn in_attempt(&self, write: Write, attempt: &str) -> Option<&BlockedWrite> {
        self.find(write).filter(|blocked| blocked.attempt.as_deref() == Some(attempt))
    }

    /// The first blocked write that is the unit's own fault.
    pub fn by_unit(&self) -> Option<&BlockedWrite> {
        self.all.iter().find(|blocked| blocked.fault == Fault::Unit)
    }

    /// The first of those writes that the cluster is at fault for.
    pub fn by_cluster(&self, writes: &[Write]) -> Option<&BlockedWrite> {
        self.all.iter().find(|blocked| blocked.fault == Fault::Cluster && writes.contains(&blocked.write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forbidden() -> BlockedWrite {
        BlockedWrite {
            write: Write::Pod,
            reason: Reason::Forbidden,
            message: "no".into(),
            fault: Fault::Cluster,
            attempt: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn write_is_blocked_until_the_retry_is_due_or_an_input_changes() {
        let blocked = BlockedWrites::default();
        let inputs = Inputs { unit: Some(1), pool: Some(1), catalog: None };
        blocked.record("u", inputs.clone(), forbidden());
        assert!(blocked.of("u", &inputs).blocks(Write::Pod));
        assert!(!blocked.of("u", &inputs).blocks(Write::Service));
        assert!(!blocked.of("u", &Inputs { unit: Some(2), ..inputs.clone() }).blocks(Write::Pod), "edited");
        tokio::time::advance(Duration::from_secs(1)).await;
        let due = blocked.of("u", &inputs);
        assert!(!due.blocks(Write::Pod) && due.all.len() == 1, "reported while it is retried");
        blocked.clear("u", Write::Pod);
        assert_eq!(blocked.of("u", &inputs), Blocked::default());
    }
}
