//! Stops idle units. Reads activity signals outside of the reconcile path.
//!
//! There are three signals: the statistics of the gateway's proxies, the busy probe of the unit's engine, and an annotation
//! with the time of the last activity. A unit is idle if every signal of its pool could be read and reported no activity
//! for the whole of its `idleTimeout`. Anything unknown counts as activity: an error may keep a node running for a while,
//! but never stops running work.

mod annotation;
mod busy_probe;
pub mod context;
mod counters;
mod departures;
mod expression;
mod expressions;
mod fetch;
mod gateway_signal;
mod idleness;
mod mark;
mod messages;
mod policy;
mod polls;
mod readings;
mod rounds;
mod samples;
mod scan;
mod schedule;
mod statistics;
mod stop;
mod table;
mod terminating;
#[cfg(test)]
mod tests;
mod tracked;

pub use departures::Departures;
pub use expressions::Expressions;
pub use mark::idle_since;
pub use table::Table;

use std::sync::Arc;

use self::context::IdleContext;

/// Runs until dropped.
pub async fn run(context: Arc<IdleContext>) {
    tokio::join!(schedule::run(context.clone()), terminating::run(context));
}
