//! Takes the snapshot of a unit from the caches, the overlay, and what the operator remembers of the unit.
//!
//! It sends no request and changes nothing.

use std::{collections::BTreeMap, sync::Arc};

use computing_unit_api::{ComputingUnit, ComputingUnitPool};
use k8s_openapi::{api::core::v1::PersistentVolumeClaim, jiff::Timestamp};
use kube::{Resource, ResourceExt};

use super::{
    build::pvc,
    context::UnitContext,
    snapshot::{Child, Snapshot, Tracked},
};
use crate::{
    controllers::{
        gateway_binding::{GatewayBinding, parent_gateway},
        ownership::{owned_child, owned_pvc},
        pool_conflict::PoolConflict,
    },
    k8s::{
        caches::Scope,
        overlay::{Overlay, Overlays},
    },
    routing::keys::RoutingKey,
};

/// Takes the snapshot of a unit. `None` if the unit is gone.
pub fn observe(unit: &ComputingUnit, context: &UnitContext, pod_created: bool, now: Timestamp) -> Option<Snapshot> {
    let (caches, overlays) = (&context.caches, &context.overlays);
    let namespace = unit.namespace().unwrap_or_default();
    let name = unit.name_any();
    // The cache may have changed since the reconcile was given its unit.
    let cached = caches.scope(&namespace).and_then(|scope| scope.units.get(&namespace, &name));
    let (latest, unconfirmed) = overlays.units.latest(&namespace, &name, cached);
    // Another unit of the same name is none of this reconcile's business.
    let unit = latest.filter(|latest| latest.uid() == unit.uid())?;
    let mut snapshot = Snapshot { pod_created, unconfirmed, ..Snapshot::alone(unit, now) };
    snapshot.pool = caches.pool_of(&snapshot.unit);
    snapshot.catalog = snapshot.pool.as_ref().and_then(|pool| caches.catalog_of(pool));
    if let Some(scope) = caches.scope(&namespace) {
        children(&mut snapshot, scope, overlays);
    }
    let pool_gateway = snapshot.pool.as_ref().map(|pool| pool.spec.gateway_ref.clone());
    let gateway = snapshot.route.owned().and_then(parent_gateway).or(pool_gateway);
    snapshot.gateway = gateway.map(|gateway| GatewayBinding::of(caches, gateway, &namespace));
    pool_state(&mut snapshot, context);
    own_memory(&mut snapshot, context);
    Some(snapshot)
}

fn children(snapshot: &mut Snapshot, scope: &Scope, overlays: &Overlays) {
    let unit = snapshot.unit.clone();
    let (namespace, name) = (unit.namespace().unwrap_or_default(), unit.name_any());
    let mut latest = Latest { unit: &unit, namespace: &namespace, name: &name, unconfirmed: &mut snapshot.unconfirmed };
    let pod = scope.pods.get(&namespace, &name);
    let terminating = overlays.pods.latest(&namespace, &name, pod.clone()).0;
    snapshot.terminating_pod = terminating.filter(|pod| pod.metadata.deletion_timestamp.is_some());
    snapshot.pod = latest.child(&overlays.pods, pod);
    snapshot.service = latest.child(&overlays.services, scope.services.get(&namespace, &name));
    snapshot.route = latest.child(&overlays.routes, scope.routes.get(&namespace, &name));
    snapshot.pvcs = latest.pvcs(snapshot.pool.as_deref(), overlays, scope);
    let pod = snapshot.pod.owned().and_then(ResourceExt::uid).unwrap_or_default();
    snapshot.endpoint = scope.endpoints.of(&namespace, &name, &pod);
}

/// What depends on the other pools of the Gateway, and on the other units.
fn pool_state(snapshot: &mut Snapshot, context: &UnitContext) {
    let uid = snapshot.uid();
    let key = snapshot.pool.as_ref().map(|pool| RoutingKey::new(&snapshot.unit, pool));
    snapshot.has_other_keys = context.keys.has_others(&uid, key.as_ref());
    snapshot.key = key.map(|key| context.keys.reservation(&snapshot.unit, key));
    let Some(pool) = &snapshot.pool else { return };
    snapshot.pool_conflict = PoolConflict::of(&context.caches, &context.overlaps, pool);
}

/// What the operator remembers of the unit.
fn own_memory(snapshot: &mut Snapshot, context: &UnitContext) {
    let uid = snapshot.uid();
    snapshot.blocked = context.blocked.of(&uid, &snapshot.inputs());
    snapshot.admissions = context.admissions.of(&uid);
    snapshot.passed_dry_run = context.dry_runs.of(&uid);
    snapshot.pod_events = context.pod_events.of(&uid);
    snapshot.slot = context.rollouts.slot(&snapshot.unit);
    snapshot.probe = context.prober.report(&uid);
    snapshot.activity = Tracked { known: context.activity.tracks(&uid), activity: context.activity.published(&uid) };
    snapshot.status_held = context.held_statuses.held(&uid);
}

/// Reads children from the cache or the overlay, whichever is newer.
struct Latest<'a> {
    unit: &'a ComputingUnit,
    namespace: &'a str,
    name: &'a str,
    unconfirmed: &'a mut bool,
}

impl Latest<'_> {
    fn child<K: Resource>(&mut self, overlay: &Overlay<K>, cached: Option<Arc<K>>) -> Child<K> {
        let (object, unconfirmed) = overlay.latest(self.namespace, self.name, cached);
        *self.unconfirmed |= unconfirmed;
        object.map_or(Child::Absent, |object| owned_child(self.unit, object).unwrap_or(Child::Absent))
    }

    fn pvcs(
        &mut self,
        pool: Option<&ComputingUnitPool>,
        overlays: &Overlays,
        scope: &Scope,
    ) -> BTreeMap<String, Child<PersistentVolumeClaim>> {
        let templates = pool.iter().flat_map(|pool| &pool.spec.volume_claim_templates);
        templates
            .map(|template| {
                let name = pvc::name(template, self.unit);
                let cached = scope.pvcs.get(self.namespace, &name);
                let (latest, unconfirmed) = overlays.pvcs.latest(self.namespace, &name, cached);
                *self.unconfirmed |= unconfirmed;
                let child = latest.and_then(|latest| owned_pvc(self.unit, latest)).unwrap_or(Child::Absent);
                (name, child)
            })
            .collect()
    }
}
