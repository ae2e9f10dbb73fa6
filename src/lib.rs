//! The computing-unit operator: a `ComputingUnit` becomes a Pod, a Service and an HTTPRoute on one shared gateway.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod api;
pub mod gateway;
pub mod names;
pub mod probe;
pub mod rbac;
pub mod release;
pub mod routing;

#[cfg(test)]
mod testing;
