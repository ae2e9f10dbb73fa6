//! The phase of a unit: a summary for people. Clients decide on conditions.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Where a unit is in its lifecycle.
///
/// The schema in the CRD is an open string: a client compiled today can read the phases of later releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Not started: the spec is not accepted yet, the pod is not scheduled, or the next pod is created after a delay.
    Pending,
    /// The pod is scheduled; the pod or its route is not ready yet.
    Starting,
    /// Every proxy of the Gateway answers for the unit.
    Ready,
    /// The unit was Ready and is not any more. Its route stays while its pod lives.
    NotReady,
    /// The unit did not start within the pool's `startTimeout`, or its pod failed and is not restarted. It is not retried
    /// until it is edited or resumed.
    Failed,
    /// The pod succeeded, or a time limit was reached. The unit has no pod.
    Finished,
    /// The route is being withdrawn, then the pod is stopped.
    Suspending,
    /// The unit has no pod. Its Service, key and URL are kept.
    Suspended,
    /// The unit is being deleted.
    Terminating,
    /// A phase that this release does not know.
    #[serde(other)]
    Unknown,
}

impl Phase {
    /// Every known phase.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Starting,
        Self::Ready,
        Self::NotReady,
        Self::Failed,
        Self::Finished,
        Self::Suspending,
        Self::Suspended,
        Self::Terminating,
    ];

    /// The name as it appears in objects.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Starting => "Starting",
            Self::Ready => "Ready",
            Self::NotReady => "NotReady",
            Self::Failed => "Failed",
            Self::Finished => "Finished",
            Self::Suspending => "Suspending",
            Self::Suspended => "Suspended",
            Self::Terminating => "Terminating",
            Self::Unknown => "Unknown",
        }
    }

    /// The name as a key of [`PhaseCounts`].
    #[must_use]
    pub fn key(self) -> String {
        let name = self.as_str();
        name[..1].to_lowercase() + &name[1..]
    }
}

impl JsonSchema for Phase {
    fn schema_name() -> Cow<'static, str> {
        "Phase".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let known = Self::ALL.map(Self::as_str).join(", ");
        json_schema!({"type": "string", "description": format!("A summary for people: {known}. Later releases may add phases.")})
    }
}

/// Units by phase: `total`, and one key for each phase.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PhaseCounts(BTreeMap<String, i32>);

impl PhaseCounts {
    /// Key of the number of all units.
    pub const TOTAL: &str = "total";

    /// Counts units, given the phase of each.
    pub fn count(phases: impl IntoIterator<Item = Phase>) -> Self {
        let zero = Phase::ALL.iter().map(|phase| (phase.key(), 0));
        let mut counts = Self(zero.chain([(Self::TOTAL.to_owned(), 0)]).collect());
        for phase in phases {
            for key in [phase.key(), Self::TOTAL.to_owned()] {
                *counts.0.entry(key).or_default() += 1;
            }
        }
        counts
    }

    /// How many units are in that phase.
    #[must_use]
    pub fn in_phase(&self, phase: Phase) -> i32 {
        self.0.get(&phase.key()).copied().unwrap_or_default()
    }

    /// How many units there are.
    #[must_use]
    pub fn total(&self) -> i32 {
        self.0.get(Self::TOTAL).copied().unwrap_or_default()
    }
}
