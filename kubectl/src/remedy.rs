//! What to do about a unit that cannot reach a state.

use computing_unit_api::Reason;

use crate::explain::Target;

/// The start of a sentence that follows `;`, for the reason of a condition.
pub fn remedy(reason: &str, target: Target<'_>) -> String {
    let is = |reasons: &[Reason]| reasons.iter().any(|one| reason == one.as_str());
    if is(&[Reason::KeyConflict, Reason::KeyConflictInOtherNamespace]) {
        return format!(
            "the key cannot be changed, so delete the unit with {} and create one with another key",
            target.command("cu delete")
        );
    }
    if is(&[
        Reason::Suspended,
        Reason::Idle,
        Reason::Suspending,
        Reason::Finished,
        Reason::PodSucceeded,
        Reason::ShutdownTime,
    ]) {
        return format!("start it with {}", target.command("cu resume"));
    }
    if is(&[Reason::PodFailed, Reason::StartTimeout, Reason::CrashLoop]) {
        return format!("correct the cause, then retry with {}", target.command("cu resume"));
    }
    if is(&[
        Reason::ImageNotOffered,
        Reason::LimitExceeded,
        Reason::EnvNotAllowed,
        Reason::ReferenceNotAllowed,
        Reason::ChildRefused,
        Reason::Infeasible,
    ]) {
        return format!("change it with {}", target.command("edit computingunit"));
    }
    format!("see {}", target.command("cu describe"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TARGET;

    #[test]
    fn command_can_be_pasted() {
        let target = Target { flags: " --context=c", ..TARGET };
        for (reason, expected) in [
            ("Suspended", "start it with kubectl cu resume ada -n team --context=c"),
            ("KeyConflict", "kubectl cu delete ada -n team --context=c and create"),
            ("ImageNotOffered", "kubectl edit computingunit ada -n team --context=c"),
            ("Other", "see kubectl cu describe ada -n team --context=c"),
        ] {
            let remedy = remedy(reason, target);
            assert!(remedy.contains(expected), "{remedy}");
        }
    }
}
