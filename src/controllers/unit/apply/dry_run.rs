//! Asks the API server whether it admits the pod that is to replace the running one. Only then is the running pod deleted.
//!
//! A dry run runs validation and all of admission: limit ranges, Pod Security, policies, webhooks and quotas.

use computing_unit_api::Reason;
use k8s_openapi::api::core::v1::Pod;
use kube::core::Status;

use super::{Target, quota};
use crate::{
    controllers::unit::{
        assess::attempt,
        blocked::{Fault, Write},
    },
    k8s::error::Result,
    metrics::Resource as Label,
};

impl Target<'_> {
    pub(super) async fn dry_run(&self, current: &Pod, next: &Pod) -> Result<()> {
        let attempt = attempt::replacement(current, next);
        match self.context.writer.dry_run(Label::Pods, &nameless(next)).await {
            Ok(()) => self.passed(attempt),
            Err(kube::Error::Api(status)) if inconclusive(&status) || self.fits(&status, current, next) => {
                self.passed(attempt);
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 422) => {
                let message = format!(
                    "the API server does not accept the next pod, so the running one is kept: {}",
                    status.message
                );
                self.blocked(Write::DryRun, Some(attempt), Reason::ReplacementRefused, message, Fault::Cluster);
            }
            Err(error) => return Err(self.unwritten(Write::DryRun, Some(attempt), error)),
        }
        Ok(())
    }

    fn passed(&self, attempt: String) {
        self.context.blocked.clear(&self.uid, Write::DryRun);
        self.context.dry_runs.record(&self.uid, attempt);
    }

    /// Whether the next pod exceeds a quota only for as long as the running one counts. Quotas are the last admission
    /// plugin, so everything else has accepted the pod by then.
    fn fits(&self, status: &Status, current: &Pod, next: &Pod) -> bool {
        let fits = status.code == 403 && quota::fits_after_deletion(&status.message, current, next);
        if fits {
            tracing::debug!(unit = self.name(), message = status.message, "the quota has room once the pod is deleted");
        }
        fits
    }
}

/// The next pod has the name of the running one, so the dry run leaves the name to the API server.
fn nameless(next: &Pod) -> Pod {
    let mut pod = next.clone();
    pod.metadata.generate_name = pod.metadata.name.take().map(|name| format!("{name}-"));
    pod
}

/// Whether a webhook has kept the API server from a dry run: the response says nothing about the pod.
fn inconclusive(status: &Status) -> bool {
    status.code == 400 && status.message.contains("does not support dry run")
}
