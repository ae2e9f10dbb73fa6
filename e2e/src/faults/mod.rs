//! Fault injection for an operator, at a point that the test selects: its API calls and its process.
//!
//! This module does not depend on the purpose of the operator.

mod call;
mod counts;
mod cut;
mod fault;
mod handle;
mod kubeconfig;
mod operator;
mod process;
mod proxy;
mod record;
mod upstream;

#[cfg(test)]
mod testing;

pub use call::{Call, Class, Verb};
pub use counts::Counts;
pub use cut::{Cut, LastWrite};
pub use fault::Fault;
pub use operator::Operator;
pub use process::OperatorProcess;
pub use proxy::ApiProxy;
pub use record::{Outcome, Record};
