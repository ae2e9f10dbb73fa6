//! What can go wrong around an operator, at the very place where a test wants it: its API calls and its process.
//!
//! Nothing here knows what the operator is for.

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
