//! Reports objects that cannot be deserialized: in the log, in a metric, and in an Event on the object.

use std::{sync::Arc, time::Duration};

use computing_unit_api::Reason;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    api::ObjectMeta,
    core::error_boundary::InvalidObject,
    runtime::events::{Event, EventType},
};
use tokio::time::{Instant, sleep_until};

use crate::{
    controllers::{events, unit::context::UnitContext},
    k8s::{backoff::Backoff, finalizer, watch::Watchable},
    metrics::Resource as Label,
};

/// The longest note of an Event.
const MAX_NOTE: usize = 1024;
/// How often the removal of a finalizer is tried. The next list or change of the unit starts again.
const ATTEMPTS: usize = 8;

#[derive(Clone)]
pub struct InvalidObjects {
    pub client: Client,
    pub context: Arc<UnitContext>,
}

impl InvalidObjects {
    /// Reports an object of the kind `K`. A unit that is being deleted loses its finalizer, which no reconcile could
    /// remove.
    pub fn report<K: Watchable>(&self, label: Label, invalid: &InvalidObject) {
        let metadata = &invalid.metadata;
        tracing::warn!(
            resource = label.as_str(), namespace = metadata.namespace, name = metadata.name, error = %invalid.error,
            "cannot deserialize an object, leaving it alone: correct it, or check that the CRDs are those of this release"
        );
        self.context.metrics.watches.invalid(label);
        if label == Label::ComputingUnits && metadata.deletion_timestamp.is_some() {
            tokio::spawn(remove_finalizer(self.client.clone(), metadata.clone()));
        }
        // The operator may write Events in the namespaces of units only.
        if self.context.caches.scope(metadata.namespace.as_deref().unwrap_or_default()).is_some() {
            let (context, object) = (self.context.clone(), reference::<K>(metadata));
            let event = event(&invalid.error);
            tokio::spawn(async move { events::publish_on(&context.recorder, &object, event).await });
        }
    }
}

fn event(error: &str) -> Event {
    let note =
        format!("the operator cannot read this object, and goes on with its last valid version, if any: {error}");
    Event {
        type_: EventType::Warning,
        reason: Reason::Unreadable.as_str().to_owned(),
        note: Some(note.chars().take(MAX_NOTE).collect()),
        action: "Read".to_owned(),
        secondary: None,
    }
}

fn reference<K: Resource<DynamicType = ()>>(metadata: &ObjectMeta) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

async fn remove_finalizer(client: Client, metadata: ObjectMeta) {
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    for _ in 0..ATTEMPTS {
        let Err(error) = finalizer::remove_from_unreadable(&client, metadata.clone()).await else { return };
        tracing::warn!(%error, "cannot remove the finalizer of a unit that cannot be deserialized");
        sleep_until(Instant::now() + backoff.failed(())).await;
    }
}
