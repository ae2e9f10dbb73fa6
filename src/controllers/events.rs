//! Publishes Events.

use kube::{
    Resource,
    runtime::events::{Event, Recorder},
};

/// Publishes an Event about an object. An Event that cannot be written is not retried.
pub async fn publish<K: Resource<DynamicType = ()>>(recorder: &Recorder, object: &K, event: Event) {
    match recorder.publish(&event, &object.object_ref(&())).await {
        Ok(()) => {}
        // The namespace is being deleted.
        Err(kube::Error::Api(status)) if status.is_forbidden() && status.message.contains("being terminated") => {}
        Err(error) => tracing::warn!(%error, reason = event.reason, "cannot write an Event"),
    }
}
