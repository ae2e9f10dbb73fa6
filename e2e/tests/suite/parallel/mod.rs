//! Tests that run side by side. Each has its own namespace, operator and addresses, and leaves the shared gateway as it is.

mod activator;
mod changes;
mod deletion;
mod drift;
mod failures;
mod host_lookup;
mod idle;
mod idle_faults;
mod install;
mod isolation;
mod java_client;
mod keys;
mod kubectl_create;
mod kubectl_cu;
mod lifecycle;
mod lifetime;
mod local_cluster;
mod migrate;
mod migrate_resolver;
mod namespaces;
mod operator_crash;
mod rbac;
mod rollout;
mod suspend;
mod texera;
mod traffic;
mod validation;
mod volumes;
mod waiting;
mod wake;
mod wake_browser;
mod wake_denied;
mod wake_replicas;

use e2e::fixture::with_fixture;
