//! What Gateway API objects mean: what a listener admits, whether a Gateway is served, what a route's status says.

pub mod listener;
pub mod route_status;
pub mod served;
