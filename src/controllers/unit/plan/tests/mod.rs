//! What is planned in each situation, and that plans come to an end.

#![allow(clippy::large_stack_arrays, reason = "tables of situations")]

mod ends;
mod keys;
mod property;
mod replacement;
mod starts;
mod world;

const ADD_FINALIZER: &str = "add the finalizer";
const SERVICE: &str = "create the Service";
const POD: &str = "create the pod";
const GUARDED: &str = "create the guarded route";
const REPLACE: &str = "replace the route";
const REMOVE: &str = "remove the finalizer";
