//! What can go wrong around an operator, at the very place where a test wants it: its API calls and its process.
//!
//! Nothing here knows what the operator is for.

mod call;
mod cut;
mod fault;
mod kubeconfig;
mod operator;
mod proxy;
mod record;

#[cfg(test)]
mod testing;

pub use call::{Call, Class};
pub use cut::{Cut, LastAnswer};
pub use fault::Fault;
pub use operator::{Operator, OperatorProcess, free_address};
pub use proxy::ApiProxy;
pub use record::{Counts, Outcome, Record};
