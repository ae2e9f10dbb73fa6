//! Integration tests of the module: the proxy with a client and a server, and the operator with its process.

mod operator;
mod proxy;
