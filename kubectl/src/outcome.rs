//! The result of a wait, and its messages.

use std::{sync::Arc, time::Duration};

use computing_unit_api as api;

use crate::{
    explain::{self, Target},
    goal::Goal,
    object::Unit,
    remedy::remedy,
    unmet::NOT_SUSPENDED,
};

/// Result of a wait.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The unit has reached the state.
    Reached,
    /// The unit cannot reach the state without intervention: the reason.
    Failed(String),
    /// The unit was deleted, or replaced by another of the same name.
    Deleted,
    /// The timeout has passed: the unmet condition.
    TimedOut(String),
    /// Ctrl-C: the unmet condition.
    Interrupted(String),
    /// The unit cannot be watched.
    WatchFailed(Arc<kube::Error>),
}

/// Result of a wait, and the last observed state of the unit.
pub struct Waited {
    /// Result of the wait.
    pub outcome: Outcome,
    /// Last observed state of the unit.
    pub last: Unit,
}

impl Outcome {
    /// Error messages for the user; empty if the unit has reached the state.
    pub fn messages(&self, goal: &Goal, target: Target<'_>, timeout: Duration) -> Vec<String> {
        let name = target.name;
        let state = goal.state();
        let plain = |text: &str| text.trim_end_matches('.').to_owned();
        match self {
            Self::Reached => Vec::new(),
            Self::Failed(reason) => {
                let remedy = remedy(reason.split(':').next().unwrap_or_default(), target);
                vec![format!("computing unit {name:?} is not {state}: {}; {remedy}", plain(reason))]
            }
            Self::Deleted => vec![format!("computing unit {name:?} was deleted before it was {state}")],
            Self::TimedOut(unmet) => {
                let remedy = if unmet.contains(NOT_SUSPENDED) {
                    format!("suspend it with {}", target.command("cu suspend"))
                } else {
                    format!("see {}", target.command("cu describe"))
                };
                let (timeout, unmet) = (api::Duration(timeout), plain(unmet));
                vec![format!("timed out after {timeout}: computing unit {name:?} is not {state}, {unmet}; {remedy}")]
            }
            Self::Interrupted(unmet) => vec![format!(
                "interrupted: computing unit {name:?} is not {state}, {}; nothing is reverted",
                plain(unmet)
            )],
            Self::WatchFailed(error) => {
                let mut all = explain::request(error, target);
                all.push(format!("cannot watch computing unit {name:?}; nothing is reverted"));
                all
            }
        }
    }
}
