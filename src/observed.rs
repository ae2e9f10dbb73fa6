//! What a reconcile sees: one unit, its pool and its children as they are at one moment, and whose the children are.
//!
//! Reads caches only. It decides nothing but ownership.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, Pod, Service},
    jiff::Timestamp,
};
use kube::{Resource, ResourceExt, runtime::reflector::ObjectRef};

use crate::{
    api::{Activity, ComputingUnit, ComputingUnitPool, GatewayRef, OperatingMode},
    caches::{
        self, Caches, Scope,
        written::{AllWritten, Written},
    },
    desired::claim,
    gateway::{
        HTTPRoute, listener,
        served::{self, NotServed},
    },
    names::labels,
    obstacles::{Inputs, Remembered},
    routing::{Origin, overlap},
};

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
    /// Whether something here is known by a write alone, and is to be looked at again.
    pub unconfirmed: bool,
    /// The moment.
    pub now: Timestamp,
}

impl Observed {
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

/// Takes the snapshot of a unit; `None` where the unit is gone.
#[must_use]
pub fn observe(unit: &ComputingUnit, caches: &Caches, written: &AllWritten, now: Timestamp) -> Option<Observed> {
    let namespace = unit.namespace().unwrap_or_default();
    let name = unit.name_any();
    // The cache may have moved on since the reconcile was given its unit.
    let cached = caches.scope(&namespace).and_then(|scope| caches::get(&scope.units, &namespace, &name));
    let (newest, mut unconfirmed) = written.units.newest(&namespace, &name, cached);
    // What is known of another unit of that name says nothing about this one.
    let unit = newest.filter(|newest| newest.uid() == unit.uid())?;
    let pool = caches.pool_of(&unit);
    let overlapped = pool.as_ref().and_then(|pool| {
        let all: Vec<_> = caches.pools().collect();
        let older = overlap::overlapped(pool, all.iter().map(Arc::as_ref)).map(ResourceExt::uid)?;
        all.into_iter().find(|pool| pool.uid() == older)
    });
    let mut observed = Observed {
        gateway: None,
        pool,
        overlapped,
        claims: BTreeMap::new(),
        pod: Child::Absent,
        leaving: None,
        pod_made: false,
        service: Child::Absent,
        route: Child::Absent,
        endpoint_ready: false,
        obstacles: Remembered::default(),
        activity: None,
        unconfirmed: false,
        now,
        unit,
    };
    if let Some(scope) = caches.scope(&namespace) {
        let mut newest =
            Newest { unit: &observed.unit, namespace: &namespace, name: &name, unconfirmed: &mut unconfirmed };
        let pod = caches::get(&scope.pods, &namespace, &name);
        let leaving = written.pods.newest(&namespace, &name, pod.clone()).0;
        observed.leaving = leaving.filter(|pod| pod.metadata.deletion_timestamp.is_some());
        observed.pod = newest.child(&written.pods, pod);
        observed.service = newest.child(&written.services, caches::get(&scope.services, &namespace, &name));
        observed.route = newest.child(&written.routes, caches::get(&scope.routes, &namespace, &name));
        let pod = observed.pod.owned().and_then(ResourceExt::uid).unwrap_or_default();
        observed.claims = newest.claims(observed.pool.as_deref(), written, scope);
        observed.endpoint_ready = scope.endpoints.ready(&namespace, &name, &pod);
    }
    let wanted = observed.pool.as_ref().map(|pool| pool.spec.gateway_ref.clone());
    let wanted = observed.route.owned().and_then(attached).or(wanted);
    observed.gateway = wanted.map(|wanted| way(caches, wanted));
    observed.unconfirmed = unconfirmed;
    Some(observed)
}

/// The Gateway that a route is attached to.
fn attached(route: &HTTPRoute) -> Option<GatewayRef> {
    let parent = route.spec.parent_refs.as_ref()?.first()?;
    Some(GatewayRef {
        name: parent.name.clone(),
        namespace: parent.namespace.clone().or_else(|| route.namespace())?,
        section_name: parent.section_name.clone(),
    })
}

/// The way that requests for the units of a pool come in by.
pub(crate) fn way(caches: &Caches, wanted: GatewayRef) -> Way {
    let gateway = caches.gateway(&wanted);
    let class =
        gateway.as_ref().and_then(|gateway| caches.classes.get(&ObjectRef::new(&gateway.spec.gateway_class_name)));
    let controller = if gateway.is_none() && caches.gateway_api_missing() {
        Err(served::api_missing())
    } else {
        served::controller(&wanted, gateway.as_deref(), class.as_deref()).map(str::to_owned)
    };
    Way {
        controller,
        origin: gateway.as_ref().and_then(|gateway| listener::origin(gateway, wanted.section_name.as_deref())),
        gateway: wanted,
    }
}

struct Newest<'a> {
    unit: &'a ComputingUnit,
    namespace: &'a str,
    name: &'a str,
    unconfirmed: &'a mut bool,
}

