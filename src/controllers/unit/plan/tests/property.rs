//! Plans converge: a small world applies them until none is left.

use std::sync::Arc;

use computing_unit_api::{
    OperatingMode, Reason,
    names::{FINALIZER, SCHEDULE},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use proptest::prelude::*;

use super::world::{Pods, Routes, World, ready_pod};
use crate::{
    controllers::unit::{
        assess::{
            attempt,
            state::{Transition, UnitState},
        },
        build::guard,
        context::STATUS_DELAY,
        plan::{Step, plan},
        pod::terminated,
        rollout::Slot,
        schedule_mark,
        snapshot::Child,
    },
    k8s::endpoints::Endpoint,
    probe::{Progress, Report},
    routing::keys::Holder,
    schedule::Change,
};

impl World {
    /// Applies a step, and what the cluster does in response.
    pub(super) fn take(&mut self, step: Step, slots: bool) {
        let snapshot = &mut self.snapshot;
        match step {
            Step::RequestKey(_) => {
                let reservation = snapshot.key.as_mut().unwrap();
                reservation.holder = Holder::Unit;
                reservation.requested = true;
            }
            Step::ReleaseKeys { .. } => snapshot.key.as_mut().unwrap().requested = false,
            Step::RequestSlot => snapshot.slot = if slots { Slot::Granted } else { Slot::Queued { free: false } },
            Step::ReleaseSlot => snapshot.slot = Slot::NotRequested,
            Step::StartProbe(goal, target) => {
                // The proxies have the route by the time of the next round.
                let progress = Progress::Done { at: snapshot.now };
                snapshot.probe = Some(Report { goal, target: *target, progress });
            }
            Step::ForgetBlocked(writes) => snapshot.blocked.all.retain(|blocked| !writes.contains(&blocked.write)),
            Step::StopProbe => snapshot.probe = None,
            Step::ForgetActivity => snapshot.activity.known = false,
            Step::HoldStatus => snapshot.status_held = Some(std::time::Duration::ZERO),
            Step::ReleaseStatus => snapshot.status_held = None,
            Step::ReadAbsent => snapshot.absence_confirmed = true,
            Step::PublishStatus(status) => {
                let written = serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap();
                Arc::make_mut(&mut snapshot.unit).status = Some(written);
                snapshot.status_held = None;
            }
            Step::AddFinalizer => {
                Arc::make_mut(&mut snapshot.unit).metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
            }
            Step::RemoveFinalizer { .. } => Arc::make_mut(&mut snapshot.unit).metadata.finalizers = None,
            Step::CreateService(service) | Step::RepairService(service) => {
                snapshot.service = Child::Owned(Arc::new(*service));
            }
            Step::CreatePod(mut pod) => {
                pod.status = ready_pod().status;
                pod.metadata.uid = Some("pod-uid".to_owned());
                pod.metadata.creation_timestamp = Some(Time(snapshot.now));
                snapshot.pod = Child::Owned(Arc::new(*pod));
                snapshot.endpoint = Endpoint::Ready;
            }
            Step::DryRunPod { current, next } => snapshot.passed_dry_run = Some(attempt::replacement(&current, &next)),
            Step::CreatePvc(claim) | Step::RepairPvc(claim) => {
                snapshot.pvcs.insert(claim.name_any(), Child::Owned(Arc::new(*claim)));
            }
            Step::ResizePod { .. } | Step::ListPodEvents(_) => {}
            Step::RepairPod(pod) => snapshot.pod = Child::Owned(Arc::new(*pod)),
            Step::CreateRoute(mut route) | Step::ReplaceRoute(mut route) => {
                route.metadata.uid = Some("route-uid".into());
                let generation = snapshot.route.owned().and_then(|route| route.metadata.generation);
                route.metadata.generation = Some(generation.unwrap_or(0) + 1);
                snapshot.route = Child::Owned(Arc::new(*route));
            }
            Step::DeleteRoute { .. } => snapshot.route = Child::Terminating,
            Step::FollowSchedule(due) => {
                let unit = Arc::make_mut(&mut snapshot.unit);
                let mark = schedule_mark::of_next_generation(unit, due.at);
                unit.metadata.annotations.get_or_insert_default().insert(SCHEDULE.to_owned(), mark);
                unit.metadata.generation = unit.metadata.generation.map(|generation| generation + 1);
                unit.spec.operating_mode = match due.change {
                    Change::Suspend => OperatingMode::Suspended,
                    Change::Resume => OperatingMode::Running,
                };
            }
            Step::DeleteUnit(_) => {
                Arc::make_mut(&mut snapshot.unit).metadata.deletion_timestamp = Some(Time(snapshot.now));
            }
            Step::DeletePod { .. } => {
                snapshot.pod = Child::Terminating;
                snapshot.endpoint = Endpoint::Absent;
            }
            Step::DeleteChildren => {
                snapshot.route = Child::Absent;
                snapshot.service = Child::Absent;
                snapshot.pod = Child::Terminating;
                snapshot.endpoint = Endpoint::Absent;
            }
        }
    }

    /// What terminates is gone, or a delay is over.
    pub(super) fn pass_time(&mut self) -> bool {
        if self.snapshot.status_held.is_some_and(|held| held < STATUS_DELAY) {
            self.snapshot.status_held = Some(STATUS_DELAY);
            return true;
        }
        if let UnitState::AwaitingRestart(until) = self.assess().state
            && self.wanted.is_ok()
            && !matches!(self.snapshot.pod, Child::Terminating)
        {
            self.snapshot.now = until;
            return true;
        }
        let before =
            (matches!(self.snapshot.pod, Child::Terminating), matches!(self.snapshot.route, Child::Terminating));
        if before.0 {
            self.snapshot.pod = Child::Absent;
        }
        if before.1 {
            self.snapshot.route = Child::Absent;
        }
        before.0 || before.1
    }
}

fn pods() -> impl Strategy<Value = Pods> {
    prop::sample::select(vec![Pods::Absent, Pods::Unready, Pods::Ready, Pods::Ended, Pods::Terminating])
}

fn routes() -> impl Strategy<Value = Routes> {
    prop::sample::select(vec![Routes::Absent, Routes::Guarded, Routes::Open, Routes::Edited, Routes::Terminating])
}

proptest! {
    /// From any situation plans converge, and no client is cut off on the way that need not be.
    #[test]
    fn plans_converge_and_keep_their_order(
        pods in pods(),
        routes in routes(),
        (finalizer, deleted, suspended, service, edited) in any::<(bool, bool, bool, bool, bool)>(),
        (had, never, over) in any::<(bool, bool, bool)>(),
        (outdated, recreated, slots, claiming) in any::<(bool, bool, bool, bool)>(),
        refused in prop::option::of(prop::sample::select(vec![Reason::PoolNotFound, Reason::KeyConflict])),
        unserved in prop::option::of(prop::sample::select(vec![Reason::NoController, Reason::GatewayNotFound])),
    ) {
        let world = if had { World::new().pod(Pods::Ready).recorded() } else { World::new() };
        let mut world = world.pod(pods).route(routes).served(unserved);
        if never { world = world.never_restarted(); }
        if over { world = world.over(); }
        if !finalizer && routes == Routes::Absent { world = world.without_finalizer(); }
        if outdated { world = world.outdated(); }
        if recreated { world = world.recreated(); }
        world.snapshot.slot = Slot::NotRequested;
        world = world.without_dry_run();
        if claiming { world = world.claiming(Child::Absent); }
        if deleted { world = world.deleted("2026-01-01T00:59:59Z"); }
        if suspended { world = world.suspended(); }
        if service { world = world.service(); }
        if edited { world = world.edited_service(); }
        if let Some(reason) = refused { world = world.refused(reason); }

        let mut rounds = 0;
        loop {
            let (assessment, status) = (world.assess(), world.status());
            let steps = plan(&world.snapshot, &world.wanted, &assessment, &status);
            if steps.is_empty() && !world.pass_time() { break; }
            rounds += 1;
            prop_assert!(rounds <= 40, "{:?} goes on: {steps:?}", world.snapshot);
            for step in steps {
                match &step {
                    Step::CreatePod(_) if claiming => {
                        prop_assert!(world.snapshot.pvcs["data-ada"].owned().is_some(), "a pod without its volume claim");
                    }
                    Step::DeletePod { pod, .. } => {
                        let replaced = recreated && outdated && !suspended;
                        let routeless = matches!(world.snapshot.route, Child::Absent);
                        prop_assert!(routeless || ((terminated(pod) || replaced) && !world.open()));
                        let recorded = !matches!(assessment.state, UnitState::Unrecorded(Transition::PodLost(_) | Transition::Finished(_)));
                        prop_assert!(assessment.at_rest || terminated(pod) || world.snapshot.passed_dry_run.is_some(), "the next pod is tried first");
                        prop_assert!(suspended || recorded, "a transition is recorded first");
                    }
                    Step::DeleteRoute { .. } | Step::DeleteChildren | Step::RemoveFinalizer { .. } => {
                        let dead = !world.snapshot.serving() || unserved == Some(Reason::GatewayNotFound);
                        prop_assert!(dead || !world.open(), "the open route of a serving pod is deleted");
                    }
                    Step::CreateRoute(made) => prop_assert!(guard::is_guarded(made), "a route is created guarded"),
                    Step::ReplaceRoute(new) if !guard::is_guarded(new) => {
                        prop_assert!(!deleted && !suspended && !over && refused.is_none() && world.snapshot.serving());
                    }
                    _ => {}
                }
                world.take(step, slots);
            }
        }
        if deleted {
            prop_assert!(world.snapshot.unit.metadata.finalizers.is_none() || unserved == Some(Reason::NoController));
        } else if suspended || over || (never && pods == Pods::Ended && (!outdated || refused.is_some())) {
            let rest = matches!((&world.snapshot.route, &world.snapshot.pod), (Child::Absent, Child::Absent));
            prop_assert!(rest || unserved == Some(Reason::NoController));
        } else if refused.is_none() && unserved.is_none() && pods != Pods::Unready {
            prop_assert!(world.open(), "the unit is exposed");
        }
    }
}
