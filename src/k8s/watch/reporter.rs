//! Reports watches that fail: in the log, in metrics, and in the details of `/readyz`.

use std::sync::Arc;

use super::{
    Callback,
    run::{Failure, Health},
};
use crate::{
    health::Gates,
    metrics::{Metrics, Resource as Label},
};

#[derive(Clone)]
pub struct WatchReporter {
    pub metrics: Arc<Metrics>,
    pub gates: Gates,
}

impl WatchReporter {
    /// Reports the health of one watch, whenever an attempt has failed and when the watch has recovered.
    pub(super) fn of(&self, label: Label, namespace: Option<String>) -> Callback<Health> {
        let Self { metrics, gates } = self.clone();
        let subject = match &namespace {
            Some(namespace) => format!("watch of {} in namespace {namespace}", label.as_str()),
            None => format!("watch of {}", label.as_str()),
        };
        metrics.watches.failing(label, namespace.as_deref(), 0);
        Box::new(move |health| match health {
            Health::Failed { failure, first } => {
                metrics.watch_failed(label);
                metrics.watches.failing(label, namespace.as_deref(), i64::from(*first));
                gates.report(&subject, Some(words(failure)));
                log(label, namespace.as_deref(), failure);
            }
            Health::Recovered => {
                metrics.watches.failing(label, namespace.as_deref(), -1);
                gates.report(&subject, None);
            }
        })
    }
}

fn words(failure: &Failure) -> String {
    match failure {
        Failure::NotServed => "the API server does not serve this resource".to_owned(),
        Failure::Other(error) => error.to_string(),
    }
}

fn log(label: Label, namespace: Option<&str>, failure: &Failure) {
    match failure {
        Failure::NotServed => tracing::error!(
            resource = label.as_str(),
            "the API server does not serve this resource: install its CRD (Gateway API for routes and Gateways, the \
             operator's own for units and pools); units wait until then"
        ),
        Failure::Other(error) => {
            tracing::warn!(resource = label.as_str(), namespace, %error, "watch failed and will be retried");
        }
    }
}
