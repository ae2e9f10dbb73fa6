//! A unit in a situation, to be planned for.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use serde_json::{Value, json};

use crate::{
    api::{ComputingUnit, OperatingMode, ProbeMode, UpdateStrategy},
    desired::route,
    gateway::served,
    names::TEMPLATE_HASH,
    observed::{Child, Observed},
    obstacles::{Kind, Obstacle},
    plan::{Step, Wanted, plan},
    status::{Facts, status},
    testing::{self, children},
    turns::Turn,
    validate::Rejection,
};

/// When it is looked at.
pub const NOW: &str = "2026-01-01T01:00:00Z";

/// How the pod is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pods {
    Absent,
    Unready,
    Ready,
    Ended,
    Leaving,
}

/// How the route is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Routes {
    Absent,
    Guarded,
    Open,
    Edited,
    Leaving,
}

/// A unit in a situation.
#[derive(Clone, Debug)]
pub struct World {
    /// What is seen.
    pub observed: Observed,
    /// What its children should be.
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

/// The claim of a pool that has one.
pub fn made_claim() -> PersistentVolumeClaim {
    let mut claim = PersistentVolumeClaim::default();
    claim.metadata.name = Some("data-ada".to_owned());
    claim
}

impl World {
    /// A unit with a finalizer and nothing else, on a gateway that is served.
    pub fn new() -> Self {
        Self { observed: testing::observed(NOW), wanted: Ok(children()) }
    }

    pub fn unit(mut self, change: impl FnOnce(&mut ComputingUnit)) -> Self {
        change(Arc::make_mut(&mut self.observed.unit));
        self
    }

    pub fn at(mut self, now: &str) -> Self {
        self.observed.now = testing::time(now).0;
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

    /// Other units of its pool come first.
    pub fn out_of_turn(mut self) -> Self {
        self.observed.turn = Turn::Later;
        self
    }

    /// Its pod was made from something else.
    pub fn outdated(mut self) -> Self {
        if let Child::Owned(pod) = &mut self.observed.pod {
            let notes = Arc::make_mut(pod).metadata.annotations.get_or_insert_default();
            notes.insert(TEMPLATE_HASH.to_owned(), "v2-another".to_owned());
        }
        self
    }

    /// Its status has said since then that it is being replaced.
    pub fn replacing_since(self, since: &str) -> Self {
        let said = json!({"type": "Replacing", "status": "True", "reason": "RouteClosing", "message": "",
                          "lastTransitionTime": since});
        self.unit(|unit| unit.status = serde_json::from_value(json!({"conditions": [said]})).unwrap())
    }

    /// Its pool has a claim.
    pub fn claiming(mut self, claim: Child<PersistentVolumeClaim>) -> Self {
        if let Ok(children) = &mut self.wanted {
            children.claims = vec![made_claim()];
        }
        self.observed.claims.insert("data-ada".to_owned(), claim);
        self
    }

    pub fn suspended(self) -> Self {
        self.unit(|unit| unit.spec.operating_mode = OperatingMode::Suspended)
    }

    pub fn refused(mut self, reason: &'static str) -> Self {
        self.wanted = Err(Rejection::new(reason, "no"));
        self
    }

    pub fn served(mut self, reason: Option<&'static str>) -> Self {
        if let (Some(way), Some(reason)) = (&mut self.observed.gateway, reason) {
            way.controller = Err(served::NotServed { reason, message: String::new() });
        }
        self
    }

    pub fn unprobed(mut self) -> Self {
        let pool = self.observed.pool.as_mut().unwrap();
        Arc::make_mut(pool).spec.probe.mode = ProbeMode::Disabled;
        self
    }

    pub fn barred(mut self, kind: Kind) -> Self {
        let rejection = Rejection::new("Forbidden", "no");
        self.observed.obstacles.all.push(Obstacle { kind, rejection, refuses_unit: false });
        self
    }

    pub fn service(mut self) -> Self {
        self.observed.service = Child::Owned(Arc::new(children().service));
        self
    }

    pub fn edited_service(mut self) -> Self {
        let mut service = children().service;
        service.spec.as_mut().unwrap().selector = None;
        self.observed.service = Child::Owned(Arc::new(service));
        self
    }

    pub fn pod(mut self, pods: Pods) -> Self {
        self.observed.endpoint_ready = pods == Pods::Ready;
        self.observed.pod = match pods {
            Pods::Absent => Child::Absent,
            Pods::Leaving => Child::Leaving,
            Pods::Ready => Child::Owned(Arc::new(ready_pod())),
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
        let guarded = route::guarded(open.clone(), "ada-uid");
        self.observed.route = match routes {
            Routes::Absent => Child::Absent,
            Routes::Leaving => Child::Leaving,
            Routes::Guarded => Child::Owned(Arc::new(guarded)),
            Routes::Open => Child::Owned(Arc::new(open)),
            Routes::Edited => Child::Owned(Arc::new(edited)),
        };
        self
    }

    pub fn plan(&self, reached: bool) -> Vec<Step> {
        plan(&self.observed, &self.wanted, reached)
    }

    pub fn names(&self, reached: bool) -> Vec<&'static str> {
        self.plan(reached).iter().map(Step::name).collect()
    }

    pub fn write(&mut self) {
        let written = status(Facts { observed: &self.observed, wanted: &self.wanted, probe: None });
        let written = serde_json::from_value(serde_json::to_value(written).unwrap()).unwrap();
        Arc::make_mut(&mut self.observed.unit).status = Some(written);
    }

    pub fn never_restarted(mut self) -> Self {
        if let Child::Owned(pod) = &mut self.observed.pod {
            Arc::make_mut(pod).spec.as_mut().unwrap().restart_policy = Some("Never".to_owned());
        }
        self
    }

    /// A unit whose status says what has happened.
    pub fn written(mut self) -> Self {
        self.write();
        self
    }

    pub fn over(self) -> Self {
        self.unit(|unit| {
            unit.spec.lifecycle = serde_json::from_value(json!({"shutdownTime": "2026-01-01T00:00:00Z"})).unwrap();
        })
    }

    pub fn open(&self) -> bool {
        self.observed.route.owned().is_some_and(|seen| !route::is_guarded(seen))
    }
}
