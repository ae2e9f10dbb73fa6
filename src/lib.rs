//! The computing-unit operator: a `ComputingUnit` becomes a Pod, a Service and an HTTPRoute on one shared gateway.

pub mod api;
pub mod names;
pub mod rbac;
pub mod release;
pub mod routing;

#[cfg(test)]
mod testing;
