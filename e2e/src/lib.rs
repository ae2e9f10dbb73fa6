//! A real local cluster with Envoy Gateway, and the tests, demo and benchmarks that run on it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod activator;
pub mod attach;
pub mod before;
pub mod bench;
pub mod browser;
pub mod built;
pub mod cluster;
pub mod clusters;
pub mod demo;
pub mod faults;
pub mod fixture;
pub mod gateway;
pub mod idle;
pub mod images;
pub mod killer;
pub mod kubelet;
pub mod namespace;
pub mod plain;
pub mod proxies;
pub mod simulated;
pub mod standin;
pub mod texera;
mod timings;
pub mod tool;
pub mod traffic;
pub mod units;
pub mod wait;