impl Newest<'_> {
    fn child<K: Resource>(&mut self, written: &Written<K>, cached: Option<Arc<K>>) -> Child<K> {
        let (object, unconfirmed) = written.newest(self.namespace, self.name, cached);
        *self.unconfirmed |= unconfirmed;
        object.map_or(Child::Absent, |object| whose(self.unit, object).unwrap_or(Child::Absent))
    }

    fn claims(
        &mut self,
        pool: Option<&ComputingUnitPool>,
        written: &AllWritten,
        scope: &Scope,
    ) -> BTreeMap<String, Child<PersistentVolumeClaim>> {
        let templates = pool.iter().flat_map(|pool| &pool.spec.volume_claim_templates);
        templates
            .map(|template| {
                let name = claim::name(template, self.unit);
                let cached = caches::get(&scope.claims, self.namespace, &name);
                let (newest, unconfirmed) = written.claims.newest(self.namespace, &name, cached);
                *self.unconfirmed |= unconfirmed;
                let child = newest.and_then(|newest| whose_claim(self.unit, newest)).unwrap_or(Child::Absent);
                (name, child)
            })
            .collect()
    }
}

/// Whose a claim is. One that was kept has no owner: it is told by its labels.
#[must_use]
pub fn whose_claim(unit: &ComputingUnit, claim: Arc<PersistentVolumeClaim>) -> Option<Child<PersistentVolumeClaim>> {
    let label = |key: &str| claim.labels().get(key).map(String::as_str);
    let labelled =
        label(labels::UNIT) == Some(&*unit.name_any()) && label(labels::MANAGED_BY) == Some(labels::OPERATOR);
    let controlled = claim.owner_references().iter().any(|owner| owner.controller == Some(true));
    let going = claim.metadata.deletion_timestamp.is_some();
    if labelled && !controlled && !going { Some(Child::Owned(claim)) } else { whose(unit, claim) }
}

/// Whose an object of a child's name is: the unit's, an earlier unit's that is about to be collected, or somebody
/// else's, which is `None`.
#[must_use]
pub fn whose<K: Resource>(unit: &ComputingUnit, object: Arc<K>) -> Option<Child<K>> {
    let controller = object.owner_references().iter().find(|owner| owner.controller == Some(true));
    let own = controller.is_some_and(|owner| Some(&owner.uid) == unit.metadata.uid.as_ref());
    let earlier = controller
        .is_some_and(|owner| owner.kind == ComputingUnit::kind(&()) && owner.name == unit.name_any() && !own)
        && object.labels().get(labels::UNIT) == Some(&unit.name_any());
    match (own, object.meta().deletion_timestamp.is_some()) {
        (true, false) => Some(Child::Owned(object)),
        (_, true) => Some(Child::Leaving),
        (false, false) if earlier => Some(Child::Leaving),
        (false, false) => None,
    }
}
