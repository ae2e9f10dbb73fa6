//! A real local cluster with Envoy Gateway, and the tests, demo and benchmarks that run on it.
//!
//! The tests are in `tests/suite`. A test starts with [`fixture::with_fixture`] and uses these modules:
//!
//! | For | Modules |
//! | --- | --- |
//! | pools, units and waiting for conditions | [`fixture`], [`units`], [`wait`], [`namespace`], [`attach`] |
//! | the operator as a process: its API calls, failures and crashes | [`faults`], [`killer`] |
//! | requests through the gateway | [`traffic`], [`activator`], [`browser`], [`idle`] |
//! | the gateway and its proxies | [`gateway`], [`proxies`], [`clusters`], [`plain`] |
//! | real applications as units | [`applications`], [`jupyter`] |
//! | the node, and simulated nodes | [`kubelet`], [`images`], [`simulated`] |
//! | a deployment like Texera's, and its former proxies | [`texera`], [`standin`], [`before`] |
//! | kubectl, its plugins, Helm and Maven, and the commands of the documentation | [`tool`], [`documented`] |
//!
//! [`cluster`] is the local cluster, which `cu-cluster` starts and stops. [`demo`] and [`bench`] are separate programs.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod activator;
pub mod applications;
pub mod attach;
pub mod before;
pub mod bench;
pub mod browser;
pub mod built;
pub mod cluster;
pub mod clusters;
pub mod demo;
pub mod documented;
pub mod faults;
pub mod fixture;
mod garbage;
pub mod gateway;
pub mod idle;
pub mod images;
pub mod jupyter;
pub mod killer;
pub mod kubelet;
pub mod namespace;
pub mod plain;
pub mod proxies;
pub mod rights;
pub mod simulated;
pub mod standin;
pub mod texera;
mod timings;
pub mod tool;
pub mod traffic;
pub mod units;
pub mod wait;
