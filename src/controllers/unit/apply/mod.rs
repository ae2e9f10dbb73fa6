//! Applies the steps of a plan: the only place where the reconcile of a unit has effects.
//!
//! It decides nothing, but it stops if the cluster differs from the snapshot: an object with the name of a child that
//! somebody else owns is left alone.

mod children;
mod dry_run;
mod expendable;
mod memory;
mod pod_events;
mod quota;
mod read;
mod resize;
mod status;
mod unit;

use futures::future::join_all;
use kube::ResourceExt;
use serde_json::json;

use super::{
    blocked::{Inputs, Write},
    context::UnitContext,
    plan::Step,
    snapshot::{Child, Snapshot},
    status::events,
};
use crate::{
    controllers::ownership::{owned_child, owned_pvc},
    k8s::{
        error::{Error, Result, brief, no_response, words},
        patch::Fields,
    },
};

/// What the steps of one plan have done that no snapshot can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
pub struct Applied {
    pod_created: bool,
    absence_confirmed: bool,
    status_published: bool,
    unit_gone: bool,
}

impl Applied {
    /// Whether this reconcile has created a pod that the status does not record, given whether it had before.
    pub const fn pod_created(self, before: bool) -> bool {
        self.pod_created || (before && !self.status_published)
    }

    /// Whether the children that the cache does not have were read.
    pub const fn absence_confirmed(self) -> bool {
        self.absence_confirmed
    }

    /// Whether the unit is gone, or the finalizer was removed: nothing remains to be done.
    pub const fn unit_gone(self) -> bool {
        self.unit_gone
    }

    const fn and(self, other: Self) -> Self {
        Self {
            pod_created: self.pod_created || other.pod_created,
            absence_confirmed: self.absence_confirmed || other.absence_confirmed,
            status_published: self.status_published || other.status_published,
            unit_gone: self.unit_gone || other.unit_gone,
        }
    }
}

/// Applies the steps of one plan concurrently: they do not depend on each other.
///
/// # Errors
/// The first failure that is worth a retry. A write that the API server rejects for good is recorded as blocked instead.
pub async fn apply(context: &UnitContext, snapshot: &Snapshot, steps: Vec<Step>) -> Result<Applied> {
    let target = Target { context, snapshot, uid: snapshot.uid(), inputs: snapshot.inputs() };
    let results = join_all(steps.into_iter().map(|step| target.reported(step))).await;
    results.into_iter().try_fold(Applied::default(), |all, applied| Ok(all.and(applied?)))
}

/// The unit that steps are applied to.
struct Target<'a> {
    context: &'a UnitContext,
    snapshot: &'a Snapshot,
    uid: String,
    inputs: Inputs,
}

