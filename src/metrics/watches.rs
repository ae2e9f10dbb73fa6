//! Metrics of the watches.
//!
//! The label `namespace` has the names in the operator's own settings, which tenants do not choose. It is empty for all
//! namespaces, and for kinds that are not namespaced.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::labels::{Resource, WatchedScope};

/// Names and values of the labels of one series.
type Labels<const N: usize> = [(&'static str, String); N];

#[derive(Debug, Default)]
pub struct WatchMetrics {
    failing: Family<Labels<2>, Gauge>,
    synced: Family<Labels<2>, Gauge>,
    invalid: Family<Labels<1>, Counter>,
}

impl WatchMetrics {
    pub(super) fn register(&self, to: &mut Registry) {
        let help = "Number of watches whose last request failed, by namespace and resource";
        to.register("watches_failing", help, self.failing.clone());
        let help = "1 if all objects of the namespace are listed, 0 otherwise, by namespace and what it is watched for";
        to.register("namespace_synced", help, self.synced.clone());
        let help = "Total number of times that an object could not be deserialized, by resource";
        to.register("invalid_objects", help, self.invalid.clone());
    }

    /// Changes the number of failing watches.
    pub fn failing(&self, resource: Resource, namespace: Option<&str>, change: i64) {
        let labels = [("namespace", name(namespace)), ("resource", resource.as_str().to_owned())];
        self.failing.get_or_create(&labels).inc_by(change);
    }

    pub fn synced(&self, scope: WatchedScope, namespace: Option<&str>, synced: bool) {
        let labels = [("namespace", name(namespace)), ("scope", scope.as_str().to_owned())];
        self.synced.get_or_create(&labels).set(synced.into());
    }

    /// An object could not be deserialized.
    pub fn invalid(&self, resource: Resource) {
        self.invalid.get_or_create(&[("resource", resource.as_str().to_owned())]).inc();
    }
}

fn name(namespace: Option<&str>) -> String {
    namespace.unwrap_or_default().to_owned()
}
