//! Plans come to an end: a small world does what they say, and is looked at again.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use proptest::prelude::*;

use super::world::{Pods, Routes, World, ready_pod};
use crate::{
    desired::route,
    goal,
    life::{self, Life, life},
    names::FINALIZER,
    observed::{Child, ended},
    plan::Step,
    validate::reasons,
};

impl World {
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
            Step::DeletePod { .. } => {
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
        (outdated, recreated, turn, claiming) in any::<(bool, bool, bool, bool)>(),
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
        if !turn { world = world.out_of_turn(); }
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
                    Step::DeletePod { pod, .. } => {
                        let replaced = recreated && outdated && turn && !suspended;
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
