//! What every proxy was seen to answer is verified again when the request of the probe, or the way to it, has changed.

use computing_unit_api::{ConditionType, VerifiedProbe, gateway::Gateway};
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::{
    call::{event, status},
    scenario::{Scenario, waits_for_a_change},
};
use crate::{controllers::unit::context::STATUS_DELAY, probe::Goal};

type Change = fn(&mut Scenario);

/// Changes the Gateway of the units.
fn edit_gateway(scenario: &mut Scenario, change: impl FnOnce(&mut Value)) {
    let gateways = &scenario.context.caches.gateways[0].gateways;
    let mut gateway = json!(*gateways.get("gateways", "shared").unwrap());
    change(&mut gateway);
    gateways.apply(&Event::Apply(serde_json::from_value::<Gateway>(gateway).unwrap()));
}

/// Changes `spec.probe` of the pool.
fn edit_probe(scenario: &mut Scenario, field: &str, value: &str) {
    let pool = scenario.context.caches.pools().next().unwrap();
    let mut pool = json!(*pool);
    pool["spec"]["probe"][field] = json!(value);
    scenario.pool(serde_json::from_value(pool).unwrap());
}

#[tokio::test(start_paused = true)]
async fn route_is_verified_again_when_what_was_probed_has_changed() {
    let changes: [(&str, Change); 4] = [
        ("the Gateway is recreated", |scenario| {
            edit_gateway(scenario, |gateway| gateway["metadata"]["uid"] = json!("recreated-uid"));
        }),
        ("the listener is moved", |scenario| {
            edit_gateway(scenario, |gateway| {
                gateway["spec"]["listeners"][0]["port"] = json!(8080);
                gateway["metadata"]["generation"] = json!(2);
            });
        }),
        ("the path of the probe", |scenario| edit_probe(scenario, "path", "/wsapi/health")),
        ("the method of the probe", |scenario| edit_probe(scenario, "method", "GET")),
    ];
    for (what, change) in changes {
        let mut scenario = Scenario::ready().await;
        change(&mut scenario);
        scenario.expect([]).await.unwrap();
        let report = scenario.context.prober.report("ada-uid").expect(what);
        assert_eq!(report.goal, Goal::Open, "{what}");
        tokio::time::advance(STATUS_DELAY).await;
        // With the new port in its URL, where the listener is moved.
        scenario.reconcile().await.unwrap();
        let reachable = scenario.condition(ConditionType::Reachable).unwrap();
        assert_eq!((&*reachable.status, &*reachable.reason), ("False", "Probing"), "{what}");
        scenario.watch();
        scenario.proxies_confirm();
        scenario.expect([status("Ready"), event("Ready")]).await.unwrap();
        scenario.watch();
        let action = scenario.expect([]).await.unwrap();
        assert!(waits_for_a_change(&action), "{what}: {action:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn verified_route_survives_a_restart_and_the_deletion_of_the_pool() {
    let mut scenario = Scenario::of_pool(|pool| pool.spec.probe.path = Some("/wsapi/health".to_owned()));
    scenario.reconcile().await.unwrap();
    scenario.finish_start().await;
    let verified = scenario.unit().status.unwrap().verified_route.unwrap();
    let probe = VerifiedProbe { path: Some("/wsapi/health".to_owned()), ..VerifiedProbe::default() };
    assert_eq!(verified.probe, Some(probe));
    scenario.context.prober.stop("ada-uid");
    let action = scenario.expect([]).await.unwrap();
    assert!(waits_for_a_change(&action), "{action:?}");
    let pool = scenario.context.caches.pools().next().unwrap();
    scenario.context.caches.scopes[0].pools.apply(&Event::Delete(pool.as_ref().clone()));
    scenario.reconcile().await.unwrap();
    assert_eq!(scenario.condition(ConditionType::Reachable).unwrap().status, "True");
    assert_eq!(scenario.unit().status.unwrap().verified_route, Some(verified));
}
