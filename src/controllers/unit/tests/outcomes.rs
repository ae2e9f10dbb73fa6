//! What comes of a request that fails: the notation of the tables of errors.

use std::time::Duration;

use computing_unit_api::Reason;

use super::{
    call::{Answer, Call, error, event},
    scenario::Scenario,
};
use crate::{
    controllers::unit::blocked::{Inputs, Write},
    k8s::error::Error,
    metrics::Outcome,
};

/// The ways in which a request fails: the columns of the tables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Failure {
    Code(u16),
    Hangs,
    Disconnects,
}

pub const FAILURES: [Failure; 9] = [
    Failure::Code(403),
    Failure::Code(404),
    Failure::Code(409),
    Failure::Code(410),
    Failure::Code(422),
    Failure::Code(429),
    Failure::Code(500),
    Failure::Hangs,
    Failure::Disconnects,
];

impl Failure {
    pub fn answer(self) -> Answer {
        match self {
            Self::Code(code) => error(code),
            Self::Hangs => Answer::Hangs,
            Self::Disconnects => Answer::Disconnects,
        }
    }
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Result {
    /// The reconcile succeeds. The write is retried later; a condition has this reason and the API server's words.
    Blocks(Reason),
    /// The reconcile fails and is retried. If the failure lasts, a condition and an Event have the API server's words.
    Reports(Outcome),
    /// The reconcile fails and is retried. An Event has the API server's words.
    Events(Outcome),
    /// The reconcile fails and is retried.
    Retries(Outcome),
    /// The reconcile succeeds: nothing is left to be done.
    Done,
}

/// Reconciles with every request of a kind failing, and checks what comes of it.
pub async fn check(
    what: &str,
    scenario: &mut Scenario,
    call: Call,
    write: Option<Write>,
    failure: Failure,
    result: Result,
) {
    let what = format!("{what}: {failure:?}");
    let report = event(Reason::NotWritten.as_str());
    let before = (scenario.server.count(&call), scenario.server.count(&report));
    let reconciled = scenario.reconcile().await;
    let sent = (scenario.server.count(&call) - before.0, scenario.server.count(&report) - before.1);
    let (outcome, events) = match result {
        Result::Blocks(_) | Result::Done => (Outcome::Success, 0),
        Result::Reports(outcome) | Result::Events(outcome) => (outcome, 1),
        Result::Retries(outcome) => (outcome, 0),
    };
    assert_eq!(reconciled.as_ref().err().map_or(Outcome::Success, Error::outcome), outcome, "{what}: {reconciled:?}");
    assert!(scenario.outcomes(outcome) > 0, "{what}: counted");
    assert_eq!(sent, (1, events), "{what}: requests and Events");
    let blocked = write.and_then(|write| {
        let all = scenario.context.blocked.of("ada-uid", &Inputs::default());
        all.find(write).map(|blocked| blocked.reason)
    });
    match result {
        Result::Blocks(reason) => {
            assert_eq!(blocked, Some(reason), "{what}");
            assert!(reported(scenario, reason).await, "{what}: {:#?}", scenario.unit().status);
        }
        Result::Reports(_) => {
            assert_eq!(blocked, Some(Reason::NotWritten), "{what}");
            assert!(!has_condition(scenario, Reason::NotWritten), "{what}: it may be brief");
            assert!(reported(scenario, Reason::NotWritten).await, "{what}: {:#?}", scenario.unit().status);
        }
        Result::Events(_) | Result::Retries(_) | Result::Done => assert_eq!(blocked, None, "{what}"),
    }
}

/// Whether a condition with that reason and the API server's words is published within a minute.
async fn reported(scenario: &mut Scenario, reason: Reason) -> bool {
    for _ in 0..60 {
        if has_condition(scenario, reason) {
            return true;
        }
        scenario.watch();
        // It fails when the write is retried.
        let _ = scenario.reconcile().await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    false
}

fn has_condition(scenario: &Scenario, reason: Reason) -> bool {
    let conditions = scenario.unit().status.map(|status| status.conditions).unwrap_or_default();
    let words = |message: &str| reason == Reason::GatewayApiMissing || message.contains("of the API server");
    conditions.iter().any(|condition| condition.reason == reason && words(&condition.message))
}
