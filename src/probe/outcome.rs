//! What the response of one proxy shows about a unit's route.
//!
//! Pure.

use computing_unit_api::names::headers;
use http::{HeaderMap, StatusCode};

use super::question::Question;
use crate::metrics::ProbeResult;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The proxy has the unit's route.
    Matched,
    /// The request took another route, or none.
    NotMatched,
    Inconclusive(Inconclusive),
}

/// Why a probe shows nothing. Reads as the predicate of a sentence about the proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Inconclusive {
    #[error("cannot be reached: {0}")]
    NoConnection(String),
    #[error("did not respond: {0}")]
    NoResponse(String),
    /// It took the connection, and ended it without a response.
    #[error(
        "closed the connection: {0}. A listener that requires client certificates or the PROXY protocol cannot be probed: \
         set spec.probe.mode of the pool to Disabled"
    )]
    Closed(String),
    /// The proxy may respond with this status before it selects a route.
    #[error("responded with {}", .0.as_u16())]
    Status(StatusCode),
}

impl Outcome {
    pub(super) const fn result(&self) -> ProbeResult {
        match self {
            Self::Matched => ProbeResult::Matched,
            Self::NotMatched => ProbeResult::NotMatched,
            Self::Inconclusive(_) => ProbeResult::Inconclusive,
        }
    }
}

/// The outcome of a probe of the unit `uid`.
///
/// With the UID every status is a match, including a 401 of the route's authorization, except 503 (the proxy has the route
/// but not its cluster) and 429. Without the UID a server error is inconclusive: an overloaded proxy responds with one
/// before it selects a route.
pub(super) fn outcome(question: Question<'_>, uid: &str, status: StatusCode, response: &HeaderMap) -> Outcome {
    let has = |name, wanted: &str| response.get_all(name).iter().any(|value| value.as_bytes() == wanted.as_bytes());
    let own = has(headers::UNIT, uid);
    if let Question::Closed(version) = question
        && own
    {
        // Under any status: a proxy that reports that the cluster is missing has the route, too.
        return if has(headers::CLOSED, version) { Outcome::Matched } else { Outcome::NotMatched };
    }
    if !own && response.contains_key(headers::ACTIVATOR) {
        // The activator route of the pool. The proxy itself responds if no operator is available.
        return Outcome::NotMatched;
    }
    let limited = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
    match own {
        _ if limited => Outcome::Inconclusive(Inconclusive::Status(status)),
        true => Outcome::Matched,
        // The route of another unit.
        false if response.contains_key(headers::UNIT) => Outcome::NotMatched,
        false if status.is_server_error() => Outcome::Inconclusive(Inconclusive::Status(status)),
        false => Outcome::NotMatched,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(status: u16, unit: Option<&str>) -> ProbeResult {
        let mut response = HeaderMap::new();
        if let Some(unit) = unit {
            response.insert(headers::UNIT, unit.parse().unwrap());
        }
        outcome(Question::Open, "me", StatusCode::from_u16(status).unwrap(), &response).result()
    }

    #[test]
    fn response_with_the_uid_of_the_unit_matches_under_any_status_of_the_engine() {
        for status in [200, 101, 204, 301, 400, 401, 403, 404, 405, 500, 502, 504] {
            assert_eq!(result(status, Some("me")), ProbeResult::Matched, "{status}");
        }
    }

    #[test]
    fn response_without_the_uid_of_the_unit_does_not_match() {
        for status in [200, 302, 401, 404] {
            assert_eq!(result(status, None), ProbeResult::NotMatched, "{status}");
            assert_eq!(result(status, Some("you")), ProbeResult::NotMatched, "{status}");
        }
        assert_eq!(result(500, Some("you")), ProbeResult::NotMatched);
    }

    #[test]
    fn response_under_the_activator_route_does_not_match() {
        let mut response = HeaderMap::new();
        response.insert(headers::ACTIVATOR, "true".parse().unwrap());
        for status in [StatusCode::NOT_FOUND, StatusCode::SERVICE_UNAVAILABLE, StatusCode::INTERNAL_SERVER_ERROR] {
            assert_eq!(outcome(Question::Open, "me", status, &response), Outcome::NotMatched);
        }
        // An engine that sends the header of the activator does not hide its own route.
        response.insert(headers::UNIT, "me".parse().unwrap());
        assert_eq!(outcome(Question::Open, "me", StatusCode::OK, &response), Outcome::Matched);
    }

    #[test]
    fn only_the_closed_route_of_that_version_matches() {
        let closed = |status: u16, unit: &str, version: Option<&str>| {
            let mut response = HeaderMap::new();
            response.insert(headers::UNIT, unit.parse().unwrap());
            if let Some(version) = version {
                response.insert(headers::CLOSED, version.parse().unwrap());
            }
            outcome(Question::Closed("route-uid.7"), "me", StatusCode::from_u16(status).unwrap(), &response).result()
        };
        for status in [200, 401, 404, 429, 503] {
            assert_eq!(closed(status, "me", Some("route-uid.7")), ProbeResult::Matched, "{status}");
            assert_eq!(closed(status, "me", Some("route-uid.5")), ProbeResult::NotMatched, "{status}");
            assert_eq!(closed(status, "me", None), ProbeResult::NotMatched, "{status}");
        }
        assert_eq!(closed(200, "you", Some("route-uid.7")), ProbeResult::NotMatched);
        assert_eq!(closed(503, "you", Some("route-uid.7")), ProbeResult::Inconclusive);
    }

    #[test]
    fn overload_and_server_errors_are_inconclusive() {
        for unit in [None, Some("me"), Some("you")] {
            assert_eq!(result(503, unit), ProbeResult::Inconclusive);
            assert_eq!(result(429, unit), ProbeResult::Inconclusive);
        }
        assert_eq!(result(500, None), ProbeResult::Inconclusive);
        assert_eq!(result(504, None), ProbeResult::Inconclusive);
    }
}
