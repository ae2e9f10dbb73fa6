//! The activator: answers requests for units without a route, and starts suspended units if their pool allows it.
//!
//! Every replica answers, from caches of its own. A request costs the API server nothing, except for the one write that
//! starts a unit. Whether it does is decided in [`wake_rule`], from the unit, its pool and the [`intent`] of the request.
//! The leader reconciles the routes from the Gateway to the activator
//! ([`crate::controllers::activator_route`]).

mod background;
mod cors;
mod held_requests;
mod index;
mod intent;
mod not_started;
mod page;
mod problem;
mod request;
mod server;
mod state;
mod wake;
mod wake_rule;
mod watch;

pub use server::serve;
