//! Publishes Events.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Resource,
    runtime::events::{Event, Recorder},
};
use tokio::time::timeout;

use crate::k8s::error::namespace_terminating;

/// How long the API server may take to accept an Event.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Publishes an Event about an object. An Event that cannot be written is not retried.
pub async fn publish<K: Resource<DynamicType = ()>>(recorder: &Recorder, object: &K, event: Event) {
    publish_on(recorder, &object.object_ref(&()), event).await;
}

/// Same as [`publish`], given the reference of the object.
pub async fn publish_on(recorder: &Recorder, object: &ObjectReference, event: Event) {
    let Ok(published) = timeout(TIMEOUT, recorder.publish(&event, object)).await else {
        tracing::warn!(reason = event.reason, "timed out writing an Event");
        return;
    };
    match published {
        Ok(()) => {}
        Err(kube::Error::Api(status)) if namespace_terminating(&status) => {}
        Err(error) => tracing::warn!(%error, reason = event.reason, "cannot write an Event"),
    }
}
