//! Which changes are applied in place, and which need another pod.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;
use std::sync::Arc;

use computing_unit_api::{ConditionType, Reason};
use serde_json::{Value, json};

use super::*;
use crate::{
    controllers::unit::{blocked::Fault, build, snapshot::Child, validate::Unit},
    testing,
};

fn unit(resources: Value, pool: Value) -> Unit {
    let mut unit = testing::accepted(testing::query_routing());
    Arc::make_mut(&mut unit.object).spec.resources = serde_json::from_value(resources).unwrap();
    let engine = &mut Arc::make_mut(&mut unit.pool).spec.template.spec.as_mut().unwrap().containers[0];
    engine.resources = serde_json::from_value(pool).unwrap();
    unit
}

/// A unit whose pod was made from `before` and that is `after` now.
fn changed(before: &Unit, after: &Unit) -> (Snapshot, Children) {
    let mut snapshot = testing::snapshot("2026-01-01T01:00:00Z");
    snapshot.unit = after.object.clone();
    snapshot.pool = Some(after.pool.clone());
    snapshot.pod = Child::Owned(Arc::new(build::children(before).pod));
    (snapshot, build::children(after))
}

fn all_pending(snapshot: &Snapshot, children: &Children) -> Option<Pending> {
    pending(snapshot, children, blocked_resize(snapshot, &resizes(snapshot, children)))
}

fn replaced(snapshot: &Snapshot, wanted: &Wanted) -> bool {
    let mut snapshot = snapshot.clone();
    snapshot.passed_dry_run = Some(attempt::replacement(snapshot.pod.owned().unwrap(), &wanted.as_ref().unwrap().pod));
    let state = super::super::lifecycle::state(&snapshot, wanted);
    update(&snapshot, wanted, &state).replacement == Replacement::Now
}

fn resized(before: &Unit, after: &Unit) -> Vec<String> {
    let (snapshot, children) = changed(before, after);
    let show = |resize: &Resize| format!("{}.{}={}", resize.list, resize.name, resize.wanted.0);
    resizes(&snapshot, &children).iter().map(show).collect()
}

#[test]
fn amounts_of_the_unit_are_resized_in_place() {
    let of = |resources: Value| unit(resources, json!(null));
    let cpu = |cpu: &str| json!({"limits": {"cpu": cpu}});
    let memory = |limit: &str, request: &str| json!({"limits": {"memory": limit}, "requests": {"memory": request}});
    for (before, after, in_place, waits) in [
        (cpu("1"), cpu("2"), vec!["limits.cpu=2", "requests.cpu=2"], false),
        (cpu("1"), cpu("1000m"), vec![], false),
        (memory("2Gi", "1Gi"), memory("4Gi", "1024Mi"), vec!["limits.memory=4Gi"], false),
        (json!({"limits": {"nvidia.com/gpu": 1}}), json!({"limits": {"nvidia.com/gpu": 2}}), vec![], true),
        // Not there before, or not any more.
        (json!(null), cpu("1"), vec![], true),
        (cpu("1"), json!(null), vec![], true),
    ] {
        let words = format!("{before} to {after}");
        let (before, after) = (of(before), of(after));
        assert_eq!(resized(&before, &after), in_place, "{words}");
        let (snapshot, children) = changed(&before, &after);
        assert_eq!(all_pending(&snapshot, &children).is_some(), waits, "{words}");
    }
}

#[test]
fn amounts_that_override_the_pool_are_resized_in_place_and_back() {
    let pool = || json!({"limits": {"memory": "1Gi"}, "requests": {"memory": "16Mi", "cpu": "5m"}});
    for (asked, there, back) in [
        (json!({"requests": {"cpu": "7m"}}), vec!["requests.cpu=7m"], vec!["requests.cpu=5m"]),
        (
            json!({"limits": {"memory": "2Gi"}}),
            vec!["limits.memory=2Gi", "requests.memory=2Gi"],
            vec!["limits.memory=1Gi", "requests.memory=16Mi"],
        ),
    ] {
        let (without, with) = (unit(json!(null), pool()), unit(asked, pool()));
        assert_eq!(resized(&without, &with), there);
        assert_eq!(resized(&with, &without), back);
        let (snapshot, children) = changed(&without, &with);
        assert_eq!(all_pending(&snapshot, &children), None);
    }
}

#[test]
fn what_the_pool_gives_is_left_to_the_next_start() {
    let asks = |memory: &str, pool: &str| unit(json!({"limits": {"memory": memory}}), json!({"limits": {"cpu": pool}}));
    let (before, after) = (asks("1Gi", "1"), asks("2Gi", "3"));
    assert_eq!(resized(&before, &after), ["limits.memory=2Gi", "requests.memory=2Gi"]);
    let (snapshot, children) = changed(&before, &after);
    assert_eq!(all_pending(&snapshot, &children), Some(Pending::Template));
}

