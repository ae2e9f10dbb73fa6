//! Which units are watched for use: those of pools that stop idle units, as long as they can be used.
//!
//! Reads caches only.

use std::sync::Arc;

use computing_unit_api::{
    ComputingUnit, ComputingUnitPool, GatewayRef, OperatingMode, Phase,
    names::{PORT, PORT_NAME},
};
use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::ResourceExt;

use super::terms::Terms;
use crate::{
    controllers::ownership::{Child, owned_child},
    k8s::caches::Caches,
};

/// A unit that is watched.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The unit.
    pub unit: Arc<ComputingUnit>,
    /// Its UID.
    pub uid: String,
    /// Its pool.
    pub pool: Arc<ComputingUnitPool>,
    /// UID of its pod.
    pub pod: String,
    /// The pod's IP address.
    pub address: String,
    /// When the pod began.
    pub started: Timestamp,
    /// What holds for it.
    pub terms: Terms,
}

impl Watched {
    /// The unit as it is now, where it is watched.
    pub fn of(caches: &Caches, unit: Arc<ComputingUnit>) -> Option<Self> {
        let phase = unit.status.as_ref().and_then(|status| status.phase);
        let usable = matches!(phase, Some(Phase::Ready | Phase::NotReady));
        if !usable || unit.spec.operating_mode != OperatingMode::Running || unit.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let pool = caches.pool_of(&unit)?;
        let terms = Terms::of(&unit, &pool)?;
        let namespace = unit.namespace()?;
        let pod = caches.scope(&namespace)?.pods.get(&namespace, &unit.name_any())?;
        let Child::Owned(pod) = owned_child(&unit, pod)? else { return None };
        let (address, started) = runs(&pod)?;
        Some(Self { uid: unit.uid()?, pod: pod.uid()?, unit, pool, address, started, terms })
    }

    /// The same unit as it is now.
    pub fn again(&self, caches: &Caches) -> Option<Self> {
        let namespace = self.unit.namespace()?;
        let unit = caches.scope(&namespace)?.units.get(&namespace, &self.unit.name_any())?;
        Self::of(caches, unit).filter(|now| now.uid == self.uid)
    }

    /// The port of the engine.
    pub fn port(&self) -> i32 {
        let template = self.pool.spec.template.spec.as_ref();
        let engine = template.and_then(|pod| pod.containers.first());
        let ports = engine.and_then(|engine| engine.ports.as_ref());
        let named = ports.and_then(|ports| ports.iter().find(|port| port.name.as_deref() == Some(PORT_NAME)));
        named.map_or(PORT, |port| port.container_port)
    }
}

fn runs(pod: &Pod) -> Option<(String, Timestamp)> {
    let status = pod.status.as_ref().filter(|status| status.phase.as_deref() == Some("Running"))?;
    let started = status.start_time.as_ref().or(pod.metadata.creation_timestamp.as_ref())?;
    Some((status.pod_ip.clone()?, started.0))
}

/// A Gateway, whichever of its listeners is meant.
pub fn gateway(pool: &ComputingUnitPool) -> GatewayRef {
    GatewayRef { section_name: None, ..pool.spec.gateway_ref.clone() }
}
