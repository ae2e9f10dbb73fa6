//! Units of a namespace that cannot be listed.

use serde_json::json;
use tokio::time::advance;

use super::{
    api_server::now,
    call::{UNITS, event, finalizers},
    scenario::{Scenario, waits_for_a_change},
};
use crate::{controllers::unit::context::UnitContext, k8s::caches::GRACE};

fn unlist(context: &UnitContext) {
    context.caches.scopes[0].synced.send_replace(false);
}

#[tokio::test(start_paused = true)]
async fn unit_is_left_alone_until_its_namespace_is_listed() {
    let scenario = Scenario::new();
    unlist(&scenario.context);
    assert!(waits_for_a_change(&scenario.expect([]).await.unwrap()));
    let scenario = Scenario::new();
    scenario.context.caches.gateways[0].synced.send_replace(false);
    assert!(waits_for_a_change(&scenario.expect([]).await.unwrap()), "the Gateway's namespace");
}

#[tokio::test(start_paused = true)]
async fn deleted_unit_loses_its_finalizer_at_the_deadline_even_if_its_namespace_cannot_be_listed() {
    let mut scenario = Scenario::ready().await;
    unlist(&scenario.context);
    scenario.edit(|unit| unit["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
    let action = scenario.expect([]).await.unwrap();
    assert!(!waits_for_a_change(&action), "the operator may have just started: {action:?}");
    advance(GRACE).await;
    scenario.expect([finalizers(&[]), event("DrainTimedOut")]).await.unwrap();
    assert_eq!(scenario.server.get(UNITS, "ada"), None);
}

#[tokio::test(start_paused = true)]
async fn deleted_unit_whose_namespace_cannot_be_listed_has_the_time_of_a_withdrawal() {
    let mut scenario = Scenario::ready().await;
    unlist(&scenario.context);
    advance(GRACE).await;
    scenario.edit(|unit| unit["metadata"]["deletionTimestamp"] = json!(now()));
    let action = scenario.expect([]).await.unwrap();
    assert!(!waits_for_a_change(&action), "{action:?}");
}
