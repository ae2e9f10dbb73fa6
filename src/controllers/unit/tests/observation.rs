//! What a snapshot is taken from.

use std::sync::Arc;

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{ResourceExt, runtime::watcher::Event};
use serde_json::{Value, json};

use super::{
    api_server::now,
    call::{PODS, PVCS, ROUTES, SERVICES, UNITS},
    scenario::Scenario,
};
use crate::{
    controllers::unit::{
        observe::observe,
        snapshot::{Child, Snapshot},
    },
    k8s::endpoints::Endpoint,
};

fn snapshot(scenario: &Scenario) -> Option<Snapshot> {
    observe(&scenario.unit(), &scenario.context, false, Timestamp::now())
}

fn word<K>(child: &Child<K>) -> &'static str {
    match child {
        Child::Absent => "absent",
        Child::Owned(_) => "owned",
        Child::Terminating => "terminating",
    }
}

fn versioned(pod: &Value, version: &str) -> Pod {
    let mut pod = pod.clone();
    pod["metadata"]["resourceVersion"] = json!(version);
    serde_json::from_value(pod).unwrap()
}

type Change = Box<dyn Fn(&mut Value)>;

#[tokio::test(start_paused = true)]
async fn newer_of_cache_and_overlay_is_observed() {
    let scenario = Scenario::ready().await;
    let pod = scenario.server.get(PODS, "ada").unwrap();
    let cached = pod["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    for (recorded, expected, unconfirmed) in
        [("1", &*cached, false), (&*cached, &*cached, false), ("1000", "1000", true)]
    {
        scenario.context.overlays.pods.put(Arc::new(versioned(&pod, recorded)));
        let snapshot = snapshot(&scenario).unwrap();
        let version = snapshot.pod.owned().and_then(ResourceExt::resource_version);
        assert_eq!((version.as_deref(), snapshot.unconfirmed), (Some(expected), unconfirmed), "{recorded}");
    }
}

#[tokio::test(start_paused = true)]
async fn object_that_the_api_server_reports_as_missing_is_absent() {
    let scenario = Scenario::ready().await;
    let pod = versioned(&scenario.server.get(PODS, "ada").unwrap(), "1");
    scenario.context.overlays.pods.gone(&pod);
    let observed = snapshot(&scenario).unwrap();
    assert_eq!((word(&observed.pod), observed.unconfirmed), ("absent", true));
    scenario.context.overlays.units.gone(&scenario.unit());
    assert!(snapshot(&scenario).is_none());
}

#[tokio::test(start_paused = true)]
async fn child_is_observed_by_its_owner() {
    let owner = |uid: Option<&'static str>| {
        move |object: &mut Value| match uid {
            Some(uid) => object["metadata"]["ownerReferences"][0]["uid"] = json!(uid),
            None => object["metadata"]["ownerReferences"] = json!(null),
        }
    };
    let deleted = |object: &mut Value| object["metadata"]["deletionTimestamp"] = json!(now());
    let changes: [(&str, Change, &str); 5] = [
        ("its own", Box::new(|_| {}), "owned"),
        ("its own, being deleted", Box::new(deleted), "terminating"),
        ("of an earlier unit of its name", Box::new(owner(Some("earlier-uid"))), "terminating"),
        ("of nobody", Box::new(owner(None)), "absent"),
        (
            "of another unit",
            Box::new(|object| {
                object["metadata"]["ownerReferences"][0]["uid"] = json!("bob-uid");
                object["metadata"]["ownerReferences"][0]["name"] = json!("bob");
            }),
            "absent",
        ),
    ];
    for (what, change, expected) in changes {
        let mut scenario = Scenario::ready().await;
        for collection in [PODS, SERVICES, ROUTES] {
            scenario.server.edit(collection, &change);
        }
        scenario.watch();
        let snapshot = snapshot(&scenario).unwrap();
        let words = [word(&snapshot.pod), word(&snapshot.service), word(&snapshot.route)];
        assert_eq!(words, [expected; 3], "{what}");
        assert_eq!(snapshot.terminating_pod.is_some(), what.contains("deleted"), "{what}");
        assert_eq!(snapshot.endpoint == Endpoint::Ready, expected == "owned", "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn unit_of_the_same_name_with_another_uid_is_not_observed() {
    let mut scenario = Scenario::ready().await;
    let mut earlier = scenario.unit();
    earlier.metadata.uid = Some("earlier-uid".to_owned());
    assert!(observe(&earlier, &scenario.context, false, Timestamp::now()).is_none());
    scenario.server.remove(UNITS, "ada");
    let unit = scenario.unit_in_cache();
    scenario.watch();
    assert!(observe(&unit, &scenario.context, false, Timestamp::now()).is_none(), "deleted");
}

#[tokio::test(start_paused = true)]
async fn unit_is_observed_as_of_its_last_write() {
    let scenario = Scenario::new();
    let stale = scenario.unit();
    scenario.reconcile().await.unwrap();
    let snapshot = observe(&stale, &scenario.context, false, Timestamp::now()).unwrap();
    assert!(snapshot.has_finalizer() && snapshot.unit.status.is_some() && snapshot.unconfirmed);
}

#[tokio::test(start_paused = true)]
async fn gateway_is_that_of_the_route_before_that_of_the_pool() {
    let mut scenario = Scenario::ready().await;
    let gateway = |scenario: &Scenario| snapshot(scenario).unwrap().gateway.map(|binding| binding.gateway.name);
    assert_eq!(gateway(&scenario).as_deref(), Some("shared"));
    scenario.server.edit(ROUTES, |route| route["spec"]["parentRefs"][0]["name"] = json!("earlier"));
    scenario.watch();
    let pool = scenario.context.caches.pools().next().unwrap();
    scenario.context.caches.scopes[0].pools.apply(&Event::Delete(pool.as_ref().clone()));
    assert!(snapshot(&scenario).unwrap().pool.is_none());
    assert_eq!(gateway(&scenario).as_deref(), Some("earlier"));
    scenario.server.remove(ROUTES, "ada");
    scenario.watch();
    assert_eq!(gateway(&scenario), None);
}

#[tokio::test(start_paused = true)]
async fn volumes_are_observed_by_the_templates_of_the_pool() {
    let mut scenario = Scenario::of_pool(|pool| {
        let template = json!({"metadata": {"name": "data"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
        }});
        pool.spec.volume_claim_templates = vec![serde_json::from_value(template).unwrap()];
    });
    let words = |scenario: &Scenario| {
        let pvcs = snapshot(scenario).unwrap().pvcs;
        pvcs.iter().map(|(name, child)| (name.clone(), word(child))).collect::<Vec<_>>()
    };
    let name = words(&scenario)[0].0.clone();
    assert_eq!(words(&scenario), [(name.clone(), "absent")]);
    scenario.reconcile().await.unwrap();
    assert_eq!(words(&scenario), [(name.clone(), "owned")]);
    scenario.watch();
    let claim = scenario.server.get(PVCS, &name).unwrap();
    scenario
        .server
        .put(PVCS, json!({"metadata": {"name": name, "namespace": "units", "uid": "x"}, "spec": claim["spec"]}));
    scenario.watch();
    assert_eq!(words(&scenario), [(name, "absent")], "of somebody else");
}
