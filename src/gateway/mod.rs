//! Gateway API and its implementations: listeners, the controller of a Gateway, route status, and proxies.

pub mod allowed_routes;
pub mod envoy_gateway;
pub mod listener;
pub mod listener_status;
pub mod provider;
pub mod proxies;
pub mod proxy_stores;
pub mod registry;
pub mod route_status;
pub mod served;
