//! The tests of what this module does together: a proxy with both its neighbours, an operator with its process.

mod operator;
mod proxy;
