//! When a unit is deleted because it has been suspended for long, and when this is announced.
//!
//! Pure. The time is published before it is acted upon, and a condition announces it. Both are in the status, so that a
//! restarted operator neither deletes a unit without notice nor grants it another one.

use computing_unit_api::ConditionType;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{
    recorded::{condition, status},
    whole_seconds,
};
use crate::controllers::unit::snapshot::Snapshot;

/// The longest time between the announcement and the deletion.
const MAX_NOTICE: SignedDuration = SignedDuration::from_hours(72);

/// The deletion of a suspended unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Since when the unit is suspended.
    pub since: Timestamp,
    /// When it is deleted.
    pub at: Timestamp,
    /// When that is announced.
    pub announced_at: Timestamp,
    /// Whether time and announcement are published, so that they can be acted upon.
    published: bool,
}

impl Expiry {
    /// Whether the deletion is announced by now.
    pub fn announced(&self, now: Timestamp) -> bool {
        now >= self.announced_at
    }

    /// Whether the unit is deleted now.
    pub fn passed(&self, now: Timestamp) -> bool {
        self.published && now >= self.at
    }

    /// The next time at which something happens.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        [self.announced_at, self.at].into_iter().filter(|time| *time > now).min()
    }
}

/// The deletion of the unit. `None` if it is not suspended, or has no TTL.
pub fn expiry(snapshot: &Snapshot) -> Option<Expiry> {
    let ttl = SignedDuration::from_secs(ttl(snapshot)?.into());
    let since = suspended_since(snapshot)?;
    let notice = (ttl / 2).min(MAX_NOTICE);
    let due = since.checked_add(ttl).ok()?;
    // A TTL that was just set or lowered may have passed long ago.
    let earliest = due.max(whole_seconds::down(snapshot.now.checked_add(notice).ok()?));
    let announced = condition(snapshot, ConditionType::Expiring).is_some();
    let recorded = status(snapshot).and_then(|status| status.expires_at.as_ref()).map(|time| time.0);
    // The notice runs out while it is given. If the operator did not run at its beginning, it begins again.
    let on_time = |at: Timestamp| announced || at.duration_since(snapshot.now) >= notice / 2;
    let at = recorded.filter(|at| (due..=earliest).contains(at) && on_time(*at)).unwrap_or(earliest);
    let announced_at = at.checked_sub(notice).ok()?;
    Some(Expiry { since, at, announced_at, published: announced && recorded == Some(at) })
}

/// The shorter of the unit's own and its pool's.
fn ttl(snapshot: &Snapshot) -> Option<i32> {
    let own = snapshot.unit.spec.lifecycle.as_ref().and_then(|own| own.ttl_seconds_after_suspended);
    let pool = snapshot.pool.as_ref().and_then(|pool| pool.spec.lifecycle.ttl_seconds_after_suspended);
    own.into_iter().chain(pool).min()
}

/// Since when the unit has had neither a route nor a pod: as recorded, or since now.
fn suspended_since(snapshot: &Snapshot) -> Option<Timestamp> {
    if !snapshot.suspended() || !snapshot.stopped() {
        return None;
    }
    let recorded = condition(snapshot, ConditionType::Suspended).filter(|condition| condition.status == "True");
    Some(recorded.map_or_else(|| whole_seconds::down(snapshot.now), |condition| condition.last_transition_time.0))
}
