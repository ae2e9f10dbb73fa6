//! HTTP/1.1 and WebSocket clients that send requests through the proxies of a gateway and report the results.
//!
//! This module does not depend on Kubernetes.

mod answer;
mod connection;
mod first;
mod follow;
mod hammer;
mod latency;
mod report;
mod tally;
mod target;
mod websocket;

#[cfg(test)]
mod testing;

pub use answer::{Answer, By};
pub use connection::{Connection, Failure, Reuse};
pub use first::{First, first_success};
pub use follow::follow;
pub use hammer::{Hammer, Hammering};
pub use latency::Latency;
pub use report::Report;
pub use tally::{Sample, Tally};
pub use target::Target;
pub use websocket::{Ending, Socket, refusal};
