//! The conditions of a unit, each from its own facts, and Ready from all of them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Facts, change, pod, route, types};
use crate::{
    activity,
    life::{self, Record},
    observed::{Child, Observed},
    obstacles::{Kind, Obstacle},
};

/// Reason: the unit has no pod, as it was asked for.
pub const SUSPENDED: &str = "Suspended";
/// Reason: the unit has no pod, because it was idle.
const IDLE: &str = "Idle";

/// What a condition says, without when it began to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Type of the condition.
    pub type_: &'static str,
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

impl Said {
    /// It holds.
    pub fn yes(type_: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self { type_, status: "True", reason: reason.to_owned(), message: message.into() }
    }

    /// It does not hold.
    pub fn no(type_: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self { type_, status: "False", reason: reason.to_owned(), message: message.into() }
    }

    /// Nobody knows.
    pub fn unknown(type_: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self { type_, status: "Unknown", reason: reason.to_owned(), message: message.into() }
    }

    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.status == "True"
    }
}

/// All conditions of a unit.
pub fn all(facts: Facts<'_>) -> Vec<Said> {
    let record = life::record(facts.observed);
    let mut all =
        vec![accepted(facts), pod::condition(facts, &record), route::accepted(facts), route::reachable(facts)];
    all.push(ready(facts, &record, &all));
    all.extend(suspended(facts));
    all.extend(finished(&record));
    all.extend(change::conditions(facts));
    all
}

/// The obstacle to a child, where it is of that sort.
pub fn obstacle(observed: &Observed, fits: impl Fn(&Obstacle) -> bool) -> Option<&Obstacle> {
    observed.obstacles.all.iter().find(|obstacle| fits(obstacle))
}

fn accepted(facts: Facts<'_>) -> Said {
    if let Err(rejection) = facts.wanted {
        return Said::no(types::ACCEPTED, rejection.reason, &rejection.message);
    }
    match obstacle(facts.observed, |obstacle| obstacle.refuses_unit) {
        Some(obstacle) => Said::no(types::ACCEPTED, obstacle.rejection.reason, &obstacle.rejection.message),
        None => Said::yes(types::ACCEPTED, "Accepted", "the pool allows it and the key is its own"),
    }
}

fn ready(facts: Facts<'_>, record: &Record, others: &[Said]) -> Said {
    if facts.observed.deleting() {
        return Said::no(types::READY, "Terminating", "the unit is being deleted");
    }
    if let Some(end) = &record.end {
        return Said::no(types::READY, &end.reason, &end.message);
    }
    if let Some(said) = suspended(facts) {
        return Said::no(types::READY, if said.holds() { SUSPENDED } else { "Suspending" }, said.message);
    }
    if let Some(said) = change::replacing(facts) {
        return Said::no(types::READY, types::REPLACING, said.message);
    }
    if let Some(obstacle) =
        obstacle(facts.observed, |obstacle| obstacle.kind == Kind::Service && !obstacle.refuses_unit)
    {
        return Said::no(types::READY, obstacle.rejection.reason, &obstacle.rejection.message);
    }
    let unprobed = crate::plan::unprobed(facts.observed);
    let missing = others.iter().find(|said| !(said.holds() || unprobed && said.reason == route::DISABLED));
    match missing {
        Some(said) => Said::no(types::READY, &said.reason, &said.message),
        None => Said::yes(types::READY, "Ready", "the unit answers at its URL"),
    }
}

fn finished(record: &Record) -> Option<Said> {
    record.end.as_ref().map(|end| Said::yes(types::FINISHED, &end.reason, &end.message))
}

/// Whether a unit that is to have no pod has none.
pub fn at_rest(observed: &Observed) -> bool {
    matches!((&observed.route, &observed.pod), (Child::Absent, Child::Absent))
}

fn suspended(facts: Facts<'_>) -> Option<Said> {
    let observed = facts.observed;
    let idle = activity::stopped(&observed.unit);
    observed.suspended().then(|| match (&observed.route, &observed.pod) {
        (Child::Absent, Child::Absent) if idle.is_some() => {
            let since = idle.map(|since| since.to_string()).unwrap_or_default();
            let message = format!(
                "the unit was suspended after it had been idle since {since}; set spec.operatingMode to Running to \
                 start it"
            );
            Said::yes(types::SUSPENDED, IDLE, message)
        }
        (Child::Absent, Child::Absent) => {
            Said::yes(types::SUSPENDED, SUSPENDED, "the unit has no pod; set spec.operatingMode to Running to start it")
        }
        (Child::Absent, _) => Said::no(types::SUSPENDED, "PodStopping", "the route is gone, and the pod is stopping"),
        _ => Said::no(types::SUSPENDED, "RouteClosing", "the route is closed before the pod is stopped"),
    })
}

/// Gives each condition the time since which it says so.
pub fn dated(said: &[Said], previous: &[Condition], observed: &Observed) -> Vec<Condition> {
    said.iter()
        .map(|said| {
            let since = previous
                .iter()
                .find(|condition| condition.type_ == said.type_ && condition.status == said.status)
                .map_or_else(|| Time(observed.now), |condition| condition.last_transition_time.clone());
            Condition {
                type_: said.type_.to_owned(),
                status: said.status.to_owned(),
                reason: said.reason.clone(),
                message: said.message.clone(),
                observed_generation: observed.unit.metadata.generation,
                last_transition_time: since,
            }
        })
        .collect()
}
