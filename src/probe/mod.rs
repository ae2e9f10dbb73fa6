//! Whether every proxy of a Gateway has a unit's route, or has it no longer, found out by asking each of them.
//!
//! A route's status says what the gateway's controller knows; only a proxy's own answer proves what the proxy does. Each
//! answer under a unit's route carries the unit's UID in a header, whoever made the answer. Probes run in tasks of their
//! own: a reconcile says what it wants to know and reads how far that is, and is woken when there is news.

mod answer;
mod news;
mod patience;
mod prober;
mod proxies;
mod request;
mod resolve;
mod tally;
mod task;
#[cfg(test)]
mod tests;

use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;

pub use prober::Prober;
pub use proxies::Proxies;
#[cfg(test)]
pub use proxies::Proxy;
pub use resolve::Stores;

use computing_unit_api::{ComputingUnit, GatewayRef, ProbeMethod, VerifiedRoute};

pub use crate::metrics::ProbeGoal as Goal;

/// Whom to ask, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The unit that is woken by news.
    pub unit: ObjectRef<ComputingUnit>,
    /// Its UID, which answers under its route carry.
    pub uid: String,
    /// The state of the route that is asked about. What was reached with another state is not reached with this one.
    pub route: VerifiedRoute,
    /// The gateway whose proxies are asked.
    pub gateway: GatewayRef,
    /// A request that is the unit's own.
    pub request: Request,
}

/// A request that takes a unit's route and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Its method.
    pub method: ProbeMethod,
    /// The host name that it has to have; where absent, one that the listener takes.
    pub host: Option<String>,
    /// Path, and query after a `?`.
    pub path_and_query: String,
}

/// A probe and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub goal: Goal,
    pub target: Target,
    pub progress: Progress,
}

/// How far a goal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not reached.
    Pending {
        /// When it was first wanted.
        since: Timestamp,
        /// What is missing, in words; `None` before the first answers.
        last: Option<String>,
    },
    /// Reached.
    Done {
        /// When.
        at: Timestamp,
    },
}
