//! The computing-unit operator: a `ComputingUnit` becomes a Pod, a Service and an HTTPRoute on one shared gateway.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod api;
pub mod backoff;
pub mod caches;
pub mod desired;
pub mod drift;
pub mod gateway;
pub mod names;
pub mod observed;
pub mod obstacles;
pub mod plan;
pub mod probe;
pub mod rbac;
pub mod release;
pub mod routing;
pub mod validate;

#[cfg(test)]
mod testing;
