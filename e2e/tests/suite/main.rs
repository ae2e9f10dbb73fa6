//! Tests on a cluster. The folder of a test is its group: tests in `parallel` run side by side on the shared gateway, each
//! in a namespace of its own; a test in `serial` has the cluster for itself.

#![allow(clippy::unwrap_used, missing_docs)]

mod parallel;
mod serial;
