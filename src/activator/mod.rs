//! The activator: answers requests for units without a route, and starts suspended units if their pool allows it.
//!
//! Every replica answers, from caches of its own. A request costs the API server nothing, except for the one write that
//! starts a unit. The leader reconciles the routes from the Gateway to the activator
//! ([`crate::controllers::activator_route`]).

mod held_requests;
mod index;
mod page;
mod problem;
mod request;
mod server;
mod state;
mod wake;
mod watch;

pub use server::serve;
