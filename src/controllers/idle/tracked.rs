//! The units whose activity is tracked: those that can be used, of pools that stop idle units.
//!
//! Reads caches only.

use std::sync::Arc;

use computing_unit_api::{
    ComputingUnit, ComputingUnitPool, OperatingMode, Phase,
    names::{PORT, PORT_NAME},
};
use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::ResourceExt;

use super::policy::IdlePolicy;
use crate::{
    controllers::ownership::{Child, owned_child},
    k8s::caches::Caches,
};

#[derive(Clone, Debug)]
pub struct TrackedUnit {
    pub unit: Arc<ComputingUnit>,
    pub uid: String,
    pub pool: Arc<ComputingUnitPool>,
    /// UID of the pod.
    pub pod: String,
    /// IP address of the pod.
    pub address: String,
    /// When the pod was started.
    pub started: Timestamp,
    pub policy: IdlePolicy,
}

impl TrackedUnit {
    /// `None` if the unit is not tracked.
    pub fn of(caches: &Caches, unit: Arc<ComputingUnit>) -> Option<Self> {
        let phase = unit.status.as_ref().and_then(|status| status.phase);
        let usable = matches!(phase, Some(Phase::Ready | Phase::NotReady));
        if !usable || unit.spec.operating_mode != OperatingMode::Running || unit.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let pool = caches.pool_of(&unit)?;
        let policy = IdlePolicy::of(&unit, &pool)?;
        let namespace = unit.namespace()?;
        if !caches.synced(&namespace) {
            return None;
        }
        let pod = caches.scope(&namespace)?.pods.get(&namespace, &unit.name_any())?;
        let Child::Owned(pod) = owned_child(&unit, pod)? else { return None };
        let (address, started) = running(&pod)?;
        Some(Self { uid: unit.uid()?, pod: pod.uid()?, unit, pool, address, started, policy })
    }

    /// The same unit as the caches have it now.
    pub fn refreshed(&self, caches: &Caches) -> Option<Self> {
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

/// The address and start time of a running pod.
fn running(pod: &Pod) -> Option<(String, Timestamp)> {
    let status = pod.status.as_ref().filter(|status| status.phase.as_deref() == Some("Running"))?;
    let started = status.start_time.as_ref().or(pod.metadata.creation_timestamp.as_ref())?;
    Some((status.pod_ip.clone()?, started.0))
}
