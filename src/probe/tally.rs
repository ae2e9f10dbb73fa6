//! What the answers so far add up to: which proxies are still to be asked, and what is missing, in words.
//!
//! Pure: no clock and no network.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use computing_unit_api::GatewayRef;

use super::{
    Goal,
    answer::{Answer, Doubt},
    proxies::Proxy,
};

/// What is known of one goal.
pub(super) struct Tally {
    goal: Goal,
    /// Those whose word is had. Another is never asked for in the life of a task.
    settled: BTreeSet<Proxy>,
    /// The last answer of each of the others.
    open: BTreeMap<Proxy, Answer>,
}

/// Why a goal is not reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is not known which proxies there are.
    Unknown(String),
    /// There are none.
    NoProxy(GatewayRef),
    /// A proxy's answer proves nothing.
    Doubt(Proxy, Doubt),
    /// So many of so many proxies have the route.
    Some { having: usize, of: usize },
}

impl Missing {
    /// Whether the other is of the same kind, which is no news.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Doubt(_, one), Self::Doubt(_, other)) => {
                std::mem::discriminant(one) == std::mem::discriminant(other)
            }
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(why) => f.write_str(why),
            Self::NoProxy(gateway) => write!(f, "no proxy of Gateway {}/{} is ready", gateway.namespace, gateway.name),
            Self::Doubt(proxy, doubt) => write!(f, "proxy {proxy} {doubt}"),
            Self::Some { having, of } => write!(f, "{having} of {of} proxies have the route"),
        }
    }
}

impl Tally {
    pub(super) const fn new(goal: Goal) -> Self {
        Self { goal, settled: BTreeSet::new(), open: BTreeMap::new() }
    }

    /// Takes the proxies as they are now: those that are gone are forgotten, so that one that comes back is asked again.
    /// Returns those still to be asked.
    pub(super) fn whom_to_ask(&mut self, mut now: Vec<Proxy>) -> Vec<Proxy> {
        now.retain(|proxy| self.concerns(proxy));
        self.settled.retain(|proxy| now.contains(proxy));
        self.open.retain(|proxy, _| now.contains(proxy));
        now.retain(|proxy| !self.settled.contains(proxy));
        now
    }

    /// Whether a proxy has a say.
    fn concerns(&self, proxy: &Proxy) -> bool {
        self.goal == Goal::Withdrawn || !proxy.draining
    }

    /// Whether this answer of a proxy is what the goal asks for.
    pub(super) fn fits(&self, proxy: &Proxy, answer: &Answer) -> bool {
        match (self.goal, answer) {
            (Goal::Guarded | Goal::Open, Answer::Matched) | (Goal::Withdrawn, Answer::NotMatched) => true,
            // A proxy on its way out that takes no connections takes no requests by this route.
            (Goal::Withdrawn, Answer::Inconclusive(Doubt::NoConnection(_))) => proxy.draining,
            _ => false,
        }
    }

    /// Takes the last answer of a proxy that was asked.
    pub(super) fn take(&mut self, proxy: Proxy, answer: Answer) {
        if self.fits(&proxy, &answer) {
            self.open.remove(&proxy);
            self.settled.insert(proxy);
        } else {
            self.open.insert(proxy, answer);
        }
    }

    /// Whether no proxy is known.
    pub(super) fn is_empty(&self) -> bool {
        self.settled.is_empty() && self.open.is_empty()
    }

