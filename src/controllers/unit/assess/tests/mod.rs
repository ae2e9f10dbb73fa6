//! The lifecycle of a unit in each situation, and what its status records.

mod ends;
mod limits;
mod losses;
mod schedule;
mod suspension;

use std::sync::Arc;

use computing_unit_api::{ComputingUnit, ComputingUnitStatus, Duration, Failure, OperatingMode};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::SignedDuration};
use serde_json::{Value, json};

use super::{
    finish::{Finish, FinishReason},
    state::{Transition, UnitState},
    *,
};
use crate::{
    controllers::unit::{snapshot::Child, status::status},
    testing,
};

const MADE: &str = "2026-01-01T00:00:00Z";

/// A unit whose status is written as the operator would.
struct Case {
    snapshot: Snapshot,
    wanted: Wanted,
}

impl Case {
    /// A unit that was just made, from a pool with a `startTimeout` of 60 s.
    fn new() -> Self {
        let mut snapshot = testing::snapshot(MADE);
        Arc::make_mut(snapshot.pool.as_mut().unwrap()).spec.start_timeout = Duration::from_secs(60);
        Self { snapshot, wanted: Ok(testing::children()) }
    }

    /// With a pod that is ready, which its status knows.
    fn ready() -> Self {
        let mut case = Self::new();
        case.pod(&testing::ready());
        case.write();
        case
    }

    /// With a pod that is starting, which its status knows.
    fn starting() -> Self {
        let mut case = Self::new();
        case.pod(&json!({"phase": "Running"}));
        case.write();
        case
    }

    fn pod(&mut self, status: &Value) {
        self.pod_of("Always", status);
    }

    fn pod_of(&mut self, policy: &str, status: &Value) {
        let mut pod = testing::pod(status.clone());
        pod.metadata.creation_timestamp = match self.snapshot.pod.owned() {
            Some(pod) => pod.metadata.creation_timestamp.clone(),
            None => Some(Time(self.snapshot.now)),
        };
        pod.spec.as_mut().unwrap().restart_policy = Some(policy.to_owned());
        self.snapshot.pod = Child::Owned(Arc::new(pod));
    }

    /// Somebody deletes the pod, which takes until `terminating_pod` is cleared.
    fn delete_pod(&mut self) {
        let Child::Owned(pod) = std::mem::take(&mut self.snapshot.pod) else { panic!("there is no pod") };
        let mut pod = pod.as_ref().clone();
        pod.metadata.deletion_timestamp = Some(Time(self.snapshot.now));
        self.snapshot.terminating_pod = Some(Arc::new(pod));
        self.snapshot.pod = Child::Terminating;
    }

    fn pod_gone(&mut self) {
        (self.snapshot.pod, self.snapshot.terminating_pod) = (Child::Absent, None);
    }

    fn edit(&mut self, change: impl FnOnce(&mut ComputingUnit)) {
        let unit = Arc::make_mut(&mut self.snapshot.unit);
        unit.metadata.generation = unit.metadata.generation.map(|generation| generation + 1);
        change(unit);
    }

    fn mode(&mut self, mode: OperatingMode) {
        self.edit(|unit| unit.spec.operating_mode = mode);
    }

    fn later(&mut self, seconds: i64) {
        self.snapshot.now += SignedDuration::from_secs(seconds);
    }

    fn assess(&self) -> Assessment {
        assess(&self.snapshot, &self.wanted)
    }

    fn status(&self) -> ComputingUnitStatus {
        status(&self.snapshot, &self.wanted, &self.assess())
    }

    /// Writes the status, as it comes back from the API server.
    fn write(&mut self) -> ComputingUnitStatus {
        let written: ComputingUnitStatus =
            serde_json::from_value(serde_json::to_value(self.status()).unwrap()).unwrap();
        Arc::make_mut(&mut self.snapshot.unit).status = Some(written.clone());
        written
    }

    fn state(&self) -> UnitState {
        self.assess().state
    }

    fn lost(&self) -> Failure {
        match self.state() {
            UnitState::Unrecorded(Transition::PodLost(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }

    fn finish(&self) -> Finish {
        match self.state() {
            UnitState::Unrecorded(Transition::Finished(finish)) => finish,
            other => panic!("{other:?}"),
        }
    }
}

fn failed() -> Value {
    json!({"phase": "Failed", "containerStatuses": [{
        "name": "engine", "image": "engine:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": 3, "reason": "Error", "message": "out of cheese\n"}},
    }]})
}

fn evicted() -> Value {
    json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."})
}

fn shut_at(case: &mut Case, time: Option<&str>) {
    let lifecycle = json!({"shutdownTime": time});
    case.edit(|unit| unit.spec.lifecycle = serde_json::from_value(lifecycle).unwrap());
}
