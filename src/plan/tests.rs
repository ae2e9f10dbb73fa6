//! What is planned in each situation, and that plans come to an end: a small world does what they say, and is looked at
//! again.

#![allow(clippy::large_stack_arrays, reason = "tables of situations")]

use std::sync::Arc;

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Time};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    api::{OperatingMode, UpdateStrategy},
    desired,
    gateway::served,
    goal,
    names::{TEMPLATE_HASH, owner_reference},
    observed::{Way, ended},
    obstacles::{Obstacle, Remembered},
    status::{Facts, status},
    testing,
};

const NOW: &str = "2026-01-01T01:00:00Z";

/// How the pod is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pods {
    Absent,
    Unready,
    Ready,
    Ended,
    Leaving,
}

/// How the route is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Routes {
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
    wanted: Wanted,
}

fn children() -> Children {
    desired::children(&testing::accepted(testing::query_routing()))
}

fn pod(status: serde_json::Value) -> Pod {
    let mut pod = children().pod;
    pod.metadata.uid = Some("pod-uid".into());
    pod.metadata.creation_timestamp = Some(testing::time("2026-01-01T00:59:00Z"));
    pod.status = serde_json::from_value(status).unwrap();
    pod
}

fn made_claim() -> PersistentVolumeClaim {
    let mut claim = PersistentVolumeClaim::default();
    claim.metadata.name = Some("data-ada".to_owned());
    claim
}

fn ready_pod() -> Pod {
    pod(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}))
}

impl World {
    /// A unit with a finalizer and nothing else, on a gateway that is served.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "nobody asks for a default world")]
    pub fn new() -> Self {
        let unit = testing::accepted(testing::query_routing());
        let mut object = unit.object.as_ref().clone();
        object.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
        let gateway = unit.pool.spec.gateway_ref.clone();
        let observed = Observed {
            unit: Arc::new(object),
            pool: Some(unit.pool.clone()),
            overlapped: None,
            claims: std::collections::BTreeMap::new(),
            pod: Child::Absent,
            leaving: None,
            pod_made: false,
            service: Child::Absent,
            route: Child::Absent,
            endpoint_ready: false,
            gateway: Some(Way { gateway, controller: Ok("controller".into()), origin: None }),
            obstacles: Remembered::default(),
            activity: None,
            unconfirmed: false,
            now: testing::time(NOW).0,
        };
        Self { observed, wanted: Ok(children()) }
    }

    fn unit(mut self, change: impl FnOnce(&mut ComputingUnit)) -> Self {
        change(Arc::make_mut(&mut self.observed.unit));
        self
    }

    fn at(mut self, now: &str) -> Self {
        self.observed.now = testing::time(now).0;
        self
    }

    fn without_finalizer(self) -> Self {
        self.unit(|unit| unit.metadata.finalizers = None)
    }

    fn deleted(self, at: &str) -> Self {
        self.unit(|unit| unit.metadata.deletion_timestamp = Some(testing::time(at)))
    }

    fn recreated(self) -> Self {
        self.unit(|unit| unit.spec.update_strategy = UpdateStrategy::Recreate)
    }

    /// Its pod was made from something else.
    fn outdated(mut self) -> Self {
        if let Child::Owned(pod) = &mut self.observed.pod {
            let notes = Arc::make_mut(pod).metadata.annotations.get_or_insert_default();
            notes.insert(TEMPLATE_HASH.to_owned(), "v2-another".to_owned());
        }
        self
    }

    /// Its pool has a claim.
    fn claiming(mut self, claim: Child<PersistentVolumeClaim>) -> Self {
        if let Ok(children) = &mut self.wanted {
            children.claims = vec![made_claim()];
        }
        self.observed.claims.insert("data-ada".to_owned(), claim);
        self
    }

    fn suspended(self) -> Self {
        self.unit(|unit| unit.spec.operating_mode = OperatingMode::Suspended)
    }

    fn refused(mut self, reason: &'static str) -> Self {
        self.wanted = Err(Rejection::new(reason, "no"));
        self
    }

    fn served(mut self, reason: Option<&'static str>) -> Self {
        if let (Some(way), Some(reason)) = (&mut self.observed.gateway, reason) {
            way.controller = Err(served::NotServed { reason, message: String::new() });
        }
        self
    }

