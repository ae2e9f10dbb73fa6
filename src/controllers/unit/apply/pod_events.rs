//! Lists the Events of a pod.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::{Target, expendable};
use crate::{
    controllers::unit::pod_events::{Finding, finding},
    k8s::error::words,
};

impl Target<'_> {
    /// Records what the Events say. An error is recorded, too: the start does not depend on them.
    pub(super) async fn list_pod_events(&self, pod: &Pod) {
        let events = expendable::limited(true, self.context.writer.events_of(pod)).await;
        let finding = match events {
            Ok(events) => finding(&events),
            Err(error) => {
                tracing::warn!(unit = self.name(), %error, "cannot list the Events of a pod that is not set up");
                Finding::Unreadable(words(&error))
            }
        };
        self.context.pod_events.record(&self.uid, &pod.uid().unwrap_or_default(), finding);
    }
}
