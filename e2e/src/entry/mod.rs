//! Entries of pools in tests: how the gateway is led to operators on this machine, pools that have an entry, and requests
//! that come by one.

mod ask;
mod pool;
mod way;

pub use ask::{WAKES, ask, problem, starts, suspended, target, until_served};
pub use pool::{made, make, path, policies, pool, says};
pub use way::{SERVICE, lead_here, ways};
