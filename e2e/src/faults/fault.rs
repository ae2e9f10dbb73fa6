//! Descriptions of faults. The proxy injects them into calls.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use k8s_openapi::jiff::SignedDuration;
use serde_json::json;

use super::call::{Call, Class};

/// The effect of a fault on a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Action {
    /// The proxy answers with this status. The call is not forwarded.
    Answer(StatusCode),
    /// The proxy answers like an API server that does not serve the URL. The call is not forwarded.
    NotServed,
    /// The connection is closed. The call is not forwarded.
    Refuse,
    /// The call is forwarded. The connection is closed instead of a response.
    Lose,
    /// The call is forwarded after this time.
    Delay(Duration),
    /// The call is forwarded as if the operator's clock were ahead by this time.
    Skew(SignedDuration),
}

/// A fault that applies to the next calls that match.
pub struct Fault {
    action: Action,
    left: Option<u64>,
    matches: Box<dyn Fn(&Call) -> bool + Send>,
}

impl Fault {
    fn new(action: Action) -> Self {
        Self { action, left: Some(1), matches: Box::new(|_| true) }
    }

    /// Answers with `status` instead of forwarding the call.
    #[must_use]
    pub fn answer(status: StatusCode) -> Self {
        Self::new(Action::Answer(status))
    }

    /// Answers every call for an API group, including discovery, as if its `CustomResourceDefinitions` were not
    /// installed, until all faults are removed. The group is still in the list of all groups.
    #[must_use]
    pub fn not_served(group: &str) -> Self {
        let group = group.to_owned();
        Self::new(Action::NotServed).always().when(move |call| call.group == group)
    }

    /// Closes the connection instead of forwarding the call.
    #[must_use]
    pub fn refuse() -> Self {
        Self::new(Action::Refuse)
    }

    /// Closes the connection instead of forwarding the response. The call takes effect.
    #[must_use]
    pub fn lose() -> Self {
        Self::new(Action::Lose)
    }

    /// Forwards the call after `delay`.
    #[must_use]
    pub fn delay(delay: Duration) -> Self {
        Self::new(Action::Delay(delay))
    }

    /// Forwards every Lease as if the operator's clock were ahead by `offset`, until all faults are removed.
    #[must_use]
    pub fn skewed_clock(offset: SignedDuration) -> Self {
        Self::new(Action::Skew(offset)).always().when(|call| call.class() == Class::Lease)
    }

    /// Sets the number of calls that the fault applies to (default: one).
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.left = Some(times);
        self
    }

    /// Applies the fault to every call until all faults are removed.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.left = None;
        self
    }

    /// Sets the calls that the fault applies to (default: all).
    #[must_use]
    pub fn when(mut self, matches: impl Fn(&Call) -> bool + Send + 'static) -> Self {
        self.matches = Box::new(matches);
        self
    }

    /// The effect on `call`, if the fault applies. Counts the call.
    pub(super) fn meet(&mut self, call: &Call) -> Option<Action> {
        if self.left == Some(0) || !(self.matches)(call) {
            return None;
        }
        self.left = self.left.map(|left| left - 1);
        Some(self.action)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault").field("action", &self.action).field("left", &self.left).finish_non_exhaustive()
    }
}

/// The body of a response with `status`, like that of the API server.
pub(super) fn body(status: StatusCode) -> Vec<u8> {
    let reason = match status {
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::CONFLICT => "Conflict",
        StatusCode::GONE => "Expired",
        StatusCode::UNPROCESSABLE_ENTITY => "Invalid",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        StatusCode::INTERNAL_SERVER_ERROR => "InternalError",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
        StatusCode::GATEWAY_TIMEOUT => "Timeout",
        _ => "",
    };
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "fault injected by a test",
        "reason": reason,
        "code": status.as_u16(),
    });
    status.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn a_fault_meets_what_it_matches_until_it_is_used_up() {
        let call = |resource: &str| Call::new(&Method::GET, &format!("/api/v1/{resource}").parse().unwrap());
        let mut fault = Fault::answer(StatusCode::CONFLICT).times(2).when(|call| call.resource == "pods");
        let action = Some(Action::Answer(StatusCode::CONFLICT));
        assert_eq!(fault.meet(&call("services")), None);
        assert_eq!(fault.meet(&call("pods")), action);
        assert_eq!(fault.meet(&call("pods")), action);
        assert_eq!(fault.meet(&call("pods")), None);
        let mut fault = Fault::refuse().always();
        assert!((0..100).all(|_| fault.meet(&call("pods")) == Some(Action::Refuse)));
    }
}
