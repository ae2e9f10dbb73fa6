//! What is to be done now: from what is seen and what should be, to steps.
//!
//! Pure. A step is only planned when everything that it relies on has been seen; when nothing is left to do the plan is
//! empty, and what happens next wakes the unit again.

mod claims;
mod close;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use kube::ResourceExt;

use crate::{
    api::{ComputingUnit, ProbeMode},
    changes::{self, Resize},
    desired::{Children, route},
    drift,
    gateway::{
        HTTPRoute,
        parent::{self, Verdict},
    },
    life::{self, Life, News, life},
    names::FINALIZER,
    observed::{Child, Observed},
    obstacles::Kind,
    validate::{Rejection, reasons},
};

pub use close::{deadline, drained};

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Puts the finalizer on the unit.
    AddFinalizer,
    /// Makes a claim.
    CreateClaim(Box<PersistentVolumeClaim>),
    /// Puts a claim's labels back, and gives it its owner or takes it away.
    RepairClaim(Box<PersistentVolumeClaim>),
    /// Makes the Service.
    CreateService(Box<Service>),
    /// Puts the Service back into shape.
    RepairService(Box<Service>),
    /// Makes the pod.
    CreatePod(Box<Pod>),
    /// Puts the pod's labels and owner back.
    RepairPod(Box<Pod>),
    /// Changes CPU and memory of the engine as it runs.
    ResizePod {
        /// The pod as it was seen.
        pod: Box<Pod>,
        /// Name of the engine's container.
        container: String,
        /// What is to be changed.
        resizes: Vec<Resize>,
    },
    /// Makes the route, guarded.
    CreateRoute(Box<HTTPRoute>),
    /// Opens, closes or repairs the route.
    ReplaceRoute(Box<HTTPRoute>),
    /// Deletes the route of a unit that is suspended or finished. `overdue` as below.
    DeleteRoute {
        /// The route as it was seen.
        route: Box<HTTPRoute>,
        /// Whether the deadline decided.
        overdue: bool,
    },
    /// Stops the pod of a unit that is suspended, finished or given another, or removes one that has ended. `overdue` as
    /// below.
    DeletePod {
        /// The pod as it was seen.
        pod: Box<Pod>,
        /// Whether the deadline decided.
        overdue: bool,
    },
    /// Deletes a unit that was finished for long enough.
    DeleteUnit,
    /// Lets the unit go. `overdue` where the proxies have not been seen to give up its route.
    DropFinalizer {
        /// Whether the deadline decided.
        overdue: bool,
    },
}

impl Step {
    /// What is done, for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AddFinalizer => "add the finalizer",
            Self::CreateClaim(_) => "create a claim",
            Self::RepairClaim(_) => "repair a claim",
            Self::CreateService(_) => "create the Service",
            Self::RepairService(_) => "repair the Service",
            Self::CreatePod(_) => "create the pod",
            Self::RepairPod(_) => "repair the pod",
            Self::ResizePod { .. } => "resize the pod",
            Self::CreateRoute(_) => "create the route, guarded",
            Self::ReplaceRoute(_) => "replace the route",
            Self::DeleteRoute { .. } => "delete the route",
            Self::DeletePod { .. } => "delete the pod",
            Self::DeleteUnit => "delete the unit",
            Self::DropFinalizer { .. } => "drop the finalizer",
        }
    }

    /// Whether a route is given up by it although the proxies were not seen to do so in time.
    #[must_use]
    pub const fn overdue(&self) -> bool {
        match self {
            Self::DeleteRoute { overdue, .. } | Self::DeletePod { overdue, .. } | Self::DropFinalizer { overdue } => {
                *overdue
            }
            _ => false,
        }
    }
}

/// What the unit's children should be, or why there should be none.
pub type Wanted = Result<Children, Rejection>;

