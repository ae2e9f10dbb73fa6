//! When a unit that needs nothing now is reconciled again.
//!
//! Pure.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;

use super::{assess::Assessment, blocked::Write, context::STATUS_DELAY, snapshot::Snapshot};
use crate::k8s::overlay::OVERLAY_TTL;

/// The shortest delay.
const MIN: Duration = Duration::from_millis(10);

/// The earliest of all deadlines, or the resync period.
pub fn after(snapshot: &Snapshot, assessment: &Assessment, resync: Duration) -> Action {
    let until = |time: Timestamp| Duration::try_from(time.duration_since(snapshot.now)).ok();
    let deadlines = [
        assessment.withdrawal_deadlines.drained,
        assessment.withdrawal_deadlines.overdue,
        assessment.start_deadline,
        assessment.next_limit,
    ];
    let held = snapshot.status_held.filter(|_| !snapshot.blocked.blocks(Write::Status));
    let delays = [
        snapshot.blocked.retry_in,
        assessment.pod_events_in,
        held.map(|held| STATUS_DELAY.saturating_sub(held)),
        snapshot.unconfirmed.then_some(OVERLAY_TTL),
    ];
    let soonest = deadlines.into_iter().flatten().filter_map(until).chain(delays.into_iter().flatten()).min();
    Action::requeue(soonest.unwrap_or(resync).clamp(MIN, resync))
}
