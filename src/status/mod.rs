//! What the operator says of a unit: its status as a function of what was seen, and when that is worth a write.
//!
//! Pure. Written by [`publish`] alone.

mod change;
mod conditions;
mod events;
pub(crate) mod pod;
pub mod publish;
mod route;
mod urgency;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::{
    api::{Activity, ComputingUnitStatus, Phase, ProvenRoute, Stages},
    desired::route::is_guarded,
    goal,
    life::{self, Life, News, Record},
    observed::{Observed, ended},
    plan::{self, Wanted},
    probe::{Goal, Progress},
    routing,
};

pub use pod::start_deadline;
pub use urgency::{Urgency, urgency};

use conditions::Said;

/// Condition types.
pub mod types {
    /// The spec is valid, the pool allows it, and the key is the unit's alone.
    pub const ACCEPTED: &str = "Accepted";
    /// The pod is Ready.
    pub const POD_READY: &str = "PodReady";
    /// The gateway's controller has taken the route.
    pub const ROUTE_ACCEPTED: &str = "RouteAccepted";
    /// Every proxy answers under the unit's own route.
    pub const REACHABLE: &str = "Reachable";
    /// All of the above.
    pub const READY: &str = "Ready";
    /// The unit has no pod, as it was asked for.
    pub const SUSPENDED: &str = "Suspended";
    /// A change waits for the next start.
    pub const UPDATE_PENDING: &str = "UpdatePending";
    /// The unit will not run again unless it is edited.
    pub const FINISHED: &str = "Finished";
    /// CPU and memory of the running pod are being changed.
    pub const RESIZE_PENDING: &str = "ResizePending";
    /// The pod is being made anew for a change.
    pub const REPLACING: &str = "Replacing";
}

/// Everything that a status is made from.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// What was seen.
    pub observed: &'a Observed,
    /// What the children should be.
    pub wanted: &'a Wanted,
    /// What the proxies are being asked, and how far that has come.
    pub probe: Option<(Goal, &'a Progress)>,
}

impl Facts<'_> {
    fn previous(&self) -> Option<&ComputingUnitStatus> {
        self.observed.unit.status.as_ref()
    }

    /// Whether users' requests were seen to arrive under the route as it is now.
    fn reached(&self) -> bool {
        plan::unprobed(self.observed)
            || goal::proven(self.observed)
            || matches!(self.probe, Some((Goal::Open, Progress::Done { .. })))
    }

    /// When the pod was made, which begins a start.
    fn started(&self) -> Option<Time> {
        self.observed.pod.owned()?.metadata.creation_timestamp.clone()
    }

    /// The stages that the present start had passed when the status was last written.
    fn earlier_stages(&self) -> Stages {
        let Some(previous) = self.previous() else { return Stages::default() };
        if previous.start_time == self.started() {
            return previous.stages.clone();
        }
        Stages { accepted: previous.stages.accepted.clone(), ..Stages::default() }
    }
}

/// The status of a unit.
#[must_use]
pub fn status(facts: Facts<'_>) -> ComputingUnitStatus {
    let Facts { observed, wanted, .. } = facts;
    let unit = &observed.unit;
    let said = conditions::all(facts);
    let stages = stages(facts, &said);
    let record = life::record(observed);
    let pod = observed.pod.owned();
    // A pod that is over is not named any more, by which the next look knows that this was written.
    let over = match life::life(observed) {
        Life::Unwritten(News::Lost(_)) | Life::Spent => true,
        Life::Unwritten(News::Finished(end)) | Life::Finished(end) => !end.by_clock(),
        Life::Runs | Life::Waits(_) => false,
    };
    let spec = pod.and_then(|pod| pod.spec.as_ref());
    let previous = facts.previous();
    let pool = observed.pool.as_ref();
    let address = || {
        let routing = &pool?.spec.routing;
        let address = routing::address(routing, &unit.name_any(), unit.spec.cuid)?;
        let origin = observed.gateway.as_ref().and_then(|way| way.origin.as_ref());
        routing::url(&address, routing.base_url.as_deref(), origin)
    };
    let key = || Some(routing::key(&pool?.spec.routing, &unit.name_any(), unit.spec.cuid));
    // A unit that may not run keeps what it has, but another's key and URL are not its own.
    let (url, key) = match wanted {
        Ok(_) => (address(), key()),
        Err(rejection) if plan::lost_key(rejection) => (None, None),
        Err(_) => previous.map(|previous| (previous.url.clone(), previous.key.clone())).unwrap_or_default(),
    };
    ComputingUnitStatus {
        observed_generation: unit.metadata.generation,
        phase: Some(phase(facts, &record, &said, &stages)),
        url,
        key,
        pod_name: pod.filter(|_| !over).map(ResourceExt::name_any),
        node_name: spec.and_then(|spec| spec.node_name.clone()),
        image: spec.and_then(|spec| spec.containers.first()?.image.clone()),
        start_time: facts.started(),
        stages,
        proven_route: proven_route(facts),
        activity: activity(facts),
        last_failure: record.last_failure,
        restarts: record.restarts,
        conditions: conditions::dated(&said, previous.map_or(&[], |previous| &previous.conditions), observed),
    }
}

