//! Faults that are put in the way of calls. They are described here, and carried out by the proxy.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use super::call::Call;

/// What happens to a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Action {
    /// The proxy answers with this status. The call is not passed on.
    Answer(StatusCode),
    /// The proxy answers like an API server that does not serve the URL. The call is not passed on.
    NotServed,
    /// The connection is closed. The call is not passed on.
    Refuse,
    /// The call is passed on. The connection is closed instead of a response.
    Lose,
    /// The call is passed on after this time.
    Delay(Duration),
}

/// A fault that meets the next calls of a kind.
pub struct Fault {
    action: Action,
    left: Option<u64>,
    matches: Box<dyn Fn(&Call) -> bool + Send>,
}

impl Fault {
    fn new(action: Action) -> Self {
        Self { action, left: Some(1), matches: Box::new(|_| true) }
    }

    /// Answers with `status` instead of asking the API server.
    #[must_use]
    pub fn answer(status: StatusCode) -> Self {
        Self::new(Action::Answer(status))
    }

    /// Answers every call for an API group until the proxy is mended, its discovery too, as if the group's
    /// `CustomResourceDefinitions` were not installed. It is still named in the list of all groups.
    #[must_use]
    pub fn not_served(group: &str) -> Self {
        let group = group.to_owned();
        Self::new(Action::NotServed).always().when(move |call| call.group == group)
    }

    /// Closes the connection instead of asking the API server.
    #[must_use]
    pub fn refuse() -> Self {
        Self::new(Action::Refuse)
    }

    /// Closes the connection instead of passing on the response. The call takes effect.
    #[must_use]
    pub fn lose() -> Self {
        Self::new(Action::Lose)
    }

    /// Asks the API server only after `delay`.
    #[must_use]
    pub fn delay(delay: Duration) -> Self {
        Self::new(Action::Delay(delay))
    }

    /// How many calls it meets; without a word, one.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.left = Some(times);
        self
    }

    /// Meets every call until the proxy is mended.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.left = None;
        self
    }

    /// Which calls it meets; without a word, all.
    #[must_use]
    pub fn when(mut self, matches: impl Fn(&Call) -> bool + Send + 'static) -> Self {
        self.matches = Box::new(matches);
        self
    }

    /// What is to happen to `call`, which uses the fault up by one.
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

/// The body of an answer with `status`, as the API server writes it.
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
        "message": "a fault made up by a test",
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