    /// What is missing, most telling first; `None` where nothing is.
    pub(super) fn missing(&self, gateway: &GatewayRef) -> Option<Missing> {
        if self.is_empty() {
            return Some(Missing::NoProxy(gateway.clone()));
        }
        let doubt = self.open.iter().find_map(|(proxy, answer)| match answer {
            Answer::Inconclusive(doubt) => Some(Missing::Doubt(proxy.clone(), doubt.clone())),
            _ => None,
        });
        let having = if self.goal == Goal::Withdrawn { self.open.len() } else { self.settled.len() };
        let some = Missing::Some { having, of: self.settled.len() + self.open.len() };
        doubt.or_else(|| (!self.open.is_empty()).then_some(some))
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn proxy(last: u8) -> Proxy {
        Proxy { address: format!("10.0.0.{last}"), port: 10080, tls: false, name: None, draining: false }
    }

    fn going(last: u8) -> Proxy {
        Proxy { draining: true, ..proxy(last) }
    }

    fn refused() -> Answer {
        Answer::Inconclusive(Doubt::NoConnection("connection refused".into()))
    }

    fn missing(tally: &Tally) -> Option<String> {
        let gateway = GatewayRef { name: "shared".into(), namespace: "gateways".into(), section_name: None };
        tally.missing(&gateway).map(|missing| missing.to_string())
    }

    #[test]
    fn a_route_is_there_when_every_proxy_says_so() {
        let mut tally = Tally::new(Goal::Open);
        assert_eq!(missing(&tally).unwrap(), "no proxy of Gateway gateways/shared is ready");
        assert_eq!(tally.whom_to_ask(vec![proxy(1), proxy(2)]), [proxy(1), proxy(2)]);
        tally.take(proxy(1), Answer::NotMatched);
        tally.take(proxy(2), Answer::Matched);
        assert_eq!(missing(&tally).unwrap(), "1 of 2 proxies have the route");
        assert_eq!(tally.whom_to_ask(vec![proxy(1), proxy(2)]), [proxy(1)]);
        tally.take(proxy(1), Answer::Matched);
        assert_eq!(missing(&tally), None);
    }

    #[test]
    fn a_route_is_gone_when_every_proxy_has_missed() {
        let mut tally = Tally::new(Goal::Withdrawn);
        tally.whom_to_ask(vec![proxy(1), proxy(2), proxy(3)]);
        tally.take(proxy(1), Answer::Matched);
        tally.take(proxy(2), Answer::NotMatched);
        tally.take(proxy(3), Answer::Matched);
        assert_eq!(missing(&tally).unwrap(), "2 of 3 proxies have the route");
        tally.take(proxy(1), Answer::NotMatched);
        tally.take(proxy(3), Answer::NotMatched);
        assert_eq!(missing(&tally), None);
    }

    #[test]
    fn doubts_are_told_first() {
        let mut tally = Tally::new(Goal::Guarded);
        tally.take(proxy(1), Answer::NotMatched);
        tally.take(proxy(2), refused());
        assert_eq!(missing(&tally).unwrap(), "proxy 10.0.0.2:10080 does not answer: connection refused");
        tally.take(proxy(2), Answer::Inconclusive(Doubt::Status(StatusCode::SERVICE_UNAVAILABLE)));
        assert_eq!(missing(&tally).unwrap(), "proxy 10.0.0.2:10080 answers with 503");
    }

    #[test]
    fn a_proxy_that_came_back_is_asked_again_and_one_that_left_is_not_missed() {
        let mut tally = Tally::new(Goal::Open);
        tally.take(proxy(1), Answer::Matched);
        tally.take(proxy(2), refused());
        assert!(tally.whom_to_ask(vec![proxy(1)]).is_empty());
        assert_eq!(missing(&tally), None);
        assert_eq!(tally.whom_to_ask(vec![proxy(2)]), [proxy(2)]);
        assert_eq!(tally.whom_to_ask(vec![proxy(1)]), [proxy(1)]);
    }

    #[test]
    fn a_proxy_on_its_way_out_has_a_say_only_in_closing() {
        assert!(Tally::new(Goal::Open).whom_to_ask(vec![going(1)]).is_empty());
        let mut tally = Tally::new(Goal::Withdrawn);
        assert_eq!(tally.whom_to_ask(vec![going(1)]), [going(1)]);
        tally.take(going(1), Answer::Matched);
        assert!(missing(&tally).is_some());
        tally.take(going(1), refused());
        assert_eq!(missing(&tally), None, "it takes no connections any more");
        tally.take(proxy(2), refused());
        assert!(missing(&tally).is_some(), "a proxy that is to stay has to answer");
    }

    #[test]
    fn news_is_what_is_of_another_kind() {
        let doubt = |last, status| Missing::Doubt(proxy(last), Doubt::Status(status));
        let down = Missing::Doubt(proxy(1), Doubt::NoConnection(String::new()));
        assert!(doubt(1, StatusCode::BAD_GATEWAY).is_like(&doubt(2, StatusCode::SERVICE_UNAVAILABLE)));
        assert!(!doubt(1, StatusCode::BAD_GATEWAY).is_like(&down));
        assert!(Missing::Some { having: 1, of: 3 }.is_like(&Missing::Some { having: 2, of: 3 }));
        assert!(!Missing::Some { having: 1, of: 3 }.is_like(&down));
    }
}
