//! Leader election against a server that keeps a Lease, in virtual time.

mod acquisition;
mod release;
mod renewal;
mod schedule;

use std::time::Duration;

use http::StatusCode;

use super::testing::{Candidate, End, Server};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const LEASE: Duration = secs(15);
const RENEW_DEADLINE: Duration = secs(10);
/// The retry period with its jitter, and some milliseconds of timers.
const ONE_POLL: Duration = Duration::from_millis(2410);
const INTERNAL: End = End::Refused(StatusCode::INTERNAL_SERVER_ERROR);

fn candidate() -> (Server, Candidate) {
    let server = Server::default();
    let candidate = Candidate::new(&server, "me");
    (server, candidate)
}
