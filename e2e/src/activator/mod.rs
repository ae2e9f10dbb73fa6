//! Entries of pools in tests: how the gateway is led to operators on this machine, pools that have an entry, and requests
//! that come by one.

mod endpoint;
mod pool;
mod requests;

pub use endpoint::{SERVICE, endpoints, serve_activator};
pub use pool::{condition, create_pool, path, policies, pool, until_accepted};
pub use requests::{WAKE_ON_REQUEST, problem, send, starts, suspended, target, until_served};
