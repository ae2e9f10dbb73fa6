//! A unit whose image is in the catalog of its pool.

use computing_unit_api::{ComputingUnitPool, ConditionType};
use kube::{core::Status, runtime::watcher::Event};
use serde_json::{Value, json};

use super::{
    call::{Answer, PODS, create, event, status},
    scenario::Scenario,
    starts::is_open,
};
use crate::testing;

const DIGEST: &str = "r@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A pool with that list of images, and with a catalog.
fn pool(generation: i64, images: Value) -> ComputingUnitPool {
    let mut pool = testing::pool(testing::query_routing());
    pool.metadata.generation = Some(generation);
    pool.spec.images = serde_json::from_value(images).unwrap();
    pool.spec.image_catalog = serde_json::from_value(json!({"configMapName": "images"})).unwrap();
    pool
}

/// The watch reports the catalog with that entry for `r`.
fn catalog(scenario: &Scenario, version: u32, entry: Option<Value>) {
    let data = entry.map_or_else(|| json!({}), |entry| json!({"r": entry.to_string()}));
    let metadata = json!({"name": "images", "namespace": "units", "resourceVersion": version.to_string()});
    let catalog = serde_json::from_value(json!({"metadata": metadata, "data": data})).unwrap();
    scenario.context.caches.scopes[0].catalogs.apply(&Event::Apply(catalog));
}

fn restricted() -> Value {
    json!({"image": DIGEST, "securityContext": {"runAsUser": 7, "capabilities": {"drop": ["ALL"]}}})
}

#[tokio::test(start_paused = true)]
async fn pod_has_the_image_and_its_restrictions() {
    let mut scenario = Scenario::of_pool(|own| *own = pool(1, json!([])));
    catalog(&scenario, 1, Some(restricted()));
    scenario.edit(|unit| unit["spec"]["image"] = json!("r"));
    scenario.reconcile().await.unwrap();
    let container = scenario.server.get(PODS, "ada").unwrap()["spec"]["containers"][0].clone();
    assert_eq!(container["image"], DIGEST);
    assert_eq!(container["securityContext"], json!({"runAsUser": 7, "capabilities": {"drop": ["ALL"]}}));
}

#[tokio::test(start_paused = true)]
async fn image_that_leaves_the_catalog_is_like_one_that_leaves_the_pool() {
    let own = json!([{"name": "r", "image": DIGEST}]);
    for by_catalog in [false, true] {
        let images = if by_catalog { json!([]) } else { own.clone() };
        let mut scenario = Scenario::of_pool(|own| *own = pool(1, images));
        catalog(&scenario, 1, by_catalog.then(|| json!({"image": DIGEST})));
        scenario.edit(|unit| unit["spec"]["image"] = json!("r"));
        scenario.reconcile().await.unwrap();
        scenario.watch();
        scenario.finish_start().await;
        if by_catalog {
            catalog(&scenario, 2, None);
        } else {
            scenario.pool(pool(2, json!([])));
        }
        scenario.expect([status("NotReady"), event("ImageNotOffered"), event("NotReady")]).await.unwrap();
        scenario.watch();
        let accepted = scenario.condition(ConditionType::Accepted).unwrap();
        assert_eq!((accepted.status.as_str(), accepted.reason.as_str()), ("False", "ImageNotOffered"), "{by_catalog}");
        assert!(is_open(&scenario) && scenario.server.get(PODS, "ada").is_some(), "{by_catalog}: it goes on running");
        scenario.expect([]).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn changed_image_is_used_from_the_next_start_on() {
    let mut scenario = Scenario::of_pool(|own| *own = pool(1, json!([])));
    catalog(&scenario, 1, Some(json!({"image": DIGEST})));
    scenario.edit(|unit| unit["spec"]["image"] = json!("r"));
    scenario.reconcile().await.unwrap();
    scenario.watch();
    scenario.finish_start().await;
    catalog(&scenario, 2, Some(restricted()));
    scenario.reconcile().await.unwrap();
    tokio::time::advance(crate::controllers::unit::context::STATUS_DELAY).await;
    scenario.reconcile().await.unwrap();
    assert_eq!(scenario.condition(ConditionType::UpdatePending).unwrap().reason, "TemplateChanged");
}

#[tokio::test(start_paused = true)]
async fn pod_that_was_rejected_is_tried_again_when_the_catalog_changes() {
    let mut scenario = Scenario::of_pool(|own| *own = pool(1, json!([])));
    catalog(&scenario, 1, Some(json!({"image": DIGEST})));
    scenario.edit(|unit| unit["spec"]["image"] = json!("r"));
    let refusal = Status::failure("violates PodSecurity \"restricted\"", "Forbidden").with_code(403);
    scenario.server.fault(create(PODS).answered(Answer::Fails(Box::new(refusal))));
    scenario.reconcile().await.unwrap();
    scenario.watch();
    scenario.expect([]).await.unwrap();
    scenario.server.no_faults();
    scenario.expect([]).await.unwrap();
    catalog(&scenario, 2, Some(restricted()));
    scenario.reconcile().await.unwrap();
    assert!(scenario.server.get(PODS, "ada").is_some(), "at once");
}
