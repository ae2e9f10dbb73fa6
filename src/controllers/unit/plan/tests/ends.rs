//! The steps of a unit that is deleted, suspended or finished.

use computing_unit_api::{ComputingUnit, Reason};

use super::{
    ADD_FINALIZER, REMOVE, REPLACE, SERVICE,
    world::{Pods, Routes, World},
};
use crate::controllers::unit::{assess::Ttl, plan::Step};

#[test]
fn steps_of_a_deletion() {
    let just = "2026-01-01T00:59:59Z";
    let deleted = || World::new().service().pod(Pods::Ready).route(Routes::Open).deleted(just);
    let guarded = || deleted().route(Routes::Guarded);
    let removed = || vec!["delete the children", REMOVE];
    for (what, world, reached, steps) in [
        ("the route is open", deleted(), false, vec![REPLACE]),
        ("not every proxy has withdrawn it", guarded(), false, vec![]),
        ("every proxy has withdrawn it", guarded(), true, removed()),
        ("there is no route", deleted().route(Routes::Absent), false, removed()),
        ("the pod is gone", deleted().pod(Pods::Absent), false, removed()),
        ("it has no children", World::new().deleted(just), false, vec![REMOVE]),
        ("the Gateway is gone", deleted().served(Some(Reason::GatewayNotFound)), false, removed()),
        ("no controller serves the Gateway", guarded().served(Some(Reason::NoController)), false, vec![]),
        ("the finalizer was removed", deleted().without_finalizer(), false, vec![]),
        ("probes are disabled", guarded().unprobed(), false, vec![]),
        (
            "probes are disabled and the drain timeout is over",
            guarded().unprobed().deleted("2026-01-01T00:59:49Z"),
            false,
            removed(),
        ),
        ("the deadline has passed", deleted().deleted("2026-01-01T00:59:29Z"), false, removed()),
        ("its pool is gone", deleted().refused(Reason::PoolNotFound), false, vec![REPLACE]),
    ] {
        assert_eq!(world.names(reached), steps, "{what}");
    }
    let late = guarded().deleted("2026-01-01T00:59:29Z").plan(false);
    assert_eq!(late, [Step::DeleteChildren, Step::RemoveFinalizer { overdue: true }]);
    let nothing = deleted().route(Routes::Absent).deleted("2026-01-01T00:59:29Z").plan(false);
    assert_eq!(nothing, [Step::DeleteChildren, Step::RemoveFinalizer { overdue: false }], "there was no route");
}

#[test]
fn steps_of_a_suspension() {
    let running = || World::new().service().pod(Pods::Ready).route(Routes::Open).suspended();
    let (no_route, no_pod) = ("delete the route", "delete the pod");
    for (what, world, reached, steps) in [
        ("created suspended", World::new().without_finalizer().suspended(), false, vec![ADD_FINALIZER, SERVICE]),
        ("the route is open", running(), false, vec![REPLACE]),
        ("not every proxy has withdrawn it", running().route(Routes::Guarded), false, vec![]),
        ("every proxy has withdrawn it", running().route(Routes::Guarded), true, vec![no_route]),
        ("the pod is gone", running().pod(Pods::Absent), false, vec![no_route]),
        ("the route is being deleted", running().route(Routes::Terminating), false, vec![]),
        ("the route is gone", running().route(Routes::Absent), false, vec![no_pod]),
        ("the pod is terminating", running().route(Routes::Absent).pod(Pods::Terminating), false, vec![]),
        ("it is at rest", running().route(Routes::Absent).pod(Pods::Absent), false, vec![]),
        ("its pool is gone", running().refused(Reason::PoolNotFound), false, vec![REPLACE]),
    ] {
        assert_eq!(world.names(reached), steps, "{what}");
    }
}

#[test]
fn finished_unit_is_stopped_after_its_end_is_recorded() {
    let had = || World::new().service().pod(Pods::Ready).route(Routes::Open).recorded();
    let over = || had().over().recorded();
    let ended = || had().pod(Pods::Ended).never_restarted();
    let (no_route, no_pod) = ("delete the route", "delete the pod");
    for (what, world, reached, steps) in [
        ("the time limit is exceeded", had().over(), false, vec![]),
        ("its end is recorded", over(), false, vec![REPLACE]),
        ("not every proxy has withdrawn the route", over().route(Routes::Guarded), false, vec![]),
        ("every proxy has withdrawn it", over().route(Routes::Guarded), true, vec![no_route]),
        ("the route is gone", over().route(Routes::Absent), false, vec![no_pod]),
        ("it is at rest", over().route(Routes::Absent).pod(Pods::Absent), false, vec![]),
        (
            "the limit was exceeded before the start",
            World::new().without_finalizer().over().recorded(),
            false,
            vec![ADD_FINALIZER, SERVICE],
        ),
        ("its pod has terminated", ended(), false, vec![]),
        ("the end of its pod is recorded", ended().recorded(), false, vec![no_route]),
        ("without a route", ended().recorded().route(Routes::Absent), false, vec![no_pod]),
        ("it is suspended", ended().recorded().suspended(), false, vec![no_route]),
    ] {
        assert_eq!(world.names(reached), steps, "{what}");
    }
    let brief = |unit: &mut ComputingUnit| {
        unit.spec.lifecycle.get_or_insert_default().ttl_seconds_after_finished = Some(10);
    };
    let rests = over().route(Routes::Absent).pod(Pods::Absent).unit(brief);
    assert_eq!(rests.names(false), [""; 0]);
    assert_eq!(rests.at("2026-01-01T01:00:10Z").plan(false), [Step::DeleteUnit(Ttl::Finished)]);
}
