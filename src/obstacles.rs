//! Why a child could not be made, remembered so that the API server is not asked the same again at every event.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{backoff::Backoff, validate::Rejection};

/// The kinds of children, and what is done to one that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The Service.
    Service,
    /// The Pod.
    Pod,
    /// The HTTPRoute.
    HTTPRoute,
    /// A PersistentVolumeClaim.
    Claim,
    /// CPU and memory of the pod that runs.
    Resize,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Service, Self::Pod, Self::HTTPRoute, Self::Claim, Self::Resize];

    /// The word as Kubernetes writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::Pod => "Pod",
            Self::HTTPRoute => "HTTPRoute",
            Self::Claim => "PersistentVolumeClaim",
            Self::Resize => "pod's CPU and memory",
        }
    }
}

/// Something that keeps a child from being made or repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Which child.
    pub kind: Kind,
    /// Why, as a condition says it.
    pub rejection: Rejection,
    /// Whether the unit is at fault, so that its `Accepted` condition says it; else the child's own condition does.
    pub refuses_unit: bool,
}

/// What a child was made from: the generations of unit and pool. When one changes, an obstacle is tried again at once.
pub type Inputs = (Option<i64>, Option<i64>);

struct Entry {
    obstacle: Obstacle,
    inputs: Inputs,
    retry: Instant,
}

/// All obstacles, by UID of the unit.
pub struct Obstacles {
    entries: Mutex<HashMap<(String, Kind), Entry>>,
    backoff: Backoff<(String, Kind)>,
}

impl Default for Obstacles {
    fn default() -> Self {
        Self { entries: Mutex::default(), backoff: Backoff::new(Duration::from_secs(1), Duration::from_mins(1)) }
    }
}

impl Obstacles {
    /// Remembers an obstacle.
    pub fn met(&self, uid: &str, inputs: Inputs, obstacle: Obstacle) {
        let key = (uid.to_owned(), obstacle.kind);
        let retry = Instant::now() + self.backoff.failed(key.clone());
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Entry { obstacle, inputs, retry });
    }

    /// Forgets the obstacle to a child that was made.
    pub fn overcome(&self, uid: &str, kind: Kind) {
        let key = (uid.to_owned(), kind);
        if self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(&key).is_some() {
            self.backoff.succeeded(&key);
        }
    }

    /// Forgets a unit.
    pub fn forget(&self, uid: &str) {
        for kind in Kind::ALL {
            self.overcome(uid, kind);
        }
    }

    /// The obstacles of a unit, and those of them that are due to be tried again.
    pub fn of(&self, uid: &str, inputs: Inputs) -> Remembered {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let mut remembered = Remembered::default();
        for kind in Kind::ALL {
            let Some(entry) = entries.get(&(uid.to_owned(), kind)) else { continue };
            remembered.all.push(entry.obstacle.clone());
            if entry.retry <= now || entry.inputs != inputs {
                remembered.due.push(kind);
            } else {
                let wait = entry.retry - now;
                remembered.wait = Some(remembered.wait.map_or(wait, |other| other.min(wait)));
            }
        }
        remembered
    }
}

/// What is known of the obstacles of one unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// All of them.
    pub all: Vec<Obstacle>,
    /// Those to be tried again now.
    pub due: Vec<Kind>,
    /// When the next of the others is due.
    pub wait: Option<Duration>,
}

impl Remembered {
    /// Whether a child is not to be tried now.
    #[must_use]
    pub fn bars(&self, kind: Kind) -> bool {
        self.all.iter().any(|obstacle| obstacle.kind == kind) && !self.due.contains(&kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obstacle() -> Obstacle {
        Obstacle { kind: Kind::Pod, rejection: Rejection::new("Forbidden", "no"), refuses_unit: false }
    }

    #[tokio::test(start_paused = true)]
    async fn an_obstacle_bars_until_it_is_due_or_its_inputs_change() {
        let obstacles = Obstacles::default();
        let inputs = (Some(1), Some(1));
        obstacles.met("u", inputs, obstacle());
        assert!(obstacles.of("u", inputs).bars(Kind::Pod));
        assert!(!obstacles.of("u", inputs).bars(Kind::Service));
        assert!(!obstacles.of("u", (Some(2), Some(1))).bars(Kind::Pod), "edited");
        tokio::time::advance(Duration::from_secs(1)).await;
        let due = obstacles.of("u", inputs);
        assert!(!due.bars(Kind::Pod) && due.all.len() == 1, "still told of while it is tried again");
        obstacles.overcome("u", Kind::Pod);
        assert_eq!(obstacles.of("u", inputs), Remembered::default());
    }
}
