//! The conditions `Suspended` and `Expiring`.

use computing_unit_api::{ClaimRetention, ConditionType, Reason};

use super::super::Facts;
use crate::controllers::{
    condition::Draft,
    idle,
    unit::{
        schedule_mark,
        snapshot::{Child, Snapshot},
    },
};

/// The condition `Suspended`.
pub(super) fn suspended(facts: Facts<'_>) -> Option<Draft> {
    let snapshot = facts.snapshot;
    if !snapshot.suspended() {
        return None;
    }
    let no = |reason, message| Draft::no(ConditionType::Suspended, reason, message);
    Some(match (&snapshot.route, &snapshot.pod) {
        (Child::Absent, Child::Absent) => {
            let (reason, message) = cause(snapshot);
            Draft::yes(ConditionType::Suspended, reason, message)
        }
        (Child::Absent, _) => no(Reason::PodStopping, "the route is withdrawn and the pod is stopping"),
        _ => no(Reason::RouteClosing, "the route is being withdrawn; the pod is stopped afterwards"),
    })
}

/// Why the unit is suspended, and how it is started.
fn cause(snapshot: &Snapshot) -> (Reason, String) {
    let start = "set spec.operatingMode to Running to start it";
    let unit = &snapshot.unit;
    if let Some(since) = idle::idle_since(unit) {
        let message = format!("the unit was suspended because it had been idle since {since}; {start}");
        return (Reason::Idle, message);
    }
    if schedule_mark::suspended(unit) {
        let at = schedule_mark::applied(unit).map(|at| format!(" at {at}")).unwrap_or_default();
        return (Reason::Schedule, format!("the unit was suspended by its schedule{at}; {start}"));
    }
    (Reason::Suspended, format!("the unit has no pod; {start}"))
}

/// The condition `Expiring`.
pub(super) fn expiring(facts: Facts<'_>) -> Option<Draft> {
    let expiry = facts.assessment.expiry.filter(|expiry| expiry.announced(facts.snapshot.now))?;
    let volumes = facts.snapshot.pool.as_ref().map_or("", |pool| {
        let policy = &pool.spec.persistent_volume_claim_retention_policy;
        match policy.when_deleted {
            _ if pool.spec.volume_claim_templates.is_empty() => "",
            ClaimRetention::Delete => " with its PersistentVolumeClaims",
            ClaimRetention::Retain => "; its PersistentVolumeClaims are kept",
        }
    });
    let message = format!(
        "the unit has been suspended since {} and is deleted at {}{volumes}: resume it to keep it",
        expiry.since, expiry.at
    );
    Some(Draft::yes(ConditionType::Expiring, Reason::SuspendedTooLong, message))
}
