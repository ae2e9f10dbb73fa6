//! The computing-unit operator: a `ComputingUnit` becomes a Pod, a Service and an HTTPRoute on one shared gateway.
//!
//! A reconcile reads observe -> validate -> desired -> plan -> apply -> status; each word is a module.

#![cfg_attr(test, allow(clippy::unwrap_used))]

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod api;
pub mod gateway;
pub mod names;
pub mod probe;
pub mod rbac;
pub mod reconcile;
pub mod release;
pub mod routing;
pub mod run;
pub mod server;
pub mod settings;
pub mod status;
pub mod telemetry;
pub mod validate;

#[cfg(test)]
mod testing;
