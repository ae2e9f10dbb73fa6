//! The activator in tests: its Service, pools with an activator, and requests that it answers.

mod endpoint;
mod pool;
mod requests;

pub use endpoint::{SERVICE, endpoints, serve_activator};
pub use pool::{condition, create_pool, path, policies, pool, until_accepted};
pub use requests::{WAKES, problem, send, starts, suspended, target, until_served};
