//! All writes to the API server: each counted, each under the operator's field manager, and limited in number.

use std::{fmt::Debug, future::Future, sync::Arc};

use computing_unit_api::names::FIELD_MANAGER;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::patch;
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

#[derive(Clone)]
pub struct Writer {
    client: Client,
    metrics: Arc<Metrics>,
    permits: Arc<Semaphore>,
}

impl Writer {
    /// A writer that has at most `limit` writes in flight.
    pub fn new(client: Client, metrics: Arc<Metrics>, limit: usize) -> Self {
        Self { client, metrics, permits: Arc::new(Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS))) }
    }

    pub async fn create<K: Writable>(&self, label: Label, object: &K) -> kube::Result<K> {
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        self.send(Verb::Create, label, self.api(object).create(&params, object)).await
    }

    /// Reads an object, to find out who owns it after a create failed because it exists. `None` if it does not exist.
    pub async fn read<K: Writable>(&self, object: &K) -> kube::Result<Option<K>> {
        self.api(object).get_opt(&object.name_any()).await
    }

    /// Replaces labels, owners and `fields` of the object that has the UID of `object`.
    pub async fn replace<K: Writable>(&self, label: Label, object: &K, fields: patch::Fields<'_>) -> kube::Result<K> {
        let patch = Patch::Json::<()>(patch::replacement(object.meta(), fields));
        self.send(Verb::Patch, label, self.api(object).patch(&object.name_any(), &params(), &patch)).await
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
        self.send(Verb::Patch, label, api.patch_subresource(subresource, &object.name_any(), &params(), &patch)).await
    }

    /// Applies a merge patch to the object that has the UID and the version of `object`. Fails with 409 if it has changed.
    pub async fn merge_exact<K: Writable>(&self, label: Label, object: &K, mut patch: Value) -> kube::Result<K> {
        patch["metadata"]["uid"] = json!(object.uid());
        patch["metadata"]["resourceVersion"] = json!(object.resource_version());
        self.send(Verb::Patch, label, self.api(object).patch(&object.name_any(), &params(), &Patch::Merge(patch))).await
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
        self.send(Verb::Apply, label, self.api(object).patch_status(&name, &params, &patch)).await
    }

    /// Deletes an object. Returns its state after the deletion. Fails with 409 if the precondition does not hold.
    pub async fn delete<K: Writable>(&self, label: Label, object: &K, precondition: Precondition) -> kube::Result<K> {
        let resource_version = match precondition {
            Precondition::Uid => None,
            Precondition::Version => object.resource_version(),
        };
        let preconditions = Preconditions { uid: object.uid(), resource_version };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let answer = self.send(Verb::Delete, label, self.api(object).delete(&object.name_any(), &params)).await?;
        Ok(answer.left().unwrap_or_else(|| patch::terminating(object.clone())))
    }

    fn api<K: Writable>(&self, object: &K) -> Api<K> {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }

    async fn send<T>(
        &self,
        verb: Verb,
        resource: Label,
        request: impl Future<Output = kube::Result<T>>,
    ) -> kube::Result<T> {
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await;
        let answer = request.await;
        self.metrics.wrote(verb, resource, answer.is_ok());
        answer
    }
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}
