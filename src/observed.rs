//! What a reconcile sees: one unit, its pool and its children as they are at one moment, and whose the children are.
//!
//! A snapshot is data. It is taken by [`observe()`] from caches alone, and nothing but ownership is decided here.

mod observe;
mod ownership;

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, Pod, Service},
    jiff::Timestamp,
};

use crate::{
    api::{Activity, ComputingUnit, ComputingUnitPool, GatewayRef, OperatingMode},
    gateway::{HTTPRoute, served::NotServed},
    obstacles::{Inputs, Remembered},
    routing::Origin,
    turns::Turn,
};

pub use observe::observe;
pub(crate) use observe::way;
pub use ownership::{whose, whose_claim};

/// An object that goes by a child's name.
#[derive(Clone, Debug, Default)]
pub enum Child<K> {
    /// There is none, as far as is known.
    #[default]
    Absent,
    /// The unit's own.
    Owned(Arc<K>),
    /// The unit's own or an earlier unit's, on its way out.
    Leaving,
}

impl<K> Child<K> {
    /// The unit's own object.
    #[must_use]
    pub fn owned(&self) -> Option<&K> {
        match self {
            Self::Owned(object) => Some(object),
            Self::Absent | Self::Leaving => None,
        }
    }
}

/// The way that requests come in by.
#[derive(Clone, Debug)]
pub struct Way {
    /// Which Gateway.
    pub gateway: GatewayRef,
    /// The name of the controller that serves it, or why none does.
    pub controller: Result<String, NotServed>,
    /// How clients reach it, as far as it says.
    pub origin: Option<Origin>,
}

/// A snapshot.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The unit.
    pub unit: Arc<ComputingUnit>,
    /// Its pool.
    pub pool: Option<Arc<ComputingUnitPool>>,
    /// An older pool of the same gateway that the pool overlaps.
    pub overlapped: Option<Arc<ComputingUnitPool>>,
    /// Its claims, by name: one for each template of the pool.
    pub claims: BTreeMap<String, Child<PersistentVolumeClaim>>,
    /// Its pod.
    pub pod: Child<Pod>,
    /// A pod of its name that is on its way out.
    pub leaving: Option<Arc<Pod>>,
    /// Whether its pod was made by this very reconcile.
    pub pod_made: bool,
    /// Its Service.
    pub service: Child<Service>,
    /// Its route.
    pub route: Child<HTTPRoute>,
    /// Whether the pod is a ready endpoint of the Service.
    pub endpoint_ready: bool,
    /// The Gateway of its route, or of its pool where there is no route; `None` where there is neither.
    pub gateway: Option<Way>,
    /// What keeps children from being made.
    pub obstacles: Remembered,
    /// What is known of its use.
    pub activity: Option<Activity>,
    /// Whether its pod may be made anew now.
    pub turn: Turn,
    /// Whether something here is known by a write alone, and is to be looked at again.
    pub unconfirmed: bool,
    /// The moment.
    pub now: Timestamp,
}

impl Observed {
    /// A unit of which nothing else is known.
    #[must_use]
    pub fn alone(unit: Arc<ComputingUnit>, now: Timestamp) -> Self {
        Self {
            unit,
            pool: None,
            overlapped: None,
            claims: BTreeMap::new(),
            pod: Child::Absent,
            leaving: None,
            pod_made: false,
            service: Child::Absent,
            route: Child::Absent,
            endpoint_ready: false,
            gateway: None,
            obstacles: Remembered::default(),
            activity: None,
            turn: Turn::default(),
            unconfirmed: false,
            now,
        }
    }

    /// Whether the unit is being deleted.
    #[must_use]
    pub fn deleting(&self) -> bool {
        self.unit.metadata.deletion_timestamp.is_some()
    }

    /// Whether the unit is to be suspended.
    #[must_use]
    pub fn suspended(&self) -> bool {
        !self.deleting() && self.unit.spec.operating_mode == OperatingMode::Suspended
    }

    /// What the children are made from.
    #[must_use]
    pub fn inputs(&self) -> Inputs {
        (self.unit.metadata.generation, self.pool.as_ref().and_then(|pool| pool.metadata.generation))
    }

    /// Whether the pod can hold connections: it is there, it has not ended, and nobody has asked it to.
    #[must_use]
    pub fn serving(&self) -> bool {
        self.pod.owned().is_some_and(|pod| !ended(pod))
    }

    /// Whether requests can be sent to the pod.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.endpoint_ready && self.pod.owned().is_some_and(|pod| !ended(pod) && pod_ready(pod))
    }
}

/// Whether a pod has stopped for good.
#[must_use]
pub fn ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether a pod says that it is Ready.
#[must_use]
pub fn pod_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
