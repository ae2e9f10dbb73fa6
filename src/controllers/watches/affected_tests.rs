//! Which units each kind of change affects, with caches as watches leave them.

use computing_unit_api::names::owner_reference;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use kube::runtime::watcher::Event;
use serde_json::json;

use super::*;
use crate::{
    k8s::affected::resolve,
    testing::{self, query_routing},
};

/// Units `ada` and `bob` of pool `default`, `cleo` of pool `other` on the same Gateway, `dora` of pool `apart` on another
/// Gateway, `eve` without a pool, and `ada` in another namespace.
fn caches() -> Caches {
    let caches = Caches::new(&[None], &[None], "envoy-gateway-system");
    let scope = &caches.scopes[0];
    for pool in [pool_named("default", "shared"), pool_named("other", "shared"), pool_named("apart", "private")] {
        scope.pools.apply(&Event::Apply(pool));
    }
    let units = [("ada", "default"), ("bob", "default"), ("cleo", "other"), ("dora", "apart"), ("eve", "missing")];
    for (name, pool) in units {
        scope.units.apply(&Event::Apply(unit(name, pool)));
    }
    let mut elsewhere = unit("ada", "default");
    elsewhere.metadata.namespace = Some("elsewhere".to_owned());
    scope.units.apply(&Event::Apply(elsewhere));
    caches
}

fn unit(name: &str, pool: &str) -> ComputingUnit {
    let mut unit = testing::unit(name, None, "2026-01-01T00:00:00Z");
    unit.spec.pool_name = pool.to_owned();
    unit
}

fn pool_named(name: &str, gateway: &str) -> ComputingUnitPool {
    let mut pool = testing::pool(query_routing());
    pool.metadata.name = Some(name.to_owned());
    pool.metadata.uid = Some(format!("{name}-uid"));
    pool.metadata.generation = Some(1);
    pool.spec.gateway_ref.name = gateway.to_owned();
    pool
}

fn edited_pool() -> ComputingUnitPool {
    let mut pool = pool_named("default", "shared");
    pool.metadata.generation = Some(2);
    pool
}

fn recreated_pool() -> ComputingUnitPool {
    let mut pool = pool_named("default", "shared");
    pool.metadata.uid = Some("next-uid".to_owned());
    pool
}

/// Namespace and name of the affected units, sorted.
fn names(affected: &[Affected]) -> Vec<String> {
    let name = |unit: &ObjectRef<ComputingUnit>| format!("{}/{}", unit.namespace.as_deref().unwrap_or(""), unit.name);
    let mut names: Vec<_> = resolve(&caches(), affected.iter().cloned().collect()).iter().map(name).collect();
    names.sort();
    names
}

fn child<K: Resource + Default>(name: &str) -> K {
    let mut child = K::default();
    child.meta_mut().name = Some(name.to_owned());
    child.meta_mut().namespace = Some("units".to_owned());
    child
}

#[test]
fn owner_of_a_child_is_affected() {
    let owned = |group: &str, kind: &str| {
        let mut pod: Pod = child("ada");
        let mut owner = owner_reference(&unit("bob", "default"));
        owner.kind = kind.to_owned();
        owner.api_version = format!("{group}/v1alpha1");
        pod.metadata.owner_references = Some(vec![owner]);
        pod
    };
    for (pod, expected) in [
        (owned("texera.apache.org", "ComputingUnit"), vec!["units/bob"]),
        (owned("texera.apache.org", "ComputingUnitPool"), vec![]),
        (owned("example.org", "ComputingUnit"), vec![]),
        (child("ada"), vec![]),
    ] {
        assert_eq!(names(&owner(&pod)), expected, "{:?}", pod.metadata);
    }
}

#[test]
fn unit_of_the_name_of_a_child_is_affected_once() {
    let mut of_ada: Service = child("ada");
    of_ada.metadata.owner_references = Some(vec![owner_reference(&unit("ada", "default"))]);
    let mut of_bob: Service = child("ada");
    of_bob.metadata.owner_references = Some(vec![owner_reference(&unit("bob", "default"))]);
    for (service, expected) in
        [(child("ada"), vec!["units/ada"]), (of_ada, vec!["units/ada"]), (of_bob, vec!["units/ada", "units/bob"])]
    {
        assert_eq!(names(&owner_and_namesake(&service)), expected, "{:?}", service.metadata);
    }
}

#[test]
fn unit_in_the_label_of_a_claim_is_affected() {
    let mut claim: PersistentVolumeClaim = child("data-ada");
    assert_eq!(names(&labelled(&claim)), [""; 0]);
    claim.metadata.labels = Some([(labels::UNIT.to_owned(), "ada".to_owned())].into());
    assert_eq!(names(&labelled(&claim)), ["units/ada"]);
}

#[test]
fn unit_of_the_service_of_a_slice_is_affected() {
    let mut changed: EndpointSlice = child("ada-x1");
    assert_eq!(names(&slice(&changed)), [""; 0]);
    changed.metadata.labels = Some([(labels::SERVICE_NAME.to_owned(), "ada".to_owned())].into());
    assert_eq!(names(&slice(&changed)), ["units/ada"]);
}

