//! The computing-unit operator: a `ComputingUnit` becomes a Pod, a Service and an HTTPRoute on one shared gateway.
//!
//! A reconcile reads observe -> validate -> desired -> plan -> apply -> status; each word is a module.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod activity;
pub mod api;
pub mod apply;
pub mod args;
pub mod backoff;
pub mod caches;
pub mod changes;
pub mod context;
pub mod controller;
pub mod crd;
pub mod desired;
pub mod drift;
pub mod entry;
pub mod error;
pub mod gateway;
pub mod goal;
pub mod leader;
pub mod life;
pub mod listen;
pub mod metrics;
pub mod names;
pub mod observed;
pub mod obstacles;
pub mod plan;
pub mod pools;
pub mod probe;
pub mod rbac;
pub mod reconcile;
pub mod reference;
pub mod release;
pub mod routing;
pub mod run;
pub mod server;
pub mod settings;
pub mod status;
pub mod telemetry;
pub mod turns;
pub mod validate;

#[cfg(test)]
mod testing;
