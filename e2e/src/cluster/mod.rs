//! A local Kubernetes cluster with Envoy Gateway, in its own network namespace. It can be started, inspected and
//! removed in any state that an earlier run left behind.

pub mod addons;
pub mod application_images;
pub mod applications;
pub mod audit;
pub mod compile;
pub mod control;
pub mod down;
pub mod forward;
mod image;
pub mod images;
pub mod kubeconfig;
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