    fn unprobed(mut self) -> Self {
        let pool = self.observed.pool.as_mut().unwrap();
        Arc::make_mut(pool).spec.probe.mode = ProbeMode::Disabled;
        self
    }

    fn barred(mut self, kind: Kind) -> Self {
        let rejection = Rejection::new("Forbidden", "no");
        self.observed.obstacles.all.push(Obstacle { kind, rejection, refuses_unit: false });
        self
    }

    fn service(mut self) -> Self {
        self.observed.service = Child::Owned(Arc::new(children().service));
        self
    }

    fn edited_service(mut self) -> Self {
        let mut service = children().service;
        service.spec.as_mut().unwrap().selector = None;
        self.observed.service = Child::Owned(Arc::new(service));
        self
    }

    fn pod(mut self, pods: Pods) -> Self {
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

    fn route(mut self, routes: Routes) -> Self {
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

    fn plan(&self, reached: bool) -> Vec<Step> {
        plan(&self.observed, &self.wanted, reached)
    }

    fn names(&self, reached: bool) -> Vec<&'static str> {
        self.plan(reached).iter().map(Step::name).collect()
    }

    /// Does what a step says, and what the cluster does upon it.
    fn take(&mut self, step: Step) {
        let observed = &mut self.observed;
        match step {
            Step::AddFinalizer => {
                Arc::make_mut(&mut observed.unit).metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
            }
            Step::DropFinalizer { .. } => Arc::make_mut(&mut observed.unit).metadata.finalizers = None,
            Step::CreateService(service) | Step::RepairService(service) => {
                observed.service = Child::Owned(Arc::new(*service));
            }
            Step::CreatePod(_) => {
                let mut pod = ready_pod();
                pod.metadata.creation_timestamp = Some(Time(observed.now));
                observed.pod = Child::Owned(Arc::new(pod));
                observed.endpoint_ready = true;
            }
            Step::CreateClaim(claim) | Step::RepairClaim(claim) => {
                observed.claims.insert(claim.name_any(), Child::Owned(Arc::new(*claim)));
            }
            Step::ResizePod { .. } => {}
            Step::RepairPod(pod) => observed.pod = Child::Owned(Arc::new(*pod)),
            Step::CreateRoute(mut route) | Step::ReplaceRoute(mut route) => {
                route.metadata.uid = Some("route-uid".into());
                let generation = observed.route.owned().and_then(|route| route.metadata.generation);
                route.metadata.generation = Some(generation.unwrap_or(0) + 1);
                observed.route = Child::Owned(Arc::new(*route));
            }
            Step::DeleteRoute { .. } => observed.route = Child::Leaving,
            Step::DeleteUnit => {
                Arc::make_mut(&mut observed.unit).metadata.deletion_timestamp = Some(Time(observed.now));
            }
            Step::DeletePod(_) => {
                observed.pod = Child::Leaving;
                observed.endpoint_ready = false;
            }
        }
    }

    /// The status is written where it has yet to say what has happened, or else what is leaving goes, or a delay is over.
    fn pass_time(&mut self) -> bool {
        if life::unwritten(&self.observed) {
            self.write();
            return true;
        }
        if let Life::Waits(until) = life(&self.observed)
            && !self.observed.resting()
            && self.wanted.is_ok()
            && !matches!(self.observed.pod, Child::Leaving)
        {
            self.observed.now = until;
            return true;
        }
        let before = (matches!(self.observed.pod, Child::Leaving), matches!(self.observed.route, Child::Leaving));
        if before.0 {
            self.observed.pod = Child::Absent;
        }
        if before.1 {
            self.observed.route = Child::Absent;
        }
        before.0 || before.1
    }

    fn write(&mut self) {
        let written = status(Facts { observed: &self.observed, wanted: &self.wanted, probe: None });
        let written = serde_json::from_value(serde_json::to_value(written).unwrap()).unwrap();
        Arc::make_mut(&mut self.observed.unit).status = Some(written);
    }

    fn never_restarted(mut self) -> Self {
        if let Child::Owned(pod) = &mut self.observed.pod {
            Arc::make_mut(pod).spec.as_mut().unwrap().restart_policy = Some("Never".to_owned());
        }
        self
    }

    /// A unit whose status says what has happened.
    fn written(mut self) -> Self {
        self.write();
        self
    }

    fn over(self) -> Self {
        self.unit(|unit| {
            unit.spec.lifecycle = serde_json::from_value(json!({"shutdownTime": "2026-01-01T00:00:00Z"})).unwrap();
        })
    }

    fn open(&self) -> bool {
        self.observed.route.owned().is_some_and(|seen| !route::is_guarded(seen))
    }
}

const FINALIZE: &str = "add the finalizer";
const SERVICE: &str = "create the Service";
const POD: &str = "create the pod";
const GUARDED: &str = "create the route, guarded";
const REPLACE: &str = "replace the route";
const DROP: &str = "drop the finalizer";

#[test]
fn a_start_is_made_of_these_steps() {
    let new = World::new;
    let there = || new().service().pod(Pods::Ready);
    for (what, world, reached, steps) in [
        ("nothing is there", new().without_finalizer(), false, vec![FINALIZE, SERVICE, POD]),
        ("the finalizer is there", new(), false, vec![SERVICE, POD]),
        ("earlier ones are leaving", new().service().pod(Pods::Leaving), false, vec![]),
        ("the pod is starting", new().service().pod(Pods::Unready), false, vec![]),
        ("the pod is ready", there(), false, vec![GUARDED]),
        ("nobody serves the gateway", there().served(Some("NoController")), false, vec![]),
        ("an earlier route is leaving", there().route(Routes::Leaving), false, vec![]),
        ("the proxies do not have the route", there().route(Routes::Guarded), false, vec![]),
        ("the proxies have the route", there().route(Routes::Guarded), true, vec![REPLACE]),
        ("it is open", there().route(Routes::Open), true, vec![]),
        ("the Service was edited", there().edited_service().route(Routes::Open), true, vec!["repair the Service"]),
        ("the route was edited", there().route(Routes::Edited), true, vec![REPLACE]),
        ("the pod is unready", new().service().pod(Pods::Unready).route(Routes::Open), false, vec![]),
        ("the pod is gone", new().service().route(Routes::Open), false, vec![REPLACE, POD]),
        ("the pod has ended", new().service().pod(Pods::Ended).route(Routes::Open), false, vec![REPLACE]),
        ("the pod may not be made", new().barred(Kind::Pod), false, vec![SERVICE]),
        ("the Service may not be made", new().barred(Kind::Service), false, vec![POD]),
        ("the route may not be made", there().barred(Kind::HTTPRoute), false, vec![]),
    ] {
        assert_eq!(world.names(reached), steps, "{what}");
    }
}

#[test]
fn a_unit_that_may_not_run_keeps_what_it_has_but_not_a_key_that_is_anothers() {
    let running = || World::new().service().pod(Pods::Ready).route(Routes::Open);
    for (what, world, steps) in [
        ("nothing is made", World::new().without_finalizer().refused(reasons::IMAGE_NOT_OFFERED), vec![]),
        ("it runs on", running().refused(reasons::POOL_NOT_FOUND), vec![]),
        ("it has lost its key", running().refused(reasons::KEY_CONFLICT), vec![REPLACE]),
        ("and is closed", running().route(Routes::Guarded).refused(reasons::KEY_CONFLICT), vec![]),
        ("its pod is gone", running().pod(Pods::Absent).refused(reasons::POOL_NOT_FOUND), vec![REPLACE]),
    ] {
        assert_eq!(world.names(true), steps, "{what}");
    }
}

#[test]
fn an_end_is_made_of_these_steps() {
    let just = "2026-01-01T00:59:59Z";
    let ending = || World::new().service().pod(Pods::Ready).route(Routes::Open).deleted(just);
    let closed = || ending().route(Routes::Guarded);
    for (what, world, reached, steps) in [
        ("the route is open", ending(), false, vec![REPLACE]),
        ("the proxies still have it", closed(), false, vec![]),
        ("the proxies have given it up", closed(), true, vec![DROP]),
        ("there is no route", ending().route(Routes::Absent), false, vec![DROP]),
        ("the pod is gone", ending().pod(Pods::Absent), false, vec![DROP]),
        ("the Gateway is gone", ending().served(Some("GatewayNotFound")), false, vec![DROP]),
        ("nobody serves the Gateway", closed().served(Some("NoController")), false, vec![]),
        ("it was let go", ending().without_finalizer(), false, vec![]),
        ("nobody is asked", closed().unprobed(), false, vec![]),
        ("nobody is asked, in time", closed().unprobed().deleted("2026-01-01T00:59:49Z"), false, vec![DROP]),
        ("time is over", ending().deleted("2026-01-01T00:59:29Z"), false, vec![DROP]),
        ("its pool is gone, too", ending().refused(reasons::POOL_NOT_FOUND), false, vec![REPLACE]),
    ] {
        assert_eq!(world.names(reached), steps, "{what}");
    }
    let late = closed().deleted("2026-01-01T00:59:29Z").plan(false);
    assert_eq!(late, [Step::DropFinalizer { overdue: true }]);
}

#[test]
fn a_suspension_is_made_of_these_steps() {
    let running = || World::new().service().pod(Pods::Ready).route(Routes::Open).suspended();
    let (no_route, no_pod) = ("delete the route", "delete the pod");
    for (what, world, reached, steps) in [
        ("made so", World::new().without_finalizer().suspended(), false, vec![FINALIZE, SERVICE]),
        ("the route is open", running(), false, vec![REPLACE]),
        ("the proxies still have it", running().route(Routes::Guarded), false, vec![]),
        ("the proxies have given it up", running().route(Routes::Guarded), true, vec![no_route]),
        ("the pod is gone", running().pod(Pods::Absent), false, vec![no_route]),
        ("the route is leaving", running().route(Routes::Leaving), false, vec![]),
        ("the route is gone", running().route(Routes::Absent), false, vec![no_pod]),
        ("the pod is leaving", running().route(Routes::Absent).pod(Pods::Leaving), false, vec![]),
        ("it rests", running().route(Routes::Absent).pod(Pods::Absent), false, vec![]),
        ("its pool is gone", running().refused(reasons::POOL_NOT_FOUND), false, vec![REPLACE]),
    ] {
        assert_eq!(world.names(reached), steps, "{what}");
    }
}

#[test]
fn a_pod_that_is_lost_is_written_down_then_removed_and_made_anew_after_a_delay() {
    let had = || World::new().service().pod(Pods::Ready).route(Routes::Open).written();
    let (no_pod, guarded) = ("delete the pod", Routes::Guarded);
    for (what, world, steps) in [
        ("it is gone", had().pod(Pods::Absent), vec![REPLACE]),
        ("it is going", had().pod(Pods::Leaving), vec![REPLACE]),
        ("it has ended", had().pod(Pods::Ended), vec![REPLACE]),
        ("and the route is closed", had().pod(Pods::Ended).route(guarded), vec![]),
        ("its end is written", had().pod(Pods::Ended).route(guarded).written(), vec![no_pod]),
        ("its absence is written", had().pod(Pods::Absent).route(guarded).written(), vec![]),
        ("the delay is over", had().pod(Pods::Absent).route(guarded).written().at("2026-01-01T01:00:10Z"), vec![POD]),
        (
            "it is suspended meanwhile",
            had().pod(Pods::Absent).route(guarded).written().suspended(),
            vec!["delete the route"],
        ),
    ] {
        assert_eq!(world.names(false), steps, "{what}");
    }
}

#[test]
fn a_pod_is_made_once_its_claims_are_there() {
    let (make, repair) = ("create a claim", "repair a claim");
    let there = || Child::Owned(Arc::new(made_claim()));
    let owned = || {
        let mut claim = made_claim();
        claim.metadata.owner_references = Some(vec![owner_reference(&World::new().observed.unit)]);
        Child::Owned(Arc::new(claim))
    };
    let new = || World::new().service();
    for (what, world, steps) in [
        ("nothing is there", World::new().claiming(Child::Absent), vec![SERVICE, make]),
        ("it is there", new().claiming(there()), vec![POD]),
        ("an earlier one is leaving", new().claiming(Child::Leaving), vec![]),
        ("it may not be made", new().claiming(Child::Absent).barred(Kind::Claim), vec![]),
        ("it is to stay", new().claiming(owned()).pod(Pods::Unready), vec![repair]),
        ("it has gone", new().claiming(Child::Absent).pod(Pods::Unready), vec![make]),
        ("made suspended", new().claiming(Child::Absent).suspended(), vec![]),
        ("suspended, it is to stay", new().claiming(owned()).suspended(), vec![repair]),
        ("deleted", new().claiming(owned()).deleted(NOW), vec![DROP]),
    ] {
        assert_eq!(world.names(false), steps, "{what}");
    }
}

#[test]
fn a_unit_that_is_finished_comes_to_rest_once_its_status_says_so() {
    let had = || World::new().service().pod(Pods::Ready).route(Routes::Open).written();
    let over = || had().over().written();
    let ended = || had().pod(Pods::Ended).never_restarted();
    let (no_route, no_pod) = ("delete the route", "delete the pod");
    for (what, world, reached, steps) in [
        ("its time is over", had().over(), false, vec![]),
        ("which is written", over(), false, vec![REPLACE]),
        ("the proxies still have the route", over().route(Routes::Guarded), false, vec![]),
        ("the proxies have given it up", over().route(Routes::Guarded), true, vec![no_route]),
        ("the route is gone", over().route(Routes::Absent), false, vec![no_pod]),
        ("it rests", over().route(Routes::Absent).pod(Pods::Absent), false, vec![]),
        (
            "it was over before it began",
            World::new().without_finalizer().over().written(),
            false,
            vec![FINALIZE, SERVICE],
        ),
        ("its pod has ended", ended(), false, vec![]),
        ("which is written, too", ended().written(), false, vec![no_route]),
        ("without a route", ended().written().route(Routes::Absent), false, vec![no_pod]),
        ("it is suspended", ended().written().suspended(), false, vec![no_route]),
    ] {
        assert_eq!(world.names(reached), steps, "{what}");
    }
    let brief = |unit: &mut ComputingUnit| {
        unit.spec.lifecycle.get_or_insert_default().ttl_seconds_after_finished = Some(10);
    };
    let rests = over().route(Routes::Absent).pod(Pods::Absent).unit(brief);
    assert_eq!(rests.names(false), [""; 0]);
    assert_eq!(rests.at("2026-01-01T01:00:10Z").plan(false), [Step::DeleteUnit]);
}

#[test]
fn a_pod_of_another_template_is_replaced_only_where_that_is_asked_for() {
    let running = || World::new().service().pod(Pods::Ready).route(Routes::Open).outdated();
    let closed = || running().route(Routes::Guarded).recreated();
    let no_pod = "delete the pod";
    for (what, world, reached, steps) in [
        ("it waits for the next start", running(), false, vec![]),
        ("the route is open", running().recreated(), false, vec![REPLACE]),
        ("the proxies still have it", closed(), false, vec![]),
        ("the proxies have given it up", closed(), true, vec![no_pod]),
        ("the pod has ended by itself, which is written first", closed().pod(Pods::Ended).outdated(), false, vec![]),
        ("it had no route", running().recreated().route(Routes::Absent), false, vec![no_pod]),
        ("nobody is asked", closed().unprobed(), false, vec![]),
        ("the pod is leaving", closed().pod(Pods::Leaving), false, vec![]),
        ("the pod is gone", closed().pod(Pods::Absent), false, vec![POD]),
        ("the next is ready", closed().pod(Pods::Ready), true, vec![REPLACE]),
        ("it may not run as it is", running().recreated().refused(reasons::IMAGE_NOT_OFFERED), false, vec![]),
    ] {
        assert_eq!(world.names(reached), steps, "{what}");
    }
}

#[test]
fn a_pod_is_resized_once() {
    let asks = |world: World, cpu: &str| {
        let asked = serde_json::from_value(json!({"limits": {"cpu": cpu}})).unwrap();
        let mut world = world.unit(|unit| unit.spec.resources = asked);
        let pool = world.observed.pool.clone().unwrap();
        let mut unit = testing::accepted(testing::query_routing());
        (unit.object, unit.pool) = (world.observed.unit.clone(), pool);
        world.wanted = Ok(desired::children(&unit));
        world
    };
    let running = || World::new().service().route(Routes::Open);
    let mut world = asks(running(), "1");
    let mut pod = world.wanted.as_ref().unwrap().pod.clone();
    pod.status = ready_pod().status;
    world.observed.pod = Child::Owned(Arc::new(pod));
    world.observed.endpoint_ready = true;
    assert_eq!(world.names(true), Vec::<&str>::new());
    let world = asks(world, "2");
    assert_eq!(world.names(true), ["resize the pod"]);
    assert_eq!(world.clone().barred(Kind::Resize).names(true), Vec::<&str>::new());
    assert_eq!(world.suspended().names(false), [REPLACE], "not while it is being stopped");
}

fn pods() -> impl Strategy<Value = Pods> {
    prop::sample::select(vec![Pods::Absent, Pods::Unready, Pods::Ready, Pods::Ended, Pods::Leaving])
}

fn routes() -> impl Strategy<Value = Routes> {
    prop::sample::select(vec![Routes::Absent, Routes::Guarded, Routes::Open, Routes::Edited, Routes::Leaving])
}

proptest! {
    /// From any situation, plans end, and on the way nobody is cut off who need not be.
    #[test]
    fn plans_come_to_an_end_and_keep_the_order(
        pods in pods(),
        routes in routes(),
        (finalizer, deleted, suspended, service, edited) in any::<(bool, bool, bool, bool, bool)>(),
        (had, never, over) in any::<(bool, bool, bool)>(),
        (outdated, recreated, claiming) in any::<(bool, bool, bool)>(),
        refused in prop::option::of(prop::sample::select(vec![reasons::POOL_NOT_FOUND, reasons::KEY_CONFLICT])),
        unserved in prop::option::of(prop::sample::select(vec!["NoController", "GatewayNotFound"])),
    ) {
        let world = if had { World::new().pod(Pods::Ready).written() } else { World::new() };
        let mut world = world.pod(pods).route(routes).served(unserved);
        if never { world = world.never_restarted(); }
        if over { world = world.over(); }
        if !finalizer && routes == Routes::Absent { world = world.without_finalizer(); }
        if outdated { world = world.outdated(); }
        if recreated { world = world.recreated(); }
        if claiming { world = world.claiming(Child::Absent); }
        if deleted { world = world.deleted("2026-01-01T00:59:59Z"); }
        if suspended { world = world.suspended(); }
        if service { world = world.service(); }
        if edited { world = world.edited_service(); }
        if let Some(reason) = refused { world = world.refused(reason); }

        let mut rounds = 0;
        loop {
            // Whatever is asked of the proxies is seen there by the time of the next look.
            let reached = goal::goal(&world.observed, &world.wanted).is_some();
            let steps = world.plan(reached);
            if steps.is_empty() && !world.pass_time() { break; }
            rounds += 1;
            prop_assert!(rounds <= 18, "{:?} goes on: {steps:?}", world.observed);
            for step in steps {
                match &step {
                    Step::CreatePod(_) if claiming => {
                        prop_assert!(world.observed.claims["data-ada"].owned().is_some(), "a pod without its claim");
                    }
                    Step::DeletePod(pod) => {
                        let replaced = recreated && outdated && !suspended;
                        let routeless = matches!(world.observed.route, Child::Absent);
                        prop_assert!(routeless || ((ended(pod) || replaced) && !world.open()));
                        prop_assert!(suspended || !life::unwritten(&world.observed), "what has happened is written first");
                    }
                    Step::DeleteRoute { .. } | Step::DropFinalizer { .. } => {
                        let dead = !world.observed.serving() || unserved == Some("GatewayNotFound");
                        prop_assert!(dead || !world.open(), "an open route to a pod that serves is given up");
                    }
                    Step::CreateRoute(made) => prop_assert!(route::is_guarded(made), "a route begins guarded"),
                    Step::ReplaceRoute(new) if !route::is_guarded(new) => {
                        prop_assert!(!deleted && !suspended && !over && refused.is_none() && world.observed.serving());
                    }
                    _ => {}
                }
                world.take(step);
            }
        }
        if deleted {
            prop_assert!(world.observed.unit.metadata.finalizers.is_none() || unserved == Some("NoController"));
        } else if suspended || over || (never && pods == Pods::Ended) {
            let rest = matches!((&world.observed.route, &world.observed.pod), (Child::Absent, Child::Absent));
            prop_assert!(rest || unserved == Some("NoController"));
        } else if refused.is_none() && unserved.is_none() && pods != Pods::Unready {
            prop_assert!(world.open(), "it runs");
        }
    }
}
