//! The steps of a start, of a restart after the pod was lost, and of a rejected unit.

use std::sync::Arc;

use computing_unit_api::{Reason, names::owner_reference};

use super::{
    ADD_FINALIZER, GUARDED, POD, REMOVE, REPLACE, SERVICE,
    world::{NOW, Pods, Routes, World, existing_pvc},
};
use crate::controllers::unit::{blocked::Write, snapshot::Child};

#[test]
fn steps_of_a_start() {
    let new = World::new;
    let there = || new().service().pod(Pods::Ready);
    for (what, world, reached, steps) in [
        ("no child exists", new().without_finalizer(), false, vec![ADD_FINALIZER, SERVICE, POD]),
        ("the finalizer exists", new(), false, vec![SERVICE, POD]),
        ("the previous pod is terminating", new().service().pod(Pods::Terminating), false, vec![]),
        ("the pod has no address", new().service().pod(Pods::Pending), false, vec![]),
        ("the pod has an address", new().service().pod(Pods::Unready), false, vec![GUARDED]),
        ("the pod is starting", new().service().pod(Pods::Unready).route(Routes::Guarded), true, vec![]),
        ("the pod is ready at once", there(), false, vec![GUARDED]),
        ("no controller serves the Gateway", there().served(Some(Reason::NoController)), false, vec![]),
        ("the previous route is being deleted", there().route(Routes::Terminating), false, vec![]),
        ("not every proxy has the route", there().route(Routes::Guarded), false, vec![]),
        ("every proxy has the route", there().route(Routes::Guarded), true, vec![REPLACE]),
        ("the route is open", there().route(Routes::Open), true, vec![]),
        ("the Service was edited", there().edited_service().route(Routes::Open), true, vec!["repair the Service"]),
        ("the route was edited", there().route(Routes::Edited), true, vec![REPLACE]),
        ("the pod is unready", new().service().pod(Pods::Unready).route(Routes::Open), false, vec![]),
        ("the pod is gone", new().service().route(Routes::Open), false, vec![REPLACE, POD]),
        ("the pod has terminated", new().service().pod(Pods::Ended).route(Routes::Open), false, vec![REPLACE]),
        ("the pod is blocked", new().blocked(Write::Pod), false, vec![SERVICE]),
        ("the Service is blocked", new().blocked(Write::Service), false, vec![POD]),
        ("the route is blocked", there().blocked(Write::HTTPRoute), false, vec![]),
    ] {
        assert_eq!(world.names(reached), steps, "{what}");
    }
}

#[test]
fn rejected_unit_keeps_its_children_but_not_the_key_of_another_unit() {
    let running = || World::new().service().pod(Pods::Ready).route(Routes::Open);
    for (what, world, steps) in [
        ("nothing is created", World::new().without_finalizer().refused(Reason::ImageNotOffered), vec![]),
        ("it keeps running", running().refused(Reason::PoolNotFound), vec![]),
        ("another unit has its key", running().refused(Reason::KeyConflict), vec![REPLACE]),
        ("its route is guarded", running().route(Routes::Guarded).refused(Reason::KeyConflict), vec![]),
        ("its pod is gone", running().pod(Pods::Absent).refused(Reason::PoolNotFound), vec![REPLACE]),
    ] {
        assert_eq!(world.names(true), steps, "{what}");
    }
}

#[test]
fn lost_pod_is_recorded_then_deleted_then_recreated_after_a_delay() {
    let had = || World::new().service().pod(Pods::Ready).route(Routes::Open).recorded();
    let (no_pod, guarded) = ("delete the pod", Routes::Guarded);
    for (what, world, steps) in [
        ("the pod is gone", had().pod(Pods::Absent), vec![REPLACE]),
        ("the pod is terminating", had().pod(Pods::Terminating), vec![REPLACE]),
        ("the pod has terminated", had().pod(Pods::Ended), vec![REPLACE]),
        ("the route is guarded", had().pod(Pods::Ended).route(guarded), vec![]),
        ("its end is recorded", had().pod(Pods::Ended).route(guarded).recorded(), vec![no_pod]),
        ("its loss is recorded", had().pod(Pods::Absent).route(guarded).recorded(), vec![]),
        (
            "the backoff is over",
            had().pod(Pods::Absent).route(guarded).recorded().at("2026-01-01T01:00:10Z"),
            vec![POD],
        ),
        (
            "it is suspended meanwhile",
            had().pod(Pods::Absent).route(guarded).recorded().suspended(),
            vec!["delete the route"],
        ),
    ] {
        assert_eq!(world.names(false), steps, "{what}");
    }
}

#[test]
fn pod_is_created_when_its_volume_claims_exist() {
    let (make, repair) = ("create a PVC", "repair a PVC");
    let there = || Child::Owned(Arc::new(existing_pvc()));
    let owned = || {
        let mut claim = existing_pvc();
        claim.metadata.owner_references = Some(vec![owner_reference(&World::new().snapshot.unit)]);
        Child::Owned(Arc::new(claim))
    };
    let new = || World::new().service();
    for (what, world, steps) in [
        ("no claim exists", World::new().claiming(Child::Absent), vec![SERVICE, make]),
        ("the claim exists", new().claiming(there()), vec![POD]),
        ("the previous claim is being deleted", new().claiming(Child::Terminating), vec![]),
        ("the claim is blocked", new().claiming(Child::Absent).blocked(Write::PersistentVolumeClaim), vec![]),
        ("the claim is retained", new().claiming(owned()).pod(Pods::Pending), vec![repair]),
        ("the claim is gone", new().claiming(Child::Absent).pod(Pods::Pending), vec![make]),
        ("created suspended", new().claiming(Child::Absent).suspended(), vec![]),
        ("suspended, the claim is retained", new().claiming(owned()).suspended(), vec![repair]),
        ("deleted", new().claiming(owned()).deleted(NOW), vec!["delete the children", REMOVE]),
    ] {
        assert_eq!(world.names(false), steps, "{what}");
    }
}