impl Target<'_> {
    /// Applies a step. A failure that may last is reported, for the status may be what cannot be written.
    async fn reported(&self, step: Step) -> Result<Applied> {
        let optional = self.snapshot.terminating() && matches!(step, Step::PublishStatus(_));
        let overdue = step.overdue();
        // Events are published beside a write, which does not wait for them. A retry is a series of the same Event.
        let event = async {
            if overdue {
                self.publish_event(events::drain_timed_out()).await;
            }
        };
        let ((), applied) = tokio::join!(event, self.step(step));
        if let Err(Error::Write { resource, source }) = &applied
            && !brief(source)
            // A deletion does not wait for an API server that does not respond.
            && !(optional && no_response(source))
        {
            self.publish_event(events::not_written(resource, &words(source))).await;
        }
        match applied {
            // The unit is deleted without its last status.
            Err(error) if optional => {
                tracing::warn!(unit = self.name(), %error, "cannot write the status of a unit that is being deleted");
                Ok(Applied::default())
            }
            applied => applied,
        }
    }

    async fn step(&self, step: Step) -> Result<Applied> {
        let mut applied = Applied::default();
        let overlays = &self.context.overlays;
        match step {
            Step::RequestKey(key) => self.request_key(&key),
            Step::ReleaseKeys { kept } => self.release_keys(kept.as_ref()),

            Step::RequestSlot => self.request_slot(),
            Step::ReleaseSlot => self.release_slot(),
            Step::ForgetBlocked(writes) => {
                for write in writes {
                    self.context.blocked.clear(&self.uid, write);
                }
            }
            Step::StartProbe(goal, target) => self.context.prober.start(*target, goal),
            Step::StopProbe => self.context.prober.stop(&self.uid),
            Step::ForgetActivity => self.context.activity.forget(&self.uid),
            Step::HoldStatus => self.context.held_statuses.hold(&self.uid),
            Step::ReleaseStatus => self.context.held_statuses.release(&self.uid),

            Step::ListPodEvents(pod) => self.list_pod_events(&pod).await,
            Step::PublishStatus(status) => {
                applied.unit_gone = !self.publish_status(&status).await?;
                applied.status_published = true;
            }
            Step::ReadAbsent => {
                self.read_absent().await?;
                applied.absence_confirmed = true;
            }
            Step::AddFinalizer => applied.unit_gone = !self.set_finalizer(true).await?,
            Step::RemoveFinalizer { .. } => {
                self.set_finalizer(false).await?;
                applied.unit_gone = true;
            }
            Step::DeleteChildren => self.delete_children().await,
            Step::DeleteUnit(ttl) => applied.unit_gone = !self.delete_unit(ttl).await?,
            Step::FollowSchedule(due) => applied.unit_gone = !self.follow_schedule(due).await?,

            Step::CreatePvc(claim) => {
                self.create(Write::PersistentVolumeClaim, *claim, &overlays.pvcs, owned_pvc).await?;
            }
            Step::CreateService(service) => {
                self.create(Write::Service, *service, &overlays.services, owned_child).await?;
            }
            Step::CreatePod(pod) => {
                applied.pod_created = self.create(Write::Pod, *pod, &overlays.pods, owned_child).await?;
                if applied.pod_created {
                    self.forget_attempts();
                }
            }
            Step::DryRunPod { current, next } => self.dry_run(&current, &next).await?,
            Step::CreateRoute(route) => {
                self.create(Write::HTTPRoute, *route, &overlays.routes, owned_child).await?;
            }
            Step::RepairPvc(claim) => {
                let current = self.snapshot.pvcs.get(&claim.name_any()).and_then(Child::owned);
                self.repair(Write::PersistentVolumeClaim, current, &*claim, Fields::None, &overlays.pvcs).await?;
            }
            Step::RepairService(service) => {
                let spec = service.spec.as_ref();
                let fields = [
                    // An ExternalName or a cluster IP would take the requests elsewhere.
                    ("type", json!("ClusterIP")),
                    ("clusterIP", json!(spec.map(|spec| &spec.cluster_ip))),
                    ("selector", json!(spec.map(|spec| &spec.selector))),
                    ("ports", json!(spec.map(|spec| &spec.ports))),
                ];
                let current = self.snapshot.service.owned();
                self.repair(Write::Service, current, &*service, Fields::Of(&fields), &overlays.services).await?;
            }
            Step::RepairPod(pod) => {
                self.repair(Write::Pod, self.snapshot.pod.owned(), &*pod, Fields::None, &overlays.pods).await?;
            }
            Step::ReplaceRoute(route) => {
                let spec = json!(route.spec);
                let current = self.snapshot.route.owned();
                self.repair(Write::HTTPRoute, current, &*route, Fields::Spec(&spec), &overlays.routes).await?;
            }
            Step::ResizePod { pod, container, resizes } => self.resize(&pod, &container, &resizes).await?,
            Step::DeletePod { pod, .. } => self.delete(Write::Pod, *pod, &overlays.pods).await?,
            Step::DeleteRoute { route, .. } => self.delete(Write::HTTPRoute, *route, &overlays.routes).await?,
        }
        Ok(applied)
    }

    fn name(&self) -> String {
        self.snapshot.unit.name_any()
    }
}
