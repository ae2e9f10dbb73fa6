//! Tests that have the cluster for themselves, because they change what all others use. No other test runs meanwhile.

mod gateway_controller;
mod kubelet;
mod resize;

use e2e::fixture::with_fixture_alone as with_fixture;
