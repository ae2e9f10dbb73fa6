//! The Events of units that are stopped for being idle.
//!
//! Pure.

use computing_unit_api::IdleAction;

use super::idleness::{ANNOTATION, BUSY_PROBE, Idle, REQUEST, START, TRAFFIC};

/// Before the unit is stopped.
pub fn announcement(idle: &Idle, action: IdleAction) -> String {
    let (result, loss) = match action {
        IdleAction::Suspend => {
            ("suspended", "The memory and ephemeral storage of its pod will be lost, its volumes and URL are kept")
        }
        IdleAction::Delete => ("deleted", "This cannot be undone"),
    };
    format!("{}: it will be {result} at {} unless it is used. {loss}", summary(idle), idle.at)
}

/// After the unit was stopped.
pub fn stopped(idle: &Idle, action: IdleAction) -> String {
    let result = match action {
        IdleAction::Suspend => "was suspended. Set spec.operatingMode to Running to start it",
        IdleAction::Delete => "was deleted",
    };
    format!("{}, which exceeds its idleTimeout: it {result}", summary(idle))
}

fn summary(idle: &Idle) -> String {
    let last = match idle.source.as_str() {
        START => "its start",
        REQUEST => "a request",
        TRAFFIC => "traffic on an open connection",
        BUSY_PROBE => "reported by the busy probe",
        ANNOTATION => "reported by the annotation",
        other => other,
    };
    format!("the unit has been idle since {} (last activity: {last})", idle.since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_time_cause_and_result() {
        let time = |text: &str| text.parse().unwrap();
        let idle = |source: &str| Idle {
            since: time("2026-01-01T12:00:00Z"),
            at: time("2026-01-01T13:00:00Z"),
            source: source.into(),
        };
        assert_eq!(
            announcement(&idle(REQUEST), IdleAction::Suspend),
            "the unit has been idle since 2026-01-01T12:00:00Z (last activity: a request): it will be suspended at \
             2026-01-01T13:00:00Z unless it is used. The memory and ephemeral storage of its pod will be lost, its \
             volumes and URL are kept"
        );
        assert_eq!(
            stopped(&idle(BUSY_PROBE), IdleAction::Delete),
            "the unit has been idle since 2026-01-01T12:00:00Z (last activity: reported by the busy probe), which \
             exceeds its idleTimeout: it was deleted"
        );
    }
}
