//! Changes CPU and memory of a pod that runs, through its subresource `resize`.
//!
//! A cluster that does not have it, or does not take the change, is remembered: the change then waits for another pod.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{Patch, PatchParams},
    core::Status,
};
use serde_json::{Value, json};

use super::Target;
use crate::{
    changes::{INFEASIBLE, REFUSED, Resize},
    error::{Error, Result, not_found},
    metrics::{Resource as Label, Verb},
    names::FIELD_MANAGER,
    obstacles::{Kind, Obstacle},
    validate::Rejection,
};

impl Target<'_> {
    /// Changes the amounts of one container of the very pod that was seen, all at once.
    pub(super) async fn resize(&self, pod: &Pod, container: &str, resizes: &[Resize]) -> Result<()> {
        let Some(patch) = patch(pod, container, resizes) else { return Ok(()) };
        let patch = Patch::Json::<()>(serde_json::from_value(patch).map_err(Error::Patch)?);
        let api: Api<Pod> = Api::namespaced(self.context.client.clone(), &self.namespace);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let request = api.patch_subresource("resize", &self.name, &params, &patch);
        match self.context.write(Verb::Patch, Label::PodsResize, request).await {
            Ok(pod) => {
                self.context.obstacles.overcome(&self.uid, Kind::Resize);
                self.context.written.pods.put(Arc::new(pod));
                Ok(())
            }
            Err(kube::Error::Api(status)) if gone(&status, &self.name) => {
                self.context.written.pods.gone(&self.namespace, &self.name);
                Ok(())
            }
            Err(kube::Error::Api(status)) => match refusal(&status) {
                Some(rejection) => {
                    let obstacle = Obstacle { kind: Kind::Resize, rejection, refuses_unit: false };
                    self.context.obstacles.met(&self.uid, self.inputs, obstacle);
                    Ok(())
                }
                None => Err(Error::write("pod's CPU and memory", kube::Error::Api(status))),
            },
            Err(error) => Err(Error::write("pod's CPU and memory", error)),
        }
    }
}

/// A JSON patch that applies to that pod and that container only.
fn patch(pod: &Pod, container: &str, resizes: &[Resize]) -> Option<Value> {
    let place = pod.spec.as_ref()?.containers.iter().position(|each| each.name == container)?;
    let mut operations = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": pod.metadata.uid}),
        json!({"op": "test", "path": format!("/spec/containers/{place}/name"), "value": container}),
    ];
    operations.extend(resizes.iter().map(|resize| {
        let path = format!("/spec/containers/{place}/resources/{}/{}", resize.list, resize.name);
        json!({"op": "add", "path": path, "value": resize.wanted})
    }));
    Some(Value::Array(operations))
}

/// Whether it is the pod that is not there, and not the subresource.
fn gone(status: &Status, pod: &str) -> bool {
    not_found(status) && status.details.as_ref().is_some_and(|details| details.name == pod)
}

/// What another try alone would not change.
fn refusal(status: &Status) -> Option<Rejection> {
    let message = &status.message;
    match status.code {
        404 | 405 => Some(Rejection::new(REFUSED, "the cluster has no way to")),
        // Later releases look at the node before the kubelet does.
        403 if message.contains("node didn't have enough") => Some(Rejection::new(INFEASIBLE, message)),
        400 | 403 | 422 => Some(Rejection::new(REFUSED, message)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
    use kube::core::response::StatusDetails;

    use super::*;

    fn answer(code: u16, message: &str) -> Option<&'static str> {
        refusal(&Status::failure(message, "").with_code(code)).map(|rejection| rejection.reason)
    }

    #[test]
    fn what_a_cluster_may_say() {
        let infeasible = "pods \"ada\" is forbidden: node didn't have enough allocatable resources: cpu, requested: 1, \
                          allocatable: 0";
        assert_eq!(answer(403, infeasible), Some(INFEASIBLE));
        assert_eq!(answer(403, "cannot patch resource \"pods/resize\""), Some(REFUSED));
        assert_eq!(answer(422, "Pod QOS Class may not change"), Some(REFUSED));
        assert_eq!(answer(404, "404 page not found"), Some(REFUSED));
        assert_eq!(answer(409, "conflict"), None);
        assert_eq!(answer(503, "later"), None);
    }

    #[test]
    fn a_pod_that_is_gone_is_no_cluster_without_the_subresource() {
        let of = |name: &str| {
            let details: StatusDetails = serde_json::from_value(json!({"name": name})).unwrap();
            Status::failure("not found", "NotFound").with_code(404).with_details(details)
        };
        assert!(gone(&of("ada"), "ada"));
        assert!(!gone(&of(""), "ada"));
        assert!(!gone(&Status::failure("404 page not found", "").with_code(404), "ada"));
    }

    #[test]
    fn a_patch_means_one_container_of_one_pod() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"uid": "u"}, "spec": {"containers": [{"name": "mesh"}, {"name": "engine"}]},
        }))
        .unwrap();
        let resize = Resize { list: "limits", name: "memory", wanted: Quantity("1Gi".into()) };
        let operations = patch(&pod, "engine", &[resize]).unwrap();
        assert_eq!(
            operations,
            json!([
                {"op": "test", "path": "/metadata/uid", "value": "u"},
                {"op": "test", "path": "/spec/containers/1/name", "value": "engine"},
                {"op": "add", "path": "/spec/containers/1/resources/limits/memory", "value": "1Gi"},
            ])
        );
        assert_eq!(patch(&pod, "other", &[]), None);
    }
}
