//! Waits for the first 200 response to a request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::bail;
use http::StatusCode;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::answer::Answer;
use super::connection::{Connection, Reuse};
use super::target::Target;

/// The pause between two requests, which leaves the CPU to the component under test.
const PAUSE: Duration = Duration::from_millis(1);

/// The first success.
#[derive(Clone, Debug)]
pub struct First {
    /// When the response was complete.
    pub at: Instant,
    /// The time since the call.
    pub after: Duration,
    /// The response.
    pub answer: Answer,
    /// The number of earlier responses by status code.
    pub before: BTreeMap<u16, u64>,
}

/// Sends requests to `address`, one millisecond apart, until the expected unit answers with 200.
///
/// # Errors
/// If there is no such response within `deadline`. The error contains the other responses.
pub async fn first_success(
    address: SocketAddr,
    target: &Target,
    reuse: Reuse,
    deadline: Duration,
) -> anyhow::Result<First> {
    let started = Instant::now();
    let mut search = Search { address, target, reuse, connection: None, before: BTreeMap::new(), last: String::new() };
    let Ok(answer) = timeout(deadline, search.run()).await else {
        bail!("no success within {deadline:?}; statuses: {:?}; last: {}", search.before, search.last);
    };
    let at = Instant::now();
    Ok(First { at, after: at - started, answer, before: search.before })
}

struct Search<'a> {
    address: SocketAddr,
    target: &'a Target,
    reuse: Reuse,
    connection: Option<Connection>,
    before: BTreeMap<u16, u64>,
    last: String,
}

impl Search<'_> {
    async fn run(&mut self) -> Answer {
        let mut pace = interval(PAUSE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            if let Some(answer) = self.once().await {
                return answer;
            }
        }
    }

    async fn once(&mut self) -> Option<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address).await.map_err(|failure| self.last = failure.to_string()).ok()?,
        };
        if connection.closed().await {
            return None;
        }
        let answer = connection.send(self.target).await.map_err(|failure| self.last = failure.to_string()).ok()?;
        if self.reuse == Reuse::Kept {
            self.connection = Some(connection);
        }
        let by = answer.by();
        if answer.status == StatusCode::OK && !self.target.misrouted(&by) {
            return Some(answer);
        }
        *self.before.entry(answer.status.as_u16()).or_default() += 1;
        self.last = format!("{} by {by}: {:?}", answer.status, answer.start(200));
        None
    }
}
