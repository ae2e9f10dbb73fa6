//! The conditions of a unit, one function for each, and `Ready` from all of them.

mod overridden;
mod pod;
mod route;
mod suspension;
mod update;

use computing_unit_api::{ConditionType, Reason};

use self::suspension::suspended;
use super::Facts;
use crate::controllers::{condition::Draft, unit::blocked::Write};

/// All conditions of a unit.
///
/// Clients that compute the health of any object wait for `Ready`, and give up at `Stalled`: see
/// <https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus>.
pub(super) fn all(facts: Facts<'_>) -> Vec<Draft> {
    let mut all = vec![accepted(facts), pod::ready(facts), route::accepted(facts), route::reachable(facts)];
    if !stopped_as_asked(facts) {
        all.push(ready(facts, &all));
    }
    all.extend(suspended(facts));
    all.extend(suspension::expiring(facts));
    all.extend(finished(facts));
    all.extend(stalled(facts));
    all.extend(update::conditions(facts));
    all.extend(overridden::overridden(facts));
    all
}

fn accepted(facts: Facts<'_>) -> Draft {
    if let Err(rejection) = facts.wanted {
        return Draft::no(ConditionType::Accepted, rejection.reason, &rejection.message);
    }
    match facts.snapshot.blocked.by_unit() {
        Some(blocked) => Draft::no(ConditionType::Accepted, blocked.reason, &blocked.message),
        None => {
            Draft::yes(ConditionType::Accepted, Reason::Accepted, "the spec is valid and its routing key is reserved")
        }
    }
}

/// Whether the unit has stopped as its spec asks. There is nothing to wait for, so it has no condition `Ready`.
fn stopped_as_asked(facts: Facts<'_>) -> bool {
    if facts.snapshot.terminating() {
        return false;
    }
    match &facts.assessment.history.finish {
        Some(finish) => !finish.reason.is_failure() && (!finish.reason.is_time_limit() || facts.snapshot.stopped()),
        None => suspended(facts).is_some_and(|suspended| suspended.holds()),
    }
}

fn ready(facts: Facts<'_>, others: &[Draft]) -> Draft {
    let no = |reason, message: &str| Draft::no(ConditionType::Ready, reason, message);
    if facts.snapshot.terminating() {
        return no(Reason::Terminating, "the unit is being deleted");
    }
    if let Some(finish) = &facts.assessment.history.finish {
        return no(finish.reason.reason(), &finish.message);
    }
    if let Some(suspended) = suspended(facts) {
        return no(Reason::Suspending, &suspended.message);
    }
    if let Some(replacing) = update::replacing(facts) {
        return no(Reason::Replacing, &replacing.message);
    }
    if let Some(blocked) = facts.snapshot.blocked.by_cluster(&[Write::Service]) {
        return no(blocked.reason, &blocked.message);
    }
    let unprobed = facts.snapshot.probes_disabled();
    match others.iter().find(|draft| !(draft.holds() || unprobed && draft.reason == Reason::Disabled)) {
        Some(draft) => Draft::no(ConditionType::Ready, draft.reason.clone(), &draft.message),
        None => Draft::yes(ConditionType::Ready, Reason::Ready, "the unit answers at its URL"),
    }
}

fn finished(facts: Facts<'_>) -> Option<Draft> {
    let finish = facts.assessment.history.finish.as_ref()?;
    Some(Draft::yes(ConditionType::Finished, finish.reason.reason(), &finish.message))
}

/// A unit that has failed.
fn stalled(facts: Facts<'_>) -> Option<Draft> {
    let finish = facts.assessment.history.finish.as_ref().filter(|finish| finish.reason.is_failure())?;
    Some(Draft::yes(ConditionType::Stalled, finish.reason.reason(), &finish.message))
}
