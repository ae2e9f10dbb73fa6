//! Publishes Events.

use std::time::Duration;

use kube::{
    Resource,
    runtime::events::{Event, Recorder},
};
use tokio::time::timeout;

/// How long the API server may take to accept an Event.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Publishes an Event about an object. An Event that cannot be written is not retried.
pub async fn publish<K: Resource<DynamicType = ()>>(recorder: &Recorder, object: &K, event: Event) {
    let Ok(published) = timeout(TIMEOUT, recorder.publish(&event, &object.object_ref(&()))).await else {
        tracing::warn!(reason = event.reason, "timed out writing an Event");
        return;
    };
    match published {
        Ok(()) => {}
        // The namespace is being deleted.
        Err(kube::Error::Api(status)) if status.is_forbidden() && status.message.contains("being terminated") => {}
        Err(error) => tracing::warn!(%error, reason = event.reason, "cannot write an Event"),
    }
}
