//! What one answer of one proxy proves about a unit's route.
//!
//! Pure.

use std::fmt;

use computing_unit_api::names::headers;
use http::{HeaderMap, StatusCode};

use crate::metrics::ProbeResult;

/// What a proxy's answer proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The proxy has the unit's route.
    Matched,
    /// The request took another route, or none.
    NotMatched,
    /// Neither.
    Inconclusive(Doubt),
}

/// Why an answer proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// No connection could be made.
    NoConnection(String),
    /// A connection was made and no answer came.
    NoAnswer(String),
    /// This status may be the proxy's own, given before it chose a route.
    Status(StatusCode),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection(why) | Self::NoAnswer(why) => write!(f, "does not answer: {why}"),
            Self::Status(status) => write!(f, "answers with {}", status.as_u16()),
        }
    }
}

impl Answer {
    /// The answer as a metric label.
    pub(super) const fn result(&self) -> ProbeResult {
        match self {
            Self::Matched => ProbeResult::Matched,
            Self::NotMatched => ProbeResult::NotMatched,
            Self::Inconclusive(_) => ProbeResult::Inconclusive,
        }
    }
}

/// Judges an answer to a request for unit `uid`.
///
/// The UID counts under any status that comes from behind the route, a refusal by its authorization among them. It does
/// not count under 503, by which a proxy says that it has the route and not what the route leads to, nor under 429.
/// Without the UID, errors are in doubt: an overloaded proxy gives them before it looks for a route.
pub(super) fn judge(uid: &str, status: StatusCode, answer: &HeaderMap) -> Answer {
    let ours = answer.get_all(headers::UNIT).iter().any(|value| value.as_bytes() == uid.as_bytes());
    if !ours && answer.contains_key(headers::ACTIVATOR) {
        // The pool's entry has answered, or the proxy in its place while the operator is away.
        return Answer::NotMatched;
    }
    let limited = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
    match ours {
        _ if limited => Answer::Inconclusive(Doubt::Status(status)),
        true => Answer::Matched,
        // Another unit's route has answered, whatever it says.
        false if answer.contains_key(headers::UNIT) => Answer::NotMatched,
        false if status.is_server_error() => Answer::Inconclusive(Doubt::Status(status)),
        false => Answer::NotMatched,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, unit: Option<&str>) -> ProbeResult {
        let mut answer = HeaderMap::new();
        if let Some(unit) = unit {
            answer.insert(headers::UNIT, unit.parse().unwrap());
        }
        judge("me", StatusCode::from_u16(status).unwrap(), &answer).result()
    }

    #[test]
    fn an_answer_under_our_uid_proves_the_route_whatever_the_engine_says() {
        for status in [200, 101, 204, 301, 400, 401, 403, 404, 405, 500, 502, 504] {
            assert_eq!(judged(status, Some("me")), ProbeResult::Matched, "{status}");
        }
    }

    #[test]
    fn an_answer_of_anybody_else_is_a_miss() {
        for status in [200, 302, 401, 404] {
            assert_eq!(judged(status, None), ProbeResult::NotMatched, "{status}");
            assert_eq!(judged(status, Some("you")), ProbeResult::NotMatched, "{status}");
        }
        assert_eq!(judged(500, Some("you")), ProbeResult::NotMatched);
    }

    #[test]
    fn the_entry_of_the_pool_is_a_miss_even_while_nobody_serves_it() {
        let mut answer = HeaderMap::new();
        answer.insert(headers::ACTIVATOR, "true".parse().unwrap());
        for status in [StatusCode::NOT_FOUND, StatusCode::SERVICE_UNAVAILABLE, StatusCode::INTERNAL_SERVER_ERROR] {
            assert_eq!(judge("me", status, &answer), Answer::NotMatched);
        }
        // An engine cannot say so of its own route.
        answer.insert(headers::UNIT, "me".parse().unwrap());
        assert_eq!(judge("me", StatusCode::OK, &answer), Answer::Matched);
    }

    #[test]
    fn overload_and_errors_prove_nothing() {
        for unit in [None, Some("me"), Some("you")] {
            assert_eq!(judged(503, unit), ProbeResult::Inconclusive);
            assert_eq!(judged(429, unit), ProbeResult::Inconclusive);
        }
        assert_eq!(judged(500, None), ProbeResult::Inconclusive);
        assert_eq!(judged(504, None), ProbeResult::Inconclusive);
    }
}
