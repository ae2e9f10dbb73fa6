//! Fixture: a unit in a situation, and the cluster around it.

use std::sync::Arc;

use computing_unit_api::{
    ComputingUnit, ComputingUnitStatus, OperatingMode, ProbeMode, Reason, UpdateStrategy, names::TEMPLATE_HASH,
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use serde_json::{Value, json};

use super::super::cluster_steps;
use crate::{
    controllers::unit::{
        assess::{Assessment, assess, attempt},
        blocked::{BlockedWrite, Fault, Write},
        build::{Wanted, guard},
        plan::Step,
        rollout::Slot,
        snapshot::{Child, Snapshot},
        status::status,
        validate::Rejection,
    },
    gateway::served,
    k8s::endpoints::Endpoint,
    probe::{Progress, Report},
    testing::{self, children},
};

/// The time of the snapshot.
pub const NOW: &str = "2026-01-01T01:00:00Z";

/// The state of the pod.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pods {
    Absent,
    /// It has no address yet.
    Pending,
    Unready,
    Ready,
    Ended,
    Terminating,
}

/// The state of the route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Routes {
    Absent,
    Guarded,
    Open,
    Edited,
    Terminating,
}

/// A unit in a situation.
#[derive(Clone, Debug)]
pub struct World {
    pub snapshot: Snapshot,
    pub wanted: Wanted,
}

fn pod(status: Value) -> Pod {
    let mut pod = testing::pod(status);
    pod.metadata.uid = Some("pod-uid".into());
    pod.metadata.creation_timestamp = Some(testing::time("2026-01-01T00:59:00Z"));
    pod
}

/// A pod that is Ready.
pub fn ready_pod() -> Pod {
    pod(testing::ready())
}

/// The PersistentVolumeClaim of the unit.
pub fn existing_pvc() -> PersistentVolumeClaim {
    let mut claim = PersistentVolumeClaim::default();
    claim.metadata.name = Some("data-ada".to_owned());
    claim
}

impl World {
    /// A unit with the finalizer and no children, on a Gateway that is served.
    pub fn new() -> Self {
        let mut snapshot = testing::snapshot(NOW);
        snapshot.passed_dry_run = Some(attempt::replacement(&ready_pod(), &children().pod));
        Self { snapshot, wanted: Ok(children()) }
    }

    pub fn unit(mut self, change: impl FnOnce(&mut ComputingUnit)) -> Self {
        change(Arc::make_mut(&mut self.snapshot.unit));
        self
    }

    pub fn at(mut self, now: &str) -> Self {
        self.snapshot.now = testing::time(now).0;
        self
    }

    pub fn without_finalizer(self) -> Self {
        self.unit(|unit| unit.metadata.finalizers = None)
    }

    pub fn deleted(self, at: &str) -> Self {
        self.unit(|unit| unit.metadata.deletion_timestamp = Some(testing::time(at)))
    }

    pub fn recreated(self) -> Self {
        self.unit(|unit| unit.spec.update_strategy = UpdateStrategy::Recreate)
    }

    /// Other units of the pool hold all rollout slots.
    pub fn queued(mut self) -> Self {
        self.snapshot.slot = Slot::Queued { free: false };
        // A unit that was not reachable yet needs no slot.
        let status = json!({"observedGeneration": 1, "heldKey": testing::held_key(), "stages": {"reachable": NOW}});
        self.unit(|unit| unit.status = serde_json::from_value(status).unwrap())
    }

    /// Its pod was created from another template.
    pub fn outdated(mut self) -> Self {
        if let Child::Owned(pod) = &mut self.snapshot.pod {
            let notes = Arc::make_mut(pod).metadata.annotations.get_or_insert_default();
            notes.insert(TEMPLATE_HASH.to_owned(), "v2-another".to_owned());
        }
        self
    }

    /// Its status records since then that the pod is being replaced.
    pub fn replacing_since(self, since: &str) -> Self {
        let said = json!({"type": "Replacing", "status": "True", "reason": "RouteClosing", "message": "",
                          "lastTransitionTime": since});
        self.unit(|unit| {
            unit.status =
                serde_json::from_value(json!({"heldKey": testing::held_key(), "conditions": [said]})).unwrap();
        })
    }

    /// Its pool has a volume claim template.
    pub fn claiming(mut self, claim: Child<PersistentVolumeClaim>) -> Self {
        if let Ok(children) = &mut self.wanted {
            children.pvcs = vec![existing_pvc()];
        }
        self.snapshot.pvcs.insert("data-ada".to_owned(), claim);
        self
    }

    pub fn suspended(self) -> Self {
        self.unit(|unit| unit.spec.operating_mode = OperatingMode::Suspended)
    }

    pub fn refused(mut self, reason: Reason) -> Self {
        self.wanted = Err(Rejection::new(reason, "no"));
        self
    }

