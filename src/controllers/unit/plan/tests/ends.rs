//! The steps of a unit that is deleted, suspended or finished.

use computing_unit_api::{ComputingUnit, Reason};

use super::{
    ADD_FINALIZER, REMOVE, REPLACE, SERVICE,
    world::{Pods, Routes, World},
};
use crate::controllers::unit::plan::Step;

#[test]
fn steps_of_a_deletion() {
    let just = "2026-01-01T00:59:59Z";
    let ending = || World::new().service().pod(Pods::Ready).route(Routes::Open).deleted(just);
    let closed = || ending().route(Routes::Guarded);
    for (what, world, reached, steps) in [
        ("the route is open", ending(), false, vec![REPLACE]),
        ("the proxies still have it", closed(), false, vec![]),
        ("the proxies have given it up", closed(), true, vec![REMOVE]),
        ("there is no route", ending().route(Routes::Absent), false, vec![REMOVE]),
        ("the pod is gone", ending().pod(Pods::Absent), false, vec![REMOVE]),
        ("the Gateway is gone", ending().served(Some(Reason::GatewayNotFound)), false, vec![REMOVE]),
        ("nobody serves the Gateway", closed().served(Some(Reason::NoController)), false, vec![]),
        ("it was let go", ending().without_finalizer(), false, vec![]),
        ("nobody is asked", closed().unprobed(), false, vec![]),
        ("nobody is asked, in time", closed().unprobed().deleted("2026-01-01T00:59:49Z"), false, vec![REMOVE]),
        ("time is over", ending().deleted("2026-01-01T00:59:29Z"), false, vec![REMOVE]),
        ("its pool is gone, too", ending().refused(Reason::PoolNotFound), false, vec![REPLACE]),
    ] {
        assert_eq!(world.names(reached), steps, "{what}");
    }
    let late = closed().deleted("2026-01-01T00:59:29Z").plan(false);
    assert_eq!(late, [Step::RemoveFinalizer { overdue: true }]);
    let nothing = ending().route(Routes::Absent).deleted("2026-01-01T00:59:29Z").plan(false);
    assert_eq!(nothing, [Step::RemoveFinalizer { overdue: false }], "there was nothing to give up");
}

#[test]
fn steps_of_a_suspension() {
    let running = || World::new().service().pod(Pods::Ready).route(Routes::Open).suspended();
    let (no_route, no_pod) = ("delete the route", "delete the pod");
    for (what, world, reached, steps) in [
        ("made so", World::new().without_finalizer().suspended(), false, vec![ADD_FINALIZER, SERVICE]),
        ("the route is open", running(), false, vec![REPLACE]),
        ("the proxies still have it", running().route(Routes::Guarded), false, vec![]),
        ("the proxies have given it up", running().route(Routes::Guarded), true, vec![no_route]),
        ("the pod is gone", running().pod(Pods::Absent), false, vec![no_route]),
        ("the route is leaving", running().route(Routes::Terminating), false, vec![]),
        ("the route is gone", running().route(Routes::Absent), false, vec![no_pod]),
        ("the pod is leaving", running().route(Routes::Absent).pod(Pods::Terminating), false, vec![]),
        ("it rests", running().route(Routes::Absent).pod(Pods::Absent), false, vec![]),
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
        ("its time is over", had().over(), false, vec![]),
        ("which is written", over(), false, vec![REPLACE]),
        ("the proxies still have the route", over().route(Routes::Guarded), false, vec![]),
        ("the proxies have given it up", over().route(Routes::Guarded), true, vec![no_route]),
        ("the route is gone", over().route(Routes::Absent), false, vec![no_pod]),
        ("it rests", over().route(Routes::Absent).pod(Pods::Absent), false, vec![]),
        (
            "it was over before it began",
            World::new().without_finalizer().over().recorded(),
            false,
            vec![ADD_FINALIZER, SERVICE],
        ),
        ("its pod has ended", ended(), false, vec![]),
        ("which is written, too", ended().recorded(), false, vec![no_route]),
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
    assert_eq!(rests.at("2026-01-01T01:00:10Z").plan(false), [Step::DeleteUnit]);
}
