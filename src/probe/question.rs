//! What a probe asks a proxy.
//!
//! Pure.

use std::time::Duration;

use super::{Goal, Request, Target, pacing::UNCONFIRMED};

/// Which state of the route a probe asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question<'a> {
    Guarded,
    Open,
    /// The closed route, whose responses have this value in [`headers::CLOSED`](computing_unit_api::names::headers::CLOSED).
    Closed(&'a str),
}

/// What to ask the proxies `elapsed` after the start of a probe.
///
/// A route that was open is withdrawn if the proxies have the closed one. If they never show it, because the Gateway no longer
/// accepts the route or the pod does not respond, it is enough that they do not have the open one.
pub(super) fn question(goal: Goal, target: &Target, elapsed: Duration) -> (Question<'_>, &Request) {
    match (goal, &target.closed) {
        (Goal::Guarded, _) => (Question::Guarded, &target.request),
        (Goal::Withdrawn, Some(closed)) if elapsed < UNCONFIRMED => {
            (Question::Closed(&closed.version), &closed.request)
        }
        (Goal::Open | Goal::Withdrawn, _) => (Question::Open, &target.request),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{closed, target},
        *,
    };

    #[test]
    fn proxies_are_asked_for_the_closed_route_for_some_time() {
        let never_open = target("ada");
        let closed = closed("ada");
        let of = |goal, target, seconds| {
            let (question, request) = question(goal, target, Duration::from_secs(seconds));
            (question, request.path_and_query.as_str())
        };
        let expected = (Question::Closed("route-uid.7"), "/wsapi?cuid=42");
        assert_eq!(of(Goal::Withdrawn, &closed, 0), expected);
        assert_eq!(of(Goal::Withdrawn, &closed, 4), expected);
        assert_eq!(of(Goal::Withdrawn, &closed, 5), (Question::Open, "/wsapi?cuid=42"));
        assert_eq!(of(Goal::Withdrawn, &never_open, 0), (Question::Open, "/wsapi?cuid=42"));
        assert_eq!(of(Goal::Open, &never_open, 0), (Question::Open, "/wsapi?cuid=42"));
        assert_eq!(of(Goal::Guarded, &never_open, 0), (Question::Guarded, "/wsapi?cuid=42"));
    }
}