#[test]
fn change_of_a_pool_affects_its_units_or_all_of_its_gateway() {
    let own = vec!["units/ada", "units/bob"];
    let shared = vec!["units/ada", "units/bob", "units/cleo"];
    let default = pool_named("default", "shared");
    let mut relabelled = default.clone();
    relabelled.metadata.labels = Some([("team".to_owned(), "blue".to_owned())].into());
    let missing = pool_named("missing", "unknown");
    for (what, before, after, expected) in [
        ("its status or labels changed", Some(&default), Some(&relabelled), vec![]),
        ("it was edited", Some(&default), Some(&edited_pool()), own),
        ("it was created", None, Some(&default), shared.clone()),
        ("it was deleted", Some(&default), None, shared.clone()),
        ("it was recreated", Some(&default), Some(&recreated_pool()), shared),
        ("it was created for a unit that waits", None, Some(&missing), vec!["units/eve"]),
        ("it is of another Gateway", None, Some(&pool_named("apart", "private")), vec!["units/dora"]),
        ("nothing happened", None, None, vec![]),
    ] {
        assert_eq!(names(&pool(before, after)), expected, "{what}");
    }
}

#[test]
fn change_of_a_gateway_affects_its_units_if_routes_or_urls_depend_on_it() {
    let shared = vec!["units/ada", "units/bob", "units/cleo"];
    let before = testing::gateway(&json!([{"name": "http", "port": 80, "protocol": "HTTP"}]));
    let change = |change: &dyn Fn(&mut Gateway)| {
        let mut after = before.clone();
        change(&mut after);
        Some(after)
    };
    let conditions = change(&|gateway| gateway.status.as_mut().unwrap().conditions = None);
    let address = change(&|gateway| gateway.status.as_mut().unwrap().addresses = None);
    let edited = change(&|gateway| gateway.metadata.generation = Some(2));
    let recreated = change(&|gateway| gateway.metadata.uid = Some("next-uid".to_owned()));
    let other = change(&|gateway| gateway.metadata.name = Some("unused".to_owned()));
    for (what, before, after, expected) in [
        ("its conditions changed", Some(&before), conditions, vec![]),
        ("its address changed", Some(&before), address, shared.clone()),
        ("it was edited", Some(&before), edited, shared.clone()),
        ("it was recreated", Some(&before), recreated, shared.clone()),
        ("it was created", None, Some(before.clone()), shared.clone()),
        ("it was deleted", Some(&before), None, shared),
        ("no pool refers to it", None, other, vec![]),
        ("nothing happened", None, None, vec![]),
    ] {
        assert_eq!(names(&gateway(before, after.as_ref())), expected, "{what}");
    }
}

#[test]
fn change_of_a_catalog_affects_the_units_that_name_the_image() {
    let caches = caches();
    let scope = &caches.scopes[0];
    let reference = format!("r@sha256:{}", "0".repeat(64));
    let mut pool = pool_named("default", "shared");
    pool.spec.image_catalog = serde_json::from_value(json!({"configMapName": "images"})).unwrap();
    scope.pools.apply(&Event::Apply(pool));
    for (name, image) in [("ada", "r"), ("bob", "py"), ("fay", reference.as_str())] {
        let mut unit = unit(name, "default");
        unit.spec.image = Some(image.to_owned());
        scope.units.apply(&Event::Apply(unit));
    }
    scope.units.apply(&Event::Apply(unit("gil", "default")));
    let named = |name: &str, data: serde_json::Value| -> ImageCatalog {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "units"}, "data": data})).unwrap()
    };
    let entry = format!("image: {reference}");
    let names = |before: Option<&ImageCatalog>, after: Option<&ImageCatalog>| {
        let affected = catalog(before, after).into_iter().collect();
        let mut names: Vec<_> = resolve(&caches, affected).into_iter().map(|unit| unit.name).collect();
        names.sort();
        names
    };
    let (empty, full) = (named("images", json!({})), named("images", json!({"r": entry})));
    assert_eq!(names(Some(&empty), Some(&full)), ["ada", "fay"], "by name and by reference");
    assert_eq!(names(Some(&full), Some(&full)), [""; 0]);
    assert_eq!(names(Some(&full), Some(&named("images", json!({"r": entry, "other": "{}"})))), [""; 0]);
    assert_eq!(names(None, Some(&empty)), ["ada", "bob", "fay"], "the sentence depends on whether it exists");
    assert_eq!(names(Some(&named("others", json!({"r": entry}))), Some(&named("others", json!({})))), [""; 0]);
}

#[test]
fn change_of_a_class_affects_all_units_with_a_pool() {
    let all = vec!["units/ada", "units/bob", "units/cleo", "units/dora"];
    let before = testing::class("True");
    let mut edited = before.clone();
    edited.metadata.generation = Some(2);
    for (what, before, after, expected) in [
        ("its status changed", Some(&before), Some(testing::class("False")), vec![]),
        ("a controller has taken it up", Some(&testing::class("Unknown")), Some(before.clone()), all.clone()),
        ("it was edited", Some(&before), Some(edited), all.clone()),
        ("it was created", None, Some(before.clone()), all.clone()),
        ("it was deleted", Some(&before), None, all),
    ] {
        assert_eq!(names(&class(before, after.as_ref())), expected, "{what}");
    }
}
