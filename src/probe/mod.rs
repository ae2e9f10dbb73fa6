//! Probes: requests to every proxy of a Gateway that show whether the proxy has a unit's route.
//!
//! The status of a route shows what the gateway's controller knows, and only a response shows what a proxy does. Each
//! response under a unit's route carries the unit's UID in a header, also a response that the proxy itself generates.
//! Probes run in background tasks: a reconcile starts one and reads its progress, and the task wakes the unit.

mod outcome;
mod pacing;
mod prober;
mod question;
mod request;
mod tally;
mod task;
#[cfg(test)]
mod tests;
mod tls;
mod wake;

use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;

pub use prober::Prober;

use computing_unit_api::{ComputingUnit, GatewayRef, ProbeMethod, VerifiedRoute};

pub use crate::metrics::ProbeGoal as Goal;

/// What to probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The unit to wake.
    pub unit: ObjectRef<ComputingUnit>,
    /// UID of the unit, which responses under its route carry.
    pub uid: String,
    /// The version of the route. A goal that was reached with another version is not reached with this one.
    pub route: VerifiedRoute,
    pub gateway: GatewayRef,
    pub request: Request,
    /// What shows that the route is closed. `None` unless it was open.
    pub closed: Option<Closed>,
}

/// What shows that a proxy has the closed route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The request that matches the closed route.
    pub request: Request,
    /// The value of the header that only responses under the closed route have.
    pub version: String,
}

/// A request that matches the route of the unit and no other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    pub method: ProbeMethod,
    /// `None` for a host name that the listener accepts.
    pub host: Option<String>,
    pub path_and_query: String,
}

/// A probe and its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub goal: Goal,
    pub target: Target,
    pub progress: Progress,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    Pending {
        /// When the probe was started.
        since: Timestamp,
        /// Why the goal is not reached. `None` before the first responses.
        last: Option<String>,
    },
    Done {
        at: Timestamp,
    },
}
