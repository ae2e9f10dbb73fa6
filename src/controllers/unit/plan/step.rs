//! The steps of a plan. Every effect of a reconcile is one of these.

use computing_unit_api::{ComputingUnitStatus, gateway::HTTPRoute};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};

use crate::{
    controllers::unit::{
        assess::{Ttl, attempt::Resize, schedule::Due},
        blocked::Write,
    },
    probe::{Goal, Target},
    routing::keys::RoutingKey,
};

/// One effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    // In the operator's memory.
    /// Requests the routing key, or joins the queue for it.
    RequestKey(RoutingKey),
    /// Releases the routing keys, or leaves the queues for them, except for `kept`.
    ReleaseKeys {
        kept: Option<RoutingKey>,
    },
    /// Requests a slot in the rollout of the pool.
    RequestSlot,
    /// Releases the slot, or leaves the queue.
    ReleaseSlot,
    /// Forgets that writes of children were rejected that the unit does not want any more.
    ForgetBlocked(Vec<Write>),
    /// Probes the proxies.
    StartProbe(Goal, Box<Target>),
    StopProbe,
    /// Discards what the idle controller knows of the unit.
    ForgetActivity,
    /// Holds a change of status back for a while, so that a quick start costs few writes.
    HoldStatus,
    /// Ends that delay: there is nothing to publish any more.
    ReleaseStatus,

    // On the unit.
    /// Reads pod and route by name if the cache has none, before something is concluded from that.
    ReadAbsent,
    /// Lists the Events of a pod whose containers are not created.
    ListPodEvents(Box<Pod>),
    PublishStatus(Box<ComputingUnitStatus>),
    AddFinalizer,
    RemoveFinalizer {
        /// Whether the deadline of the withdrawal has passed.
        overdue: bool,
    },
    /// Deletes the children of a deleted unit. The garbage collector would do it too, later and with more requests.
    DeleteChildren,
    /// Deletes a unit after its TTL.
    DeleteUnit(Ttl),
    /// Suspends or resumes the unit at a time of its schedule.
    FollowSchedule(Due),

    // On its children.
    CreatePvc(Box<PersistentVolumeClaim>),
    /// Adds or removes the owner of a PersistentVolumeClaim.
    RepairPvc(Box<PersistentVolumeClaim>),
    CreateService(Box<Service>),
    RepairService(Box<Service>),
    CreatePod(Box<Pod>),
    /// Asks the API server whether it admits the pod that is to replace the running one, before that is deleted.
    DryRunPod {
        current: Box<Pod>,
        next: Box<Pod>,
    },
    /// Restores the labels and the owner of the pod.
    RepairPod(Box<Pod>),
    ResizePod {
        pod: Box<Pod>,
        /// Name of the container.
        container: String,
        resizes: Vec<Resize>,
    },
    DeletePod {
        pod: Box<Pod>,
        /// Whether the deadline of the withdrawal has passed.
        overdue: bool,
    },
    /// Creates the route, guarded.
    CreateRoute(Box<HTTPRoute>),
    /// Opens, guards or repairs the route.
    ReplaceRoute(Box<HTTPRoute>),
    DeleteRoute {
        route: Box<HTTPRoute>,
        /// Whether the deadline of the withdrawal has passed.
        overdue: bool,
    },
}

impl Step {
    /// The name of the step, for logs and tests.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RequestKey(_) => "request the key",
            Self::ReleaseKeys { .. } => "release keys",
            Self::RequestSlot => "request a rollout slot",
            Self::ReleaseSlot => "release the rollout slot",
            Self::ForgetBlocked(_) => "forget blocked writes",
            Self::StartProbe(..) => "start the probe",
            Self::StopProbe => "stop the probe",
            Self::ForgetActivity => "forget the activity",
            Self::HoldStatus => "hold the status",
            Self::ReleaseStatus => "release the status",
            Self::ReadAbsent => "read what is absent",
            Self::ListPodEvents(_) => "list the Events of the pod",
            Self::PublishStatus(_) => "publish the status",
            Self::AddFinalizer => "add the finalizer",
            Self::RemoveFinalizer { .. } => "remove the finalizer",
            Self::DeleteChildren => "delete the children",
            Self::DeleteUnit(_) => "delete the unit",
            Self::FollowSchedule(_) => "follow the schedule",
            Self::CreatePvc(_) => "create a PVC",
            Self::RepairPvc(_) => "repair a PVC",
            Self::CreateService(_) => "create the Service",
            Self::RepairService(_) => "repair the Service",
            Self::CreatePod(_) => "create the pod",
            Self::DryRunPod { .. } => "dry-run the next pod",
            Self::RepairPod(_) => "repair the pod",
            Self::ResizePod { .. } => "resize the pod",
            Self::DeletePod { .. } => "delete the pod",
            Self::CreateRoute(_) => "create the guarded route",
            Self::ReplaceRoute(_) => "replace the route",
            Self::DeleteRoute { .. } => "delete the route",
        }
    }

    /// Whether the step abandons a withdrawal that the proxies have not confirmed in time.
    pub const fn overdue(&self) -> bool {
        match self {
            Self::DeleteRoute { overdue, .. } | Self::DeletePod { overdue, .. } | Self::RemoveFinalizer { overdue } => {
                *overdue
            }
            _ => false,
        }
    }
}
