//! Sums up the outcomes for one goal: which proxies are pending, and what is missing.
//!
//! Pure: no clock and no network.

use std::collections::{BTreeMap, BTreeSet};

use computing_unit_api::GatewayRef;

use super::{
    Goal,
    outcome::{Inconclusive, Outcome},
    question::Question,
};
use crate::gateway::proxies::{NotListed, Proxy};

pub(super) struct Tally {
    goal: Goal,
    /// Proxies that have confirmed the goal. They are not probed again.
    confirmed: BTreeSet<Proxy>,
    /// The last outcome of each of the others.
    pending: BTreeMap<Proxy, Outcome>,
}

/// Why a goal is not reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Missing {
    /// The proxies are unknown.
    #[error(transparent)]
    List(#[from] NotListed),
    #[error("no proxy of Gateway {}/{} is ready", .0.namespace, .0.name)]
    Proxies(GatewayRef),
    #[error("proxy {0} {1}")]
    Response(Proxy, Inconclusive),
    #[error("{confirmed} of {total} proxies have the route")]
    Routes { confirmed: usize, total: usize },
    #[error("{remaining} of {total} proxies may still have the route")]
    Withdrawals { remaining: usize, total: usize },
}

impl Missing {
    /// Whether the other is of the same kind, and not worth another reconcile.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Response(_, one), Self::Response(_, other)) => {
                std::mem::discriminant(one) == std::mem::discriminant(other)
            }
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Tally {
    pub(super) const fn new(goal: Goal) -> Self {
        Self { goal, confirmed: BTreeSet::new(), pending: BTreeMap::new() }
    }

    /// The proxies to probe among the current ones. Forgets those that are gone, so a proxy that returns is probed again.
    pub(super) fn pending_proxies(&mut self, mut current: Vec<Proxy>) -> Vec<Proxy> {
        current.retain(|proxy| self.goal == Goal::Withdrawn || !proxy.draining);
        self.confirmed.retain(|proxy| current.contains(proxy));
        self.pending.retain(|proxy, _| current.contains(proxy));
        current.retain(|proxy| !self.confirmed.contains(proxy));
        current
    }

    /// Whether this outcome at a proxy is the goal.
    pub(super) fn confirms(&self, proxy: &Proxy, question: Question<'_>, outcome: &Outcome) -> bool {
        let closed = matches!(question, Question::Closed(_));
        match (self.goal, outcome) {
            (Goal::Guarded | Goal::Open, outcome) => *outcome == Outcome::Matched,
            (Goal::Withdrawn, Outcome::Matched) => closed,
            (Goal::Withdrawn, Outcome::NotMatched) => !closed,
            // A terminating proxy that accepts no connections accepts no requests for the route.
            (Goal::Withdrawn, Outcome::Inconclusive(Inconclusive::NoConnection(_))) => proxy.draining,
            (Goal::Withdrawn, Outcome::Inconclusive(_)) => false,
        }
    }

    pub(super) fn record(&mut self, proxy: Proxy, question: Question<'_>, outcome: Outcome) {
        if self.confirms(&proxy, question, &outcome) {
            self.pending.remove(&proxy);
            self.confirmed.insert(proxy);
        } else {
            self.pending.insert(proxy, outcome);
        }
    }

    /// Why the goal is not reached, the most specific cause first. `None` if it is reached.
    pub(super) fn missing(&self, gateway: &GatewayRef) -> Option<Missing> {
        let total = self.confirmed.len() + self.pending.len();
        if total == 0 {
            return Some(Missing::Proxies(gateway.clone()));
        }
        if self.pending.is_empty() {
            return None;
        }
        let inconclusive = self.pending.iter().find_map(|(proxy, outcome)| match outcome {
            Outcome::Inconclusive(why) => Some(Missing::Response(proxy.clone(), why.clone())),
            _ => None,
        });
        Some(inconclusive.unwrap_or(match self.goal {
            Goal::Guarded | Goal::Open => Missing::Routes { confirmed: self.confirmed.len(), total },
            Goal::Withdrawn => Missing::Withdrawals { remaining: self.pending.len(), total },
        }))
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn proxy(last: u8) -> Proxy {
        Proxy { address: format!("10.0.0.{last}"), port: 10080, tls: false, name: None, draining: false }
    }

    fn draining(last: u8) -> Proxy {
        Proxy { draining: true, ..proxy(last) }
    }

    fn refused() -> Outcome {
        Outcome::Inconclusive(Inconclusive::NoConnection("connection refused".into()))
    }

    fn missing(tally: &Tally) -> Option<String> {
        let gateway = GatewayRef { name: "shared".into(), namespace: "gateways".into(), section_name: None };
        tally.missing(&gateway).map(|missing| missing.to_string())
    }

    #[test]
    fn opening_is_complete_when_every_proxy_has_the_route() {
        let mut tally = Tally::new(Goal::Open);
        assert_eq!(missing(&tally).unwrap(), "no proxy of Gateway gateways/shared is ready");
        assert_eq!(tally.pending_proxies(vec![proxy(1), proxy(2)]), [proxy(1), proxy(2)]);
        tally.record(proxy(1), Question::Open, Outcome::NotMatched);
        tally.record(proxy(2), Question::Open, Outcome::Matched);
        assert_eq!(missing(&tally).unwrap(), "1 of 2 proxies have the route");
        assert_eq!(tally.pending_proxies(vec![proxy(1), proxy(2)]), [proxy(1)]);
        tally.record(proxy(1), Question::Open, Outcome::Matched);
        assert_eq!(missing(&tally), None);
    }

    #[test]
    fn withdrawal_is_complete_when_every_proxy_has_dropped_the_route() {
        let mut tally = Tally::new(Goal::Withdrawn);
        tally.pending_proxies(vec![proxy(1), proxy(2), proxy(3)]);
        tally.record(proxy(1), Question::Open, Outcome::Matched);
        tally.record(proxy(2), Question::Open, Outcome::NotMatched);
        tally.record(proxy(3), Question::Open, Outcome::Matched);
        assert_eq!(missing(&tally).unwrap(), "2 of 3 proxies may still have the route");
        tally.record(proxy(1), Question::Open, Outcome::NotMatched);
        tally.record(proxy(3), Question::Open, Outcome::NotMatched);
        assert_eq!(missing(&tally), None);
    }

    #[test]
    fn inconclusive_outcome_is_reported_first() {
        let mut tally = Tally::new(Goal::Guarded);
        tally.record(proxy(1), Question::Open, Outcome::NotMatched);
        tally.record(proxy(2), Question::Open, refused());
        assert_eq!(missing(&tally).unwrap(), "proxy 10.0.0.2:10080 cannot be reached: connection refused");
        tally.record(
            proxy(2),
            Question::Open,
            Outcome::Inconclusive(Inconclusive::Status(StatusCode::SERVICE_UNAVAILABLE)),
        );
        assert_eq!(missing(&tally).unwrap(), "proxy 10.0.0.2:10080 responded with 503");
    }

    #[test]
    fn proxy_that_returns_is_probed_again() {
        let mut tally = Tally::new(Goal::Open);
        tally.record(proxy(1), Question::Open, Outcome::Matched);
        tally.record(proxy(2), Question::Open, refused());
        assert!(tally.pending_proxies(vec![proxy(1)]).is_empty());
        assert_eq!(missing(&tally), None, "a proxy that is gone is not needed");
        assert_eq!(tally.pending_proxies(vec![proxy(2)]), [proxy(2)]);
        assert_eq!(tally.pending_proxies(vec![proxy(1)]), [proxy(1)]);
    }

    #[test]
    fn draining_proxy_is_probed_for_withdrawals_only() {
        assert!(Tally::new(Goal::Open).pending_proxies(vec![draining(1)]).is_empty());
        let mut tally = Tally::new(Goal::Withdrawn);
        assert_eq!(tally.pending_proxies(vec![draining(1)]), [draining(1)]);
        tally.record(draining(1), Question::Open, Outcome::Matched);
        assert!(missing(&tally).is_some());
        tally.record(draining(1), Question::Open, refused());
        assert_eq!(missing(&tally), None, "it accepts no connections any more");
        tally.record(proxy(2), Question::Open, refused());
        assert!(missing(&tally).is_some(), "a proxy that is not draining has to respond");
    }

    #[test]
    fn missing_is_like_another_of_its_kind() {
        let responded = |last, status| Missing::Response(proxy(last), Inconclusive::Status(status));
        let unreachable = Missing::Response(proxy(1), Inconclusive::NoConnection(String::new()));
        assert!(responded(1, StatusCode::BAD_GATEWAY).is_like(&responded(2, StatusCode::SERVICE_UNAVAILABLE)));
        assert!(!responded(1, StatusCode::BAD_GATEWAY).is_like(&unreachable));
        let routes = |confirmed| Missing::Routes { confirmed, total: 3 };
        assert!(routes(1).is_like(&routes(2)));
        assert!(!routes(1).is_like(&unreachable));
    }
}
