//! The entry of a pool: what answers at the addresses of its units that have no route, and starts those that are
//! suspended where the pool wants that.
//!
//! The routes that lead here are kept by whichever process leads. Requests are answered by every process, from caches of
//! its own, so that they never cost the API server anything but the one write that starts a unit.

mod answer;
mod hold;
mod index;
mod page;
mod request;
mod server;
mod situation;
mod wake;
mod watch;

pub use server::serve;
