//! The computing-unit operator: a `ComputingUnit` becomes a Pod, a Service and an HTTPRoute on one shared gateway.

pub mod api;
pub mod args;
pub mod controller;
pub mod crd;
pub mod leader;
pub mod metrics;
pub mod names;
pub mod rbac;
pub mod reference;
pub mod release;
pub mod routing;
pub mod run;
pub mod server;
pub mod settings;
pub mod telemetry;

#[cfg(test)]
mod testing;
