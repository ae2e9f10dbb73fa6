//! Reconciles of a unit, request by request, against a mocked API server.

#![allow(clippy::large_stack_arrays, reason = "tables of situations")]

mod admission;
mod api_server;
mod call;
mod child_errors;
mod converged;
mod image_catalog;
mod lasting;
mod lifecycle;
mod observation;
mod outcomes;
mod ownership;
mod pod_events;
mod publication;
mod replacement;
mod scenario;
mod schedule;
mod selector;
mod starts;
mod unit_errors;
mod unlisted;
mod verification;
