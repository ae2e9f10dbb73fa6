//! What comes of each error of the API server in each write to a child.

use computing_unit_api::{
    Reason::{ChildRefused, Forbidden, GatewayApiMissing, ResizeRefused},
    VolumeClaimTemplate,
};
use serde_json::{Value, json};

use super::{
    call::{Call, PODS, PVCS, ROUTES, SERVICES, create, delete, patch, resize},
    outcomes::{
        FAILURES, Failure,
        Result::{self, Blocks, Done, Reports, Retries},
        check,
    },
    scenario::Scenario,
};
use crate::{
    controllers::unit::blocked::Write,
    metrics::Outcome::{self, Conflict, Other, Throttled, Timeout, Unavailable},
};

const BUSY: Result = Retries(Throttled);
const SLOW: Result = Reports(Timeout);
const DOWN: Result = Retries(Unavailable);
const RACE: Result = Retries(Conflict);

/// One row: a step, its write, its request, and what comes of each failure.
type Row = (&'static str, Option<Write>, Call, [Result; 9]);

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    // What comes of 403, 404, 409, 410, 422, 429 and 500, of no response and of no connection.
    let created = |missing| [
        Blocks(Forbidden), missing, RACE, Reports(Other), Blocks(ChildRefused), BUSY, Reports(Unavailable), SLOW, DOWN,
    ];
    let resized = [
        Blocks(ResizeRefused), Done, RACE, Reports(Other), Blocks(ResizeRefused), BUSY, Reports(Unavailable), SLOW, DOWN,
    ];
    let deleted = [
        Reports(Outcome::Forbidden), Done, Done, Reports(Other), Reports(Outcome::Invalid), BUSY, Reports(Unavailable), SLOW,
        DOWN,
    ];
    let replaced = created(Done);
    vec![
        ("create the Service", Some(Write::Service), create(SERVICES), created(Reports(Other))),
        ("create the pod", Some(Write::Pod), create(PODS), created(Reports(Other))),
        ("create a PVC", Some(Write::PersistentVolumeClaim), create(PVCS), created(Reports(Other))),
        ("create the route", Some(Write::HTTPRoute), create(ROUTES), created(Blocks(GatewayApiMissing))),
        ("repair the Service", Some(Write::Service), patch(SERVICES), replaced),
        ("repair the pod", Some(Write::Pod), patch(PODS), replaced),
        ("repair the route", Some(Write::HTTPRoute), patch(ROUTES), replaced),
        ("resize the pod", Some(Write::Resize), resize(), resized),
        ("delete the route", Some(Write::HTTPRoute), delete(ROUTES), deleted),
        ("delete the pod", Some(Write::Pod), delete(PODS), deleted),
    ]
}

/// A unit whose next reconcile takes that step.
async fn before(step: &str) -> Scenario {
    match step {
        "create the Service" | "create the pod" => Scenario::new(),
        "create a PVC" => Scenario::of_pool(|pool| {
            let template = json!({"metadata": {"name": "data"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
            }});
            let template: VolumeClaimTemplate = serde_json::from_value(template).unwrap();
            pool.spec.volume_claim_templates = vec![template];
        }),
        "create the route" => {
            let mut scenario = Scenario::new();
            scenario.reconcile().await.unwrap();
            scenario.pod_ready();
            scenario
        }
        "repair the Service" => edited(SERVICES, |service| service["spec"]["selector"] = json!({"app": "other"})).await,
        "repair the pod" => {
            edited(PODS, |pod| pod["metadata"]["labels"]["texera.apache.org/unit"] = json!("bob")).await
        }
        "repair the route" => edited(ROUTES, |route| route["spec"]["hostnames"] = json!(["a.example.org"])).await,
        "resize the pod" => {
            let mut scenario = Scenario::new();
            let cpu = |unit: &mut Value, amount| unit["spec"]["resources"] = json!({"limits": {"cpu": amount}});
            scenario.edit(|unit| cpu(unit, "1"));
            scenario.reconcile().await.unwrap();
            scenario.finish_start().await;
            scenario.edit(|unit| cpu(unit, "2"));
            scenario
        }
        "delete the route" => withdrawn().await,
        "delete the pod" => {
            let mut scenario = withdrawn().await;
            scenario.reconcile().await.unwrap();
            scenario.watch();
            scenario
        }
        _ => unreachable!("{step}"),
    }
}

/// A unit that is Ready, with a child that somebody has edited.
async fn edited(collection: &str, change: impl FnOnce(&mut Value)) -> Scenario {
    let mut scenario = Scenario::ready().await;
    scenario.server.edit(collection, change);
    scenario.watch();
    scenario
}

/// A unit that is being suspended, and whose route is withdrawn.
async fn withdrawn() -> Scenario {
    let mut scenario = Scenario::ready().await;
    scenario.edit(|unit| unit["spec"]["operatingMode"] = json!("Suspended"));
    scenario.reconcile().await.unwrap();
    scenario.watch();
    scenario.proxies_confirm();
    scenario
}

#[tokio::test(start_paused = true)]
async fn child_write_that_fails_is_blocked_retried_or_done() {
    for (step, write, call, results) in rows() {
        for (failure, result) in FAILURES.into_iter().zip(results) {
            let mut scenario = before(step).await;
            if failure == Failure::Code(404) && !step.starts_with("create") {
                // The watch event of the deletion is on its way.
                remove_child(&scenario, step);
            } else {
                scenario.server.fault(call.clone().answered(failure.answer()));
            }
            check(step, &mut scenario, call.clone(), write, failure, result).await;
        }
    }
}

/// Removes the object that the step is about.
fn remove_child(scenario: &Scenario, step: &str) {
    let all = [("Service", SERVICES), ("pod", PODS), ("route", ROUTES)];
    let (_, collection) = all.iter().find(|(kind, _)| step.ends_with(kind)).unwrap();
    scenario.server.remove(collection, "ada");
}
