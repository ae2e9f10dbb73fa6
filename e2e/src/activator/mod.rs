//! Entries of pools in tests: how the gateway is led to operators on this machine, pools that have an entry, and requests
//! that come by one.

mod ask;
mod endpoint;
mod pool;

pub use ask::{WAKES, ask, problem, starts, suspended, target, until_served};
pub use endpoint::{SERVICE, lead_here, ways};
pub use pool::{made, make, path, policies, pool, says};
