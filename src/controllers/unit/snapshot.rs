//! What one reconcile works on: a unit, its pool, its children, and what the operator itself remembers of the unit.
//!
//! A snapshot is immutable data, taken whole by [`observe`](super::observe).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use computing_unit_api::{
    Activity, ComputingUnit, ComputingUnitPool, OperatingMode, ProbeMode, VerifiedProbe, VerifiedRoute,
    gateway::{HTTPRoute, is_guarded},
    names::FINALIZER,
};
use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, Pod, Service},
    jiff::Timestamp,
};
use kube::ResourceExt;

use super::{
    admissions::UnitAdmissions,
    blocked::{Blocked, Inputs},
    pod,
    pod_events::PodEvents,
    rollout::Slot,
};

pub use crate::controllers::ownership::Child;
use crate::{
    controllers::{gateway_binding::GatewayBinding, pool_conflict::PoolConflict},
    image_catalog::ImageCatalog,
    k8s::endpoints::Endpoint,
    probe::Report,
    routing::keys::{Reservation, RoutingKey},
};

/// One unit at one moment.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an observation of its own")]
pub struct Snapshot {
    pub unit: Arc<ComputingUnit>,
    pub pool: Option<Arc<ComputingUnitPool>>,
    /// Why the unit's pool is not accepted.
    pub pool_conflict: Option<PoolConflict>,
    /// The image catalog of the pool, if it exists.
    pub catalog: Option<Arc<ImageCatalog>>,
    /// PersistentVolumeClaims by name, one for each template of the pool.
    pub pvcs: BTreeMap<String, Child<PersistentVolumeClaim>>,
    pub pod: Child<Pod>,
    /// A pod of the unit's name that is being deleted.
    pub terminating_pod: Option<Arc<Pod>>,
    /// Whether this reconcile created the pod.
    pub pod_created: bool,
    /// What the Events of the pod said when they were listed last.
    pub pod_events: Option<PodEvents>,
    pub service: Child<Service>,
    pub route: Child<HTTPRoute>,
    /// Whether the pod is an endpoint of the Service.
    pub endpoint: Endpoint,
    /// The Gateway of the route, or of the pool if there is no route.
    pub gateway: Option<GatewayBinding>,
    /// Writes that the API server rejected.
    pub blocked: Blocked,
    /// What admission made of the last writes.
    pub admissions: UnitAdmissions,
    /// The replacement of the pod that has passed a dry run.
    pub passed_dry_run: Option<String>,
    /// The reservation of the routing key. `None` without a pool.
    pub key: Option<Reservation>,
    /// Whether the unit has requested other keys than that one, for instance that of an earlier pool.
    pub has_other_keys: bool,
    /// The unit's slot in the rollout of its pool.
    pub slot: Slot,
    /// The probe that runs for the unit.
    pub probe: Option<Report>,
    /// What the idle controller knows of the unit. `None` if it does not track the unit.
    pub activity: Tracked,
    /// For how long a change of status has been held back.
    pub status_held: Option<Duration>,
    /// Whether this reconcile has read the children that the cache does not have: they do not exist.
    pub absence_confirmed: bool,
    /// Whether the snapshot contains an object that only the overlay knows.
    pub unconfirmed: bool,
    pub now: Timestamp,
}

/// What the idle controller knows of a unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracked {
    /// Whether it keeps a record of the unit.
    pub known: bool,
    /// The activity to be published.
    pub activity: Option<Activity>,
}

impl Snapshot {
    /// A unit without a pool and without children.
    pub fn alone(unit: Arc<ComputingUnit>, now: Timestamp) -> Self {
        Self {
            unit,
            pool: None,
            pool_conflict: None,
            catalog: None,
            pvcs: BTreeMap::new(),
            pod: Child::Absent,
            terminating_pod: None,
            pod_created: false,
            pod_events: None,
            service: Child::Absent,
            route: Child::Absent,
            endpoint: Endpoint::Absent,
            gateway: None,
            blocked: Blocked::default(),
            admissions: UnitAdmissions::default(),
            passed_dry_run: None,
            key: None,
            has_other_keys: false,
            slot: Slot::default(),
            probe: None,
            activity: Tracked::default(),
            status_held: None,
            absence_confirmed: false,
            unconfirmed: false,
            now,
        }
    }

    pub fn uid(&self) -> String {
        self.unit.uid().unwrap_or_default()
    }

    pub fn terminating(&self) -> bool {
        self.unit.metadata.deletion_timestamp.is_some()
    }

    /// Whether the unit should be suspended.
    pub fn suspended(&self) -> bool {
        !self.terminating() && self.unit.spec.operating_mode == OperatingMode::Suspended
    }

    pub fn has_finalizer(&self) -> bool {
        self.unit.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
    }

    /// Whether it has a route, a pod or a Service that is not being deleted.
    pub fn has_children(&self) -> bool {
        self.route.owned().is_some() || self.pod.owned().is_some() || self.service.owned().is_some()
    }

    /// Whether the pool disables probes.
    pub fn probes_disabled(&self) -> bool {
        self.pool.as_ref().is_some_and(|pool| pool.spec.probe.mode == ProbeMode::Disabled)
    }

    /// The generations and versions that the children are built from.
    pub fn inputs(&self) -> Inputs {
        Inputs {
            unit: self.unit.metadata.generation,
            pool: self.pool.as_ref().and_then(|pool| pool.metadata.generation),
            catalog: self.catalog.as_ref().and_then(|catalog| catalog.version()),
        }
    }

    /// Whether the pod can hold connections: it has not terminated, and it is not being deleted.
    pub fn serving(&self) -> bool {
        self.pod.owned().is_some_and(|pod| !pod::terminated(pod))
    }

    /// Whether the pod accepts requests.
    pub fn ready(&self) -> bool {
        self.endpoint == Endpoint::Ready && self.pod.owned().is_some_and(|pod| !pod::terminated(pod) && pod::ready(pod))
    }

    /// Whether the gateway's controller can know the address of the pod.
    pub fn has_address(&self) -> bool {
        self.endpoint != Endpoint::Absent && self.serving()
    }

    /// Whether every proxy was seen to answer under the route as it is now.
    pub fn route_verified(&self) -> bool {
        let verified = self.unit.status.as_ref().and_then(|status| status.verified_route.as_ref());
        verified.is_some() && self.route_version().as_ref() == verified
    }

    /// The version of the route, of the Gateway that it is attached to, and of the pool's probe. A pool that is gone changes
    /// none of it.
    pub fn route_version(&self) -> Option<VerifiedRoute> {
        let route = self.route.owned()?;
        let gateway = self.gateway.as_ref().and_then(|binding| binding.version.clone());
        let recorded = || self.unit.status.as_ref()?.verified_route.as_ref()?.probe.clone();
        let probe = self.pool.as_ref().map_or_else(recorded, |pool| Some(VerifiedProbe::from(&pool.spec.probe)));
        Some(VerifiedRoute { uid: route.uid()?, generation: route.metadata.generation?, gateway, probe })
    }

    /// The routing key that the status records as held.
    pub fn held_key(&self) -> Option<RoutingKey> {
        RoutingKey::held_by(&self.unit)
    }

    /// Whether users' requests may match a route of the unit. A route that is being deleted may be served until it is gone.
    pub fn may_be_exposed(&self) -> bool {
        match &self.route {
            Child::Absent => false,
            Child::Owned(route) => !is_guarded(route),
            Child::Terminating => true,
        }
    }

    /// Whether the unit has neither a route nor a pod.
    pub fn stopped(&self) -> bool {
        self.route.is_absent() && self.pod.is_absent()
    }
}
