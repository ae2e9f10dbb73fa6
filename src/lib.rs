//! The computing-unit operator: a `ComputingUnit` becomes a Pod, a Service and an HTTPRoute on one shared gateway.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod activator;
pub mod cli;
mod clock;
mod config;
mod controllers;
mod gateway;
mod health;
mod http1;
mod http_server;
mod image_catalog;
mod k8s;
mod leader;
mod listen;
mod metrics;
mod probe;
mod routing;
mod schedule;
mod telemetry;

#[cfg(test)]
mod testing;