#[test]
fn amounts_that_the_cluster_has_put_in_are_no_change() {
    let plain = unit(json!(null), json!(null));
    let (mut snapshot, children) = changed(&plain, &plain);
    let mut pod = children.pod.clone();
    let resources = json!({"limits": {"memory": "512Mi"}, "requests": {"memory": "512Mi"}});
    pod.spec.as_mut().unwrap().containers[0].resources = serde_json::from_value(resources).unwrap();
    snapshot.pod = Child::Owned(Arc::new(pod));
    assert_eq!((resizes(&snapshot, &children), all_pending(&snapshot, &children)), (vec![], None));
}

#[test]
fn a_pod_of_an_earlier_release_is_not_held_against_its_unit() {
    let plain = unit(json!(null), json!(null));
    let (mut snapshot, children) = changed(&plain, &plain);
    for hash in [Some("v1-0123456789abcdef"), None] {
        let mut pod = children.pod.clone();
        let notes = pod.metadata.annotations.as_mut().unwrap();
        notes.remove(TEMPLATE_AMOUNTS);
        notes.remove(TEMPLATE_HASH);
        notes.extend(hash.map(|hash| (TEMPLATE_HASH.to_owned(), hash.to_owned())));
        snapshot.pod = Child::Owned(Arc::new(pod));
        assert_eq!(all_pending(&snapshot, &children), None);
    }
}

#[test]
fn refused_resize_replaces_the_pod_once() {
    let (before, after) =
        (unit(json!({"limits": {"cpu": "1"}}), json!(null)), unit(json!({"limits": {"cpu": "2"}}), json!(null)));
    let (mut snapshot, children) = changed(&before, &after);
    Arc::make_mut(&mut snapshot.unit).spec.update_strategy = UpdateStrategy::Recreate;
    let wanted: Wanted = Ok(children.clone());
    let refuse = |snapshot: &mut Snapshot, reason| {
        let pod = snapshot.pod.owned().unwrap();
        let attempt = Some(attempt::resize(pod, &resizes(snapshot, wanted.as_ref().unwrap())));
        let (write, message) = (Write::Resize, "no".to_owned());
        snapshot.blocked.all = vec![BlockedWrite { write, reason, message, fault: Fault::Cluster, attempt }];
    };
    assert!(!replaced(&snapshot, &wanted), "it is tried in place first");
    refuse(&mut snapshot, Reason::Infeasible);
    assert!(!replaced(&snapshot, &wanted), "another pod would not find room either");
    refuse(&mut snapshot, Reason::ResizeRefused);
    assert!(replaced(&snapshot, &wanted));
    // The amounts of a later edit were not refused.
    let later = build::children(&unit(json!({"limits": {"cpu": "3"}}), json!(null)));
    assert!(!replaced(&snapshot, &Ok(later)));
    // An admission webhook changed the amounts at creation, and would change those of the next pod too.
    let mut pod = children.pod;
    pod.spec.as_mut().unwrap().containers[0].resources =
        serde_json::from_value(json!({"limits": {"cpu": "1"}})).unwrap();
    snapshot.pod = Child::Owned(Arc::new(pod));
    assert!(!replaced(&snapshot, &wanted));
}

#[test]
fn only_a_change_of_the_pool_needs_a_slot() {
    let said = json!({"type": ConditionType::Replacing, "status": "True", "reason": "", "message": "",
                      "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let reachable = || json!({"reachable": "2026-01-01T00:00:00Z"});
    for (what, generation, stages, conditions, own) in [
        ("its pool was edited", 1, reachable(), json!([]), false),
        ("it was edited", 0, reachable(), json!([]), true),
        ("it has not started yet", 1, json!({}), json!([]), true),
        ("it has begun", 1, reachable(), json!([said]), true),
    ] {
        let mut snapshot = testing::snapshot("2026-01-01T01:00:00Z");
        let status = json!({"observedGeneration": generation, "stages": stages, "conditions": conditions});
        Arc::make_mut(&mut snapshot.unit).status = serde_json::from_value(status).unwrap();
        assert_eq!(needs_no_slot(&snapshot), own, "{what}");
    }
}

#[test]
fn amounts_are_compared_by_what_they_are() {
    let same = |a: &str, b: &str| same(&Amount(a.into()), &Amount(b.into()));
    for (a, b) in [("1100m", "1.1"), ("0.3", "300m"), ("1Gi", "1024Mi"), ("1e3", "1k"), ("0", "0Mi"), ("odd", "odd")] {
        assert!(same(a, b), "{a} {b}");
    }
    assert!(!same("1", "1001m") && !same("1G", "1Gi") && !same("odd", "1"));
}
