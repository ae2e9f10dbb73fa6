//! What an end is made of: of a unit that is deleted, suspended or finished.

use super::{
    DROP, FINALIZE, REPLACE, SERVICE,
    world::{Pods, Routes, World},
};
use crate::{api::ComputingUnit, plan::Step, validate::reasons};

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
    let nothing = ending().route(Routes::Absent).deleted("2026-01-01T00:59:29Z").plan(false);
    assert_eq!(nothing, [Step::DropFinalizer { overdue: false }], "there was nothing to give up");
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