/// Whether the unit is on its way to being reachable with the pod that it has, or is about to have.
#[must_use]
pub fn starting(facts: Facts<'_>) -> bool {
    let status = status(facts);
    let on_its_way =
        matches!(status.phase, Some(Phase::Pending | Phase::Starting)) && status.stages.reachable.is_none();
    on_its_way && facts.wanted.is_ok() && life::life(facts.observed) == Life::Runs
}

/// What is known of the unit's use. A unit without a pod keeps when it was last in use; what is not known yet is as it was.
fn activity(facts: Facts<'_>) -> Option<Activity> {
    let observed = facts.observed;
    if observed.pool.as_ref().is_some_and(|pool| pool.spec.lifecycle.idle_timeout.is_none()) {
        return None;
    }
    let previous = facts.previous().and_then(|previous| previous.activity.clone());
    if observed.resting() || observed.deleting() {
        return previous.map(|previous| Activity { idle_at: None, message: None, ..previous });
    }
    observed.activity.clone().or(previous)
}

/// The state of the route that was seen at every proxy, so that a restarted operator need not ask again.
fn proven_route(facts: Facts<'_>) -> Option<ProvenRoute> {
    let route = facts.observed.route.owned().filter(|route| !is_guarded(route))?;
    if plan::unprobed(facts.observed) || !facts.reached() {
        return None;
    }
    Some(ProvenRoute { uid: route.uid()?, generation: route.metadata.generation? })
}

fn stages(facts: Facts<'_>, said: &[Said]) -> Stages {
    let now = || Some(Time(facts.observed.now));
    let holds = |type_: &str| said.iter().any(|said| said.type_ == type_ && said.holds());
    let earlier = facts.earlier_stages();
    let pod = facts.observed.pod.owned();
    let since = |type_: &str| pod.and_then(|pod| pod::since(pod, type_));
    let passed =
        |was: Option<Time>, holds: bool, at: Option<Time>| was.or_else(|| if holds { at.or_else(now) } else { None });
    Stages {
        accepted: passed(earlier.accepted, holds(types::ACCEPTED), None),
        scheduled: passed(earlier.scheduled, since("PodScheduled").is_some(), since("PodScheduled")),
        pod_ready: passed(earlier.pod_ready, holds(types::POD_READY), since("Ready")),
        route_accepted: passed(earlier.route_accepted, pod.is_some() && holds(types::ROUTE_ACCEPTED), None),
        reachable: passed(
            earlier.reachable,
            pod.is_some() && holds(types::READY),
            match facts.probe {
                Some((Goal::Open, Progress::Done { at })) => Some(Time(*at)),
                _ => None,
            },
        ),
    }
}

fn phase(facts: Facts<'_>, record: &Record, said: &[Said], stages: &Stages) -> Phase {
    let of = |type_: &str| said.iter().find(|said| said.type_ == type_);
    let observed = facts.observed;
    if observed.deleting() {
        return Phase::Terminating;
    }
    if let Some(end) = &record.end {
        let stopped = !end.by_clock() || conditions::at_rest(observed);
        return match stopped {
            _ if end.failed() => Phase::Failed,
            true => Phase::Finished,
            false => Phase::Suspending,
        };
    }
    if observed.suspended() {
        return if conditions::at_rest(observed) { Phase::Suspended } else { Phase::Suspending };
    }
    let Some(pod) = observed.pod.owned() else { return Phase::Pending };
    if of(types::REPLACING).is_some() {
        return Phase::Starting;
    }
    let pod_says = of(types::POD_READY).map_or("", |said| said.reason.as_str());
    if ended(pod) {
        Phase::Pending
    } else if of(types::READY).is_some_and(Said::holds) {
        Phase::Ready
    } else if stages.reachable.is_some() {
        Phase::NotReady
    } else if [pod::UNSCHEDULABLE, pod::VOLUME_PENDING].contains(&pod_says) {
        Phase::Pending
    } else {
        Phase::Starting
    }
}
