//! For how long a unit keeps its rollout slot.

use computing_unit_api::Stages;

use super::Facts;
use crate::controllers::unit::{
    assess::{
        state::{Transition, UnitState},
        update::Replacement,
    },
    rollout::Slot,
};

/// Whether the unit holds a rollout slot and still needs it. It does until it is reachable with its next pod. A unit that
/// fails with that pod keeps the slot: a change that breaks units stops at the first few, and stays stopped until the pool
/// changes again. The status records it, so that this also holds after a restart of the operator.
pub(super) fn keeps(facts: Facts<'_>, stages: &Stages) -> bool {
    let assessment = facts.assessment;
    if facts.snapshot.slot != Slot::Granted || facts.wanted.is_err() {
        return false;
    }
    if matches!(assessment.update.replacement, Replacement::Now | Replacement::DryRun) || assessment.update.between_pods
    {
        return true;
    }
    match &assessment.state {
        UnitState::Suspended | UnitState::Terminating => false,
        UnitState::Finished(finish) | UnitState::Unrecorded(Transition::Finished(finish)) => finish.reason.is_failure(),
        UnitState::Running
        | UnitState::PodTerminated
        | UnitState::AwaitingRestart(_)
        | UnitState::Unrecorded(Transition::PodLost(_)) => stages.reachable.is_none(),
    }
}