/// The steps to take now. `reached` says whether the present [goal](crate::goal) was seen at all proxies.
#[must_use]
pub fn plan(observed: &Observed, wanted: &Wanted, reached: bool) -> Vec<Step> {
    if observed.deleting() {
        return close::end(observed, reached).into_iter().collect();
    }
    if observed.resting() {
        if life::expired(observed) {
            return vec![Step::DeleteUnit];
        }
        let kept = |children| service(observed, children).into_iter().chain(claims::claims(observed, children));
        let kept = wanted.as_ref().ok().into_iter().flat_map(kept);
        return close::rest(observed, reached).into_iter().chain(kept).collect();
    }
    let life = life(observed);
    if matches!(life, Life::Unwritten(News::Finished(_))) {
        return vec![];
    }
    let children = match wanted {
        Ok(children) => children,
        Err(rejection) => return close::refuse(observed, rejection).into_iter().collect(),
    };
    // Pod and Service go with their owner, whatever becomes of it; it is the route's end that the finalizer is for.
    let [way, pod] = if !has_finalizer(&observed.unit) {
        [Some(Step::AddFinalizer), pod(observed, children, &life)]
    } else if changes::replacing(observed, wanted) {
        [close::replace(observed, reached), None]
    } else {
        [way(observed, children, reached), pod(observed, children, &life)]
    };
    let all = [way, service(observed, children), pod];
    all.into_iter().flatten().chain(claims::claims(observed, children)).collect()
}

fn service(observed: &Observed, children: &Children) -> Option<Step> {
    match &observed.service {
        _ if observed.obstacles.bars(Kind::Service) => None,
        Child::Absent => Some(Step::CreateService(Box::new(children.service.clone()))),
        Child::Owned(seen) if !drift::service_matches(seen, &children.service) => {
            Some(Step::RepairService(Box::new(drift::repaired(seen.as_ref(), children.service.clone()))))
        }
        Child::Owned(_) | Child::Leaving => None,
    }
}

fn pod(observed: &Observed, children: &Children, life: &Life) -> Option<Step> {
    match &observed.pod {
        Child::Owned(seen) if *life == Life::Spent => {
            Some(Step::DeletePod { pod: Box::new(seen.as_ref().clone()), overdue: false })
        }
        _ if observed.obstacles.bars(Kind::Pod) || *life != Life::Runs => None,
        Child::Absent => claims::all_there(observed, children).then(|| Step::CreatePod(Box::new(children.pod.clone()))),
        Child::Owned(seen) if !drift::metadata_matches(seen.as_ref(), &children.pod) => {
            Some(Step::RepairPod(Box::new(drift::repaired(seen.as_ref(), children.pod.clone()))))
        }
        Child::Owned(seen) => resize(observed, seen, children),
        Child::Leaving => None,
    }
}

fn resize(observed: &Observed, seen: &Pod, children: &Children) -> Option<Step> {
    let resizes = changes::resizes(observed, children);
    if resizes.is_empty() || observed.obstacles.bars(Kind::Resize) {
        return None;
    }
    let container = changes::engine(children)?.name.clone();
    Some(Step::ResizePod { pod: Box::new(seen.clone()), container, resizes })
}

fn way(observed: &Observed, children: &Children, reached: bool) -> Option<Step> {
    let uid = observed.unit.uid().unwrap_or_default();
    let guarded = || route::guarded(children.route.clone(), &uid);
    match &observed.route {
        _ if observed.obstacles.bars(Kind::HTTPRoute) => None,
        Child::Absent => (observed.ready() && attachable(observed)).then(|| Step::CreateRoute(Box::new(guarded()))),
        Child::Leaving => None,
        Child::Owned(seen) => {
            let opened = !route::is_guarded(seen);
            let may_open = observed.ready() && (reached || (unprobed(observed) && accepted(observed, seen)));
            let desired = if (opened && observed.serving()) || (!opened && may_open) {
                children.route.clone()
            } else {
                guarded()
            };
            (!drift::route_matches(seen, &desired))
                .then(|| Step::ReplaceRoute(Box::new(drift::repaired(seen.as_ref(), desired))))
        }
    }
}

/// Whether a Gateway is there to attach to.
fn attachable(observed: &Observed) -> bool {
    observed.gateway.as_ref().is_some_and(|way| way.controller.is_ok())
}

/// Whether the pool has probes turned off.
#[must_use]
pub fn unprobed(observed: &Observed) -> bool {
    observed.pool.as_ref().is_some_and(|pool| pool.spec.probe.mode == ProbeMode::Disabled)
}

fn accepted(observed: &Observed, route: &HTTPRoute) -> bool {
    observed.gateway.as_ref().is_some_and(|way| {
        way.controller
            .as_ref()
            .is_ok_and(|controller| parent::verdict(route, &way.gateway, controller) == Verdict::Accepted)
    })
}

/// Whether the key is another unit's.
#[must_use]
pub fn lost_key(rejection: &Rejection) -> bool {
    [reasons::KEY_CONFLICT, reasons::KEY_CONFLICT_ELSEWHERE].contains(&rejection.reason)
}

fn has_finalizer(unit: &ComputingUnit) -> bool {
    unit.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

#[cfg(test)]
mod tests;
