//! Takes the snapshot of a unit from what the caches and the answers to recent writes say.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{api::core::v1::PersistentVolumeClaim, jiff::Timestamp};
use kube::{Resource, ResourceExt, runtime::reflector::ObjectRef};

use super::{Child, Observed, Way, whose, whose_claim};
use crate::{
    api::{ComputingUnit, ComputingUnitPool, GatewayRef},
    caches::{
        self, Caches, Scope,
        written::{AllWritten, Written},
    },
    desired::claim,
    gateway::{HTTPRoute, listener, served},
    routing::overlap,
};

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
    let mut observed = Observed { pool, overlapped, ..Observed::alone(unit, now) };
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
