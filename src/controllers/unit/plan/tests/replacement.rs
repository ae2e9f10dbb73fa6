//! The steps of a change of a running unit.

use std::sync::Arc;

use computing_unit_api::{OperatingMode, Reason};
use serde_json::json;

use super::{
    POD, REPLACE,
    world::{Pods, Routes, World, ready_pod},
};
use crate::{
    controllers::unit::{
        assess::{assess, attempt},
        blocked::Write,
        build,
        plan::{Step, plan},
        rollout::Slot,
        snapshot::Child,
        status::status,
    },
    k8s::endpoints::Endpoint,
    testing,
};

#[test]
fn outdated_pod_is_replaced_only_with_strategy_recreate() {
    let running = || World::new().service().pod(Pods::Ready).route(Routes::Open).outdated();
    let closed = || running().route(Routes::Guarded).recreated();
    let no_pod = "delete the pod";
    for (what, world, reached, steps) in [
        ("strategy OnRestart", running(), false, vec![]),
        ("no rollout slot is free", running().recreated().queued(), false, vec![]),
        ("the route is open", running().recreated(), false, vec![REPLACE]),
        ("not every proxy has withdrawn it", closed(), false, vec![]),
        ("every proxy has withdrawn it", closed(), true, vec![no_pod]),
        ("the end of the pod is recorded first", closed().pod(Pods::Ended).outdated(), false, vec![]),
        ("there is no route", running().recreated().route(Routes::Absent), false, vec![no_pod]),
        ("probes are disabled", closed().unprobed(), false, vec![]),
        ("the pod is terminating", closed().pod(Pods::Terminating), false, vec![]),
        ("the pod is gone", closed().pod(Pods::Absent), false, vec![POD]),
        ("the next pod is ready", closed().pod(Pods::Ready), true, vec![REPLACE]),
        ("the unit is rejected", running().recreated().refused(Reason::ImageNotOffered), false, vec![]),
    ] {
        assert_eq!(world.names(reached), steps, "{what}");
    }
}

#[test]
fn pod_is_replaced_only_by_one_that_the_api_server_admits() {
    let due = || World::new().service().pod(Pods::Ready).route(Routes::Open).outdated().recreated();
    let steps = |world: &World| {
        let assessment = assess(&world.snapshot, &world.wanted);
        let status = status(&world.snapshot, &world.wanted, &assessment);
        let steps = plan(&world.snapshot, &world.wanted, &assessment, &status);
        steps.iter().map(Step::name).collect::<Vec<_>>()
    };
    assert_eq!(steps(&due().without_dry_run()), ["dry-run the next pod"]);
    assert!(!steps(&due().without_dry_run().queued()).contains(&"dry-run the next pod"), "not before a slot is free");
    let refused = || {
        let mut world = due().without_dry_run().blocked(Write::DryRun);
        let next = &world.wanted.as_ref().unwrap().pod;
        let attempt = attempt::replacement(world.snapshot.pod.owned().unwrap(), next);
        world.snapshot.blocked.all[0].attempt = Some(attempt);
        world
    };
    assert_eq!(refused().names(false), [""; 0], "the pod is kept, and its route open");
    assert_eq!(refused().route(Routes::Guarded).names(true), [REPLACE], "its route is opened again");
    let mut later = refused();
    later.snapshot.blocked.all[0].attempt = Some("another template".to_owned());
    assert_eq!(steps(&later), ["dry-run the next pod"]);
    let mut later = refused();
    later.snapshot.blocked.due = vec![Write::DryRun];
    assert_eq!(steps(&later), ["dry-run the next pod"]);
}

#[test]
fn replacement_continues_after_the_deadline_of_the_withdrawal() {
    let closed = || World::new().service().pod(Pods::Ready).route(Routes::Guarded).outdated().recreated();
    let overdue = |world: World, reached| world.plan(reached).iter().map(Step::overdue).collect::<Vec<_>>();
    assert_eq!(overdue(closed().replacing_since("2026-01-01T00:59:31Z"), false), [false; 0], "in time");
    let late = || closed().replacing_since("2026-01-01T00:59:30Z");
    assert_eq!((late().names(false), overdue(late(), false)), (vec!["delete the pod"], vec![true]));
    assert_eq!(overdue(late(), true), [false], "confirmed late");
    assert_eq!(overdue(late().route(Routes::Absent), false), [false], "there was no route");
}

#[test]
fn pod_is_resized_once() {
    let asks = |world: World, cpu: &str| {
        let asked = serde_json::from_value(json!({"limits": {"cpu": cpu}})).unwrap();
        let mut world = world.unit(|unit| unit.spec.resources = asked);
        let pool = world.snapshot.pool.clone().unwrap();
        let mut unit = testing::accepted(testing::query_routing());
        (unit.object, unit.pool) = (world.snapshot.unit.clone(), pool);
        world.wanted = Ok(build::children(&unit));
        world
    };
    let running = || World::new().service().route(Routes::Open);
    let mut world = asks(running(), "1");
    let mut pod = world.wanted.as_ref().unwrap().pod.clone();
    pod.status = ready_pod().status;
    world.snapshot.pod = Child::Owned(Arc::new(pod));
    world.snapshot.endpoint = Endpoint::Ready;
    assert_eq!(world.names(true), Vec::<&str>::new());
    let world = asks(world, "2");
    assert_eq!(world.names(true), ["resize the pod"]);
    let mut blocked = world.clone().blocked(Write::Resize);
    assert_eq!(blocked.names(true), ["resize the pod"], "other amounts were rejected");
    let resizes = &blocked.assess().update.resizes;
    let attempt = attempt::resize(blocked.snapshot.pod.owned().unwrap(), resizes);
    blocked.snapshot.blocked.all[0].attempt = Some(attempt);
    assert_eq!(blocked.names(true), Vec::<&str>::new());
    assert_eq!(world.suspended().names(false), [REPLACE], "not while it is being suspended");
}

#[test]
fn rollout_slot_is_released_after_the_status_is_published() {
    let mut world = World::new().service().unprobed().unit(|unit| unit.spec.operating_mode = OperatingMode::Suspended);
    world.snapshot.slot = Slot::Granted;
    world.snapshot.absence_confirmed = true;
    let round = |world: &World| {
        let assessment = assess(&world.snapshot, &world.wanted);
        let status = status(&world.snapshot, &world.wanted, &assessment);
        let steps = plan(&world.snapshot, &world.wanted, &assessment, &status);
        (steps.iter().map(Step::name).collect::<Vec<_>>(), status)
    };
    let (steps, status) = round(&world);
    assert_eq!(steps, ["publish the status"]);
    let published = world.unit(|unit| unit.status = Some(status));
    assert_eq!(round(&published).0, ["release the rollout slot"]);
}
