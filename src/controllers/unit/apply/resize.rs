//! Changes the resources of a running pod through its subresource `resize`.
//!
//! A cluster that lacks the subresource, or rejects the change, is remembered: the change then waits for the next pod.

use std::sync::Arc;

use computing_unit_api::Reason;
use json_patch::Patch;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::core::Status;
use serde_json::json;

use super::{Target, quota};
use crate::{
    controllers::unit::{
        assess::{
            attempt::{self, Resize},
            update::resized,
        },
        blocked::{Fault, Write},
    },
    k8s::{
        error::{Result, contended, not_found},
        patch,
    },
    metrics::Resource as Label,
};

impl Target<'_> {
    /// Changes all amounts of one container of the pod that has the UID of `pod`.
    pub(super) async fn resize(&self, pod: &Pod, container: &str, resizes: &[Resize]) -> Result<()> {
        let Some(patch) = resize_patch(pod, container, resizes) else { return Ok(()) };
        let attempt = || Some(attempt::resize(pod, resizes));
        match self.context.writer.patch_subresource(Label::PodsResize, pod, "resize", patch).await {
            Ok(stored) => {
                self.context.blocked.clear(&self.uid, Write::Resize);
                if let (Some(before), Some(after)) = (named(pod, container), named(&stored, container)) {
                    let (sent, stored) = (resized(before, resizes), json!(after.resources));
                    self.context.admissions.record(&self.uid, Write::Resize, &sent, &stored);
                }
                self.context.overlays.pods.put(Arc::new(stored));
                Ok(())
            }
            Err(kube::Error::Api(status)) if pod_gone(&status, &self.name()) => {
                self.context.overlays.pods.gone(pod);
                Ok(())
            }
            Err(kube::Error::Api(status)) => {
                if let Some((reason, message)) = rejection(&status) {
                    self.blocked(Write::Resize, attempt(), reason, message, Fault::Cluster);
                    return Ok(());
                }
                Err(self.unwritten(Write::Resize, attempt(), kube::Error::Api(status)))
            }
            Err(error) => Err(self.unwritten(Write::Resize, attempt(), error)),
        }
    }
}

fn named<'a>(pod: &'a Pod, container: &str) -> Option<&'a Container> {
    pod.spec.as_ref()?.containers.iter().find(|each| each.name == container)
}

/// A patch that applies to that pod and that container only.
fn resize_patch(pod: &Pod, container: &str, resizes: &[Resize]) -> Option<Patch> {
    let index = pod.spec.as_ref()?.containers.iter().position(|each| each.name == container)?.to_string();
    let of_container = ["spec", "containers", &index];
    let mut operations = vec![
        patch::test(&["metadata", "uid"], json!(pod.metadata.uid)),
        patch::test(&[&of_container[..], &["name"]].concat(), json!(container)),
    ];
    operations.extend(resizes.iter().map(|resize| {
        let path = [&of_container[..], &["resources", resize.list, resize.name]].concat();
        patch::add(&path, json!(resize.wanted))
    }));
    Some(Patch(operations))
}

/// Whether the pod does not exist, rather than the subresource.
fn pod_gone(status: &Status, pod: &str) -> bool {
    not_found(status) && status.details.as_ref().is_some_and(|details| details.name == pod)
}

/// Why a retry alone would not help.
fn rejection(status: &Status) -> Option<(Reason, String)> {
    let message = status.message.clone();
    match status.code {
        _ if contended(status) => None,
        404 | 405 => {
            Some((Reason::ResizeRefused, "the cluster does not support the resize of running pods".to_owned()))
        }
        // Later releases of Kubernetes check the node's capacity at admission.
        403 if message.contains("node didn't have enough") => Some((Reason::Infeasible, message)),
        // The next pod would be refused for the same amounts.
        403 if quota::limits_amounts(&message) => Some((Reason::Forbidden, message)),
        400 | 403 | 422 => Some((Reason::ResizeRefused, message)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
    use kube::core::response::StatusDetails;

    use super::*;

    fn answer(code: u16, message: &str) -> Option<Reason> {
        rejection(&Status::failure(message, "").with_code(code)).map(|(reason, _)| reason)
    }

    #[test]
    fn rejections_by_status() {
        let infeasible = "pods \"ada\" is forbidden: node didn't have enough allocatable resources: cpu, requested: 1, \
                          allocatable: 0";
        assert_eq!(answer(403, infeasible), Some(Reason::Infeasible));
        assert_eq!(answer(403, "cannot patch resource \"pods/resize\""), Some(Reason::ResizeRefused));
        let quota = "pods \"ada\" is forbidden: exceeded quota: units, requested: limits.memory=2Gi, used: limits.memory=3Gi, \
                     limited: limits.memory=4Gi";
        assert_eq!(answer(403, quota), Some(Reason::Forbidden));
        let range = "pods \"ada\" is forbidden: maximum memory usage per Container is 128Mi, but limit is 1Gi";
        assert_eq!(answer(403, range), Some(Reason::Forbidden));
        assert_eq!(answer(422, "Pod QOS Class may not change"), Some(Reason::ResizeRefused));
        assert_eq!(answer(404, "404 page not found"), Some(Reason::ResizeRefused));
        assert_eq!(answer(409, "conflict"), None);
        assert_eq!(answer(503, "later"), None);
    }

    #[test]
    fn missing_pod_is_not_a_missing_subresource() {
        let of = |name: &str| {
            let details: StatusDetails = serde_json::from_value(json!({"name": name})).unwrap();
            Status::failure("not found", "NotFound").with_code(404).with_details(details)
        };
        assert!(pod_gone(&of("ada"), "ada"));
        assert!(!pod_gone(&of(""), "ada"));
        assert!(!pod_gone(&Status::failure("404 page not found", "").with_code(404), "ada"));
    }

    #[test]
    fn patch_applies_to_one_container_of_one_pod() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"uid": "u"}, "spec": {"containers": [{"name": "mesh"}, {"name": "engine"}]},
        }))
        .unwrap();
        let resize = Resize { list: "limits", name: "memory", wanted: Quantity("1Gi".into()) };
        let operations = serde_json::to_value(resize_patch(&pod, "engine", &[resize]).unwrap()).unwrap();
        assert_eq!(
            operations,
            json!([
                {"op": "test", "path": "/metadata/uid", "value": "u"},
                {"op": "test", "path": "/spec/containers/1/name", "value": "engine"},
                {"op": "add", "path": "/spec/containers/1/resources/limits/memory", "value": "1Gi"},
            ])
        );
        assert_eq!(resize_patch(&pod, "other", &[]), None);
    }
}
