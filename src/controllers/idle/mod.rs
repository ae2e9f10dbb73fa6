//! Whether units are in use, found out off the reconcile path, and what is done with those that are not.
//!
//! Three signals: what the gateway's proxies counted, what the unit's engine answers, and a time that a backend keeps in
//! an annotation. A unit is idle only when every signal of its pool can be read and has said so for the whole of its
//! `idleTimeout`. Whatever is not known counts as use: a wrong guess may cost a node for a while, never running work.

mod act;
mod annotation;
mod busy;
mod clock;
pub mod context;
mod counters;
mod fetch;
mod proxies;
mod readings;
mod scan;
mod schedule;
mod statistics;
mod stopped;
mod table;
mod terms;
#[cfg(test)]
mod tests;
mod usage;
mod watched;

pub use schedule::run;
pub use stopped::stopped;
pub use table::Table;
