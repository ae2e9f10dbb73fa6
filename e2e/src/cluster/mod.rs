//! A real Kubernetes with Envoy Gateway on this machine, in a network namespace of its own: brought up, looked at, and
//! taken down again, whatever state an earlier run left it in.

pub mod addons;
pub mod compile;
pub mod control;
pub mod down;
pub mod forward;
pub mod images;
pub mod layout;
pub mod lock;
pub mod network;
pub mod nginx;
pub mod node;
pub mod packages;
pub mod pki;
pub mod process;
pub mod programs;
pub mod shell;
pub mod up;
pub mod volumes;
