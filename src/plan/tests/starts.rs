//! What a start is made of, also one after a pod was lost, and what is left of a unit that may not run.

use std::sync::Arc;

use super::{
    DROP, FINALIZE, GUARDED, POD, REPLACE, SERVICE,
    world::{NOW, Pods, Routes, World, made_claim},
};
use crate::{names::owner_reference, observed::Child, obstacles::Kind, validate::reasons};

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
