//! The condition `Overridden`.

use computing_unit_api::{ConditionType, Reason};

use super::super::Facts;
use crate::controllers::{condition::Draft, unit::assess::admitted_amounts};

/// Admission keeps children from being as desired, and a repair would not help.
pub(super) fn overridden(facts: Facts<'_>) -> Option<Draft> {
    let children = facts.wanted.as_ref().ok()?;
    let mut all: Vec<String> =
        facts.assessment.drifts.overridden().map(|write| format!("the {}", write.as_str())).collect();
    let amounts = admitted_amounts::changes(facts.snapshot, children);
    if !amounts.is_empty() {
        all.push(format!("the resources of the Pod ({})", amounts.join(", ")));
    }
    (!all.is_empty()).then(|| {
        let message = format!(
            "admission changes what the operator writes: {}. Check the mutating webhooks and admission policies of the \
             cluster",
            all.join(", ")
        );
        Draft::yes(ConditionType::Overridden, Reason::ChangedByAdmission, message)
    })
}
