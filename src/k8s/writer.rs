//! All writes to the API server: each counted, each under the operator's field manager, and limited in number. And the reads
//! of a reconcile that no cache can answer.

use std::{fmt::Debug, future::Future, sync::Arc, time::Duration};

use computing_unit_api::names::FIELD_MANAGER;
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{no_response::within, patch, permits::Permits};
use crate::metrics::{Metrics, Resource as Label, Verb};

/// A namespaced kind that the operator writes.
pub trait Writable:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
}

impl<K> Writable for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
}

/// What a delete applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The object with the same UID, in any version.
    Uid,
    /// The object in exactly the version that was read.
    Version,
}

/// How long the API server may take for one request: a webhook may take 10 s by default.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How many Events of an object are read. Those that repeat are one.
const MAX_EVENTS: u32 = 100;

#[derive(Clone)]
pub struct Writer {
    client: Client,
    metrics: Arc<Metrics>,
    /// One for each write in flight.
    permits: Arc<Permits>,
}

impl Writer {
    /// A writer that has at most `limit` writes in flight.
    pub fn new(client: Client, metrics: Arc<Metrics>, limit: usize) -> Self {
        Self { client, metrics, permits: Arc::new(Permits::new(limit)) }
    }

    pub async fn create<K: Writable>(&self, label: Label, object: &K) -> kube::Result<K> {
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        self.send(object.namespace(), Verb::Create, label, self.api(object).create(&params, object)).await
    }

    /// Creates an object without storing it: the API server responds as it would to the creation.
    pub async fn dry_run<K: Writable>(&self, label: Label, object: &K) -> kube::Result<()> {
        let params = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()) };
        self.send(object.namespace(), Verb::DryRun, label, self.api(object).create(&params, object)).await.map(drop)
    }

    /// Reads an object, to find out who owns it after a create failed because it exists. `None` if it does not exist.
    pub async fn read<K: Writable>(&self, object: &K) -> kube::Result<Option<K>> {
        within(TIMEOUT, self.api(object).get_opt(&object.name_any())).await
    }

    /// The Events about an object.
    pub async fn events_of<K: Writable>(&self, object: &K) -> kube::Result<Vec<Event>> {
        let events = Api::<Event>::namespaced(self.client.clone(), &object.namespace().unwrap_or_default());
        let of_object = format!("regarding.uid={}", object.uid().unwrap_or_default());
        let params = ListParams::default().fields(&of_object).limit(MAX_EVENTS);
        Ok(within(TIMEOUT, events.list(&params)).await?.items)
    }

    /// Replaces the labels and owners in which `object` differs from `current`, and `fields`, of the object that has the
    /// UID of `object`. Fails with a conflict if its owners have changed since.
    pub async fn replace<K: Writable>(
        &self,
        label: Label,
        current: &K,
        object: &K,
        fields: patch::Fields<'_>,
    ) -> kube::Result<K> {
        let patch = Patch::Json::<()>(patch::replacement(current.meta(), object.meta(), fields));
        self.send(object.namespace(), Verb::Patch, label, self.api(object).patch(&object.name_any(), &params(), &patch))
            .await
    }

    /// Applies a JSON patch to a subresource of `object`.
    pub async fn patch_subresource<K: Writable>(
        &self,
        label: Label,
        object: &K,
        subresource: &str,
        patch: json_patch::Patch,
    ) -> kube::Result<K> {
        let patch = Patch::Json::<()>(patch);
        let api: Api<K> = self.api(object);
        self.send(
            object.namespace(),
            Verb::Patch,
            label,
            api.patch_subresource(subresource, &object.name_any(), &params(), &patch),
        )
        .await
    }

    /// Applies a merge patch to the object that has the UID and the version of `object`. Fails with 409 if it has changed.
    pub async fn merge_exact<K: Writable>(&self, label: Label, object: &K, mut patch: Value) -> kube::Result<K> {
        patch["metadata"]["uid"] = json!(object.uid());
        patch["metadata"]["resourceVersion"] = json!(object.resource_version());
        self.send(
            object.namespace(),
            Verb::Patch,
            label,
            self.api(object).patch(&object.name_any(), &params(), &Patch::Merge(patch)),
        )
        .await
    }

    /// Replaces the status of the object that has the UID of `object`.
    pub async fn apply_status<K: Writable>(
        &self,
        label: Label,
        object: &K,
        status: &impl Serialize,
    ) -> kube::Result<K> {
        let name = object.name_any();
        let patch = Patch::Apply(json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": name, "uid": object.uid()},
            "status": status,
        }));
        let params = PatchParams::apply(FIELD_MANAGER).force();
        self.send(object.namespace(), Verb::Apply, label, self.api(object).patch_status(&name, &params, &patch)).await
    }

    /// Deletes an object. Returns its state after the deletion. Fails with 409 if the precondition does not hold.
    pub async fn delete<K: Writable>(&self, label: Label, object: &K, precondition: Precondition) -> kube::Result<K> {
        let resource_version = match precondition {
            Precondition::Uid => None,
            Precondition::Version => object.resource_version(),
        };
        let preconditions = Preconditions { uid: object.uid(), resource_version };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let answer = self
            .send(object.namespace(), Verb::Delete, label, self.api(object).delete(&object.name_any(), &params))
            .await?;
        Ok(answer.left().unwrap_or_else(|| patch::terminating(object.clone())))
    }

    fn api<K: Writable>(&self, object: &K) -> Api<K> {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }

    async fn send<T>(
        &self,
        namespace: Option<String>,
        verb: Verb,
        resource: Label,
        request: impl Future<Output = kube::Result<T>>,
    ) -> kube::Result<T> {
        let _permit = self.permits.acquire(namespace.as_deref().unwrap_or_default()).await;
        let answer = within(TIMEOUT, request).await;
        self.metrics.wrote(verb, resource, answer.is_ok());
        answer
    }
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use k8s_openapi::api::core::v1::Pod;
    use kube::client::Body;
    use tower::{BoxError, service_fn};

    use super::*;
    use crate::k8s::no_response::NoResponse;

    fn pod(namespace: &str) -> Pod {
        let mut pod = Pod::default();
        (pod.metadata.name, pod.metadata.namespace) = (Some("ada".to_owned()), Some(namespace.to_owned()));
        pod
    }

    #[tokio::test(start_paused = true)]
    async fn slow_namespace_holds_up_no_other_and_no_request_lasts_for_ever() {
        let service = service_fn(|request: Request<Body>| async move {
            if request.uri().path().contains("/slow/") {
                std::future::pending::<()>().await;
            }
            Ok::<_, BoxError>(Response::new(Body::from(serde_json::to_vec(&pod("quick")).unwrap())))
        });
        let writer = Writer::new(Client::new(service, "default"), Arc::default(), 4);
        let slow = futures::future::join_all((0..4).map(|_| {
            let writer = writer.clone();
            tokio::spawn(async move { writer.create(Label::Pods, &pod("slow")).await })
        }));
        let slow = tokio::spawn(slow);
        tokio::task::yield_now().await;
        let began = tokio::time::Instant::now();
        writer.create(Label::Pods, &pod("quick")).await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
        for result in slow.await.unwrap() {
            assert!(matches!(result.unwrap(), Err(kube::Error::Service(error)) if error.is::<NoResponse>()));
        }
        // Two after two.
        assert_eq!(began.elapsed(), TIMEOUT * 2);
    }
}