    pub fn served(mut self, reason: Option<Reason>) -> Self {
        if let (Some(binding), Some(reason)) = (&mut self.snapshot.gateway, reason) {
            binding.controller = Err(served::NotServed { reason, message: String::new() });
        }
        self
    }

    pub fn unprobed(mut self) -> Self {
        let pool = self.snapshot.pool.as_mut().unwrap();
        Arc::make_mut(pool).spec.probe.mode = ProbeMode::Disabled;
        self
    }

    pub fn blocked(mut self, write: Write) -> Self {
        let blocked = BlockedWrite {
            write,
            reason: Reason::Forbidden,
            message: "no".to_owned(),
            fault: Fault::Cluster,
            attempt: None,
        };
        self.snapshot.blocked.all.push(blocked);
        self
    }

    /// The API server has not been asked yet whether it admits the next pod.
    pub fn without_dry_run(mut self) -> Self {
        self.snapshot.passed_dry_run = None;
        self
    }

    pub fn service(mut self) -> Self {
        self.snapshot.service = Child::Owned(Arc::new(children().service));
        self
    }

    pub fn edited_service(mut self) -> Self {
        let mut service = children().service;
        service.spec.as_mut().unwrap().selector = None;
        self.snapshot.service = Child::Owned(Arc::new(service));
        self
    }

    pub fn pod(mut self, pods: Pods) -> Self {
        self.snapshot.endpoint = match pods {
            Pods::Ready => Endpoint::Ready,
            Pods::Unready => Endpoint::NotReady,
            Pods::Absent | Pods::Pending | Pods::Terminating | Pods::Ended => Endpoint::Absent,
        };
        self.snapshot.pod = match pods {
            Pods::Absent => Child::Absent,
            Pods::Terminating => Child::Terminating,
            Pods::Ready => Child::Owned(Arc::new(ready_pod())),
            Pods::Pending => Child::Owned(Arc::new(pod(json!({"phase": "Pending"})))),
            Pods::Unready => Child::Owned(Arc::new(pod(json!({"phase": "Running"})))),
            Pods::Ended => Child::Owned(Arc::new(pod(json!({"phase": "Failed"})))),
        };
        self
    }

    pub fn route(mut self, routes: Routes) -> Self {
        let mut open = children().route;
        open.metadata.uid = Some("route-uid".into());
        open.metadata.generation = Some(1);
        let mut edited = open.clone();
        edited.spec.hostnames = Some(vec!["elsewhere.example.org".into()]);
        let guarded = guard::guarded(open.clone(), "ada-uid");
        self.snapshot.route = match routes {
            Routes::Absent => Child::Absent,
            Routes::Terminating => Child::Terminating,
            Routes::Guarded => Child::Owned(Arc::new(guarded)),
            Routes::Open => Child::Owned(Arc::new(open)),
            Routes::Edited => Child::Owned(Arc::new(edited)),
        };
        self
    }

    pub fn assess(&self) -> Assessment {
        assess(&self.snapshot, &self.wanted)
    }

    pub fn status(&self) -> ComputingUnitStatus {
        status(&self.snapshot, &self.wanted, &self.assess())
    }

    /// The probe that the unit needs has reached its goal.
    pub fn reached(mut self) -> Self {
        self.snapshot.probe = self.assess().probe.map(|(goal, target)| {
            let at = self.snapshot.now;
            Report { goal, target, progress: Progress::Done { at } }
        });
        self
    }

    /// The steps on the cluster, given whether the needed probe has reached its goal.
    pub fn plan(&self, reached: bool) -> Vec<Step> {
        let world = if reached { self.clone().reached() } else { self.clone() };
        cluster_steps(&world.snapshot, &world.wanted, &world.assess())
    }

    pub fn names(&self, reached: bool) -> Vec<&'static str> {
        self.plan(reached).iter().map(Step::name).collect()
    }

    /// Publishes the status, as it comes back from the API server.
    pub fn write(&mut self) {
        let written = serde_json::from_value(serde_json::to_value(self.status()).unwrap()).unwrap();
        Arc::make_mut(&mut self.snapshot.unit).status = Some(written);
    }

    pub fn never_restarted(mut self) -> Self {
        if let Child::Owned(pod) = &mut self.snapshot.pod {
            Arc::make_mut(pod).spec.as_mut().unwrap().restart_policy = Some("Never".to_owned());
        }
        self
    }

    /// The status records the situation.
    pub fn recorded(mut self) -> Self {
        self.write();
        self
    }

    pub fn over(self) -> Self {
        self.unit(|unit| {
            unit.spec.lifecycle = serde_json::from_value(json!({"shutdownTime": "2026-01-01T00:00:00Z"})).unwrap();
        })
    }

    pub fn open(&self) -> bool {
        self.snapshot.route.owned().is_some_and(|seen| !guard::is_guarded(seen))
    }
}
