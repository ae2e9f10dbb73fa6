//! A unit is changed while it runs: CPU and memory in place, everything else with the next pod.

use std::time::Duration;

use computing_unit_api::{ComputingUnit, Phase, gateway::is_guarded};
use e2e::{
    faults::{LastWrite, Verb},
    fixture::{Fixture, SOON},
    killer::Killer,
    units::{self, Mode, condition},
    wait::until,
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::with_fixture;

const QUIET: Duration = Duration::from_secs(12);

async fn start(fixture: &Fixture, spec: Value) -> anyhow::Result<Pod> {
    fixture.create_default_pool(Mode::Query).await?;
    fixture.create(&units::with(&fixture.unit("ada"), &json!({"spec": spec}))).await?;
    fixture.until("ada", Phase::Ready).await?;
    Ok(fixture.pods().get("ada").await?)
}

/// The allocated resources and the restart count of the engine.
fn given(pod: &Pod) -> (Value, i32) {
    let status = &pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0];
    (json!(status.resources), status.restart_count)
}

async fn until_it_does_not_say(fixture: &Fixture, type_: &str) -> anyhow::Result<()> {
    let silent = |unit: Option<&ComputingUnit>| condition(unit, type_, "True").is_none();
    until(&format!("end of {type_}"), SOON, fixture.units(), "ada", silent).await.map(drop)
}

fn env(pod: &Pod) -> Option<String> {
    let all = pod.spec.as_ref()?.containers[0].env.as_ref()?;
    all.iter().find(|variable| variable.name == "COLOUR")?.value.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn cpu_and_memory_are_resized_in_place() -> anyhow::Result<()> {
    with_fixture("resize", |fixture| async move {
        let _operator = fixture.start().await?;
        let asks = |cpu: &str, memory: &str| {
            json!({"resources": {"limits": {"memory": memory}, "requests": {"cpu": cpu, "memory": "16Mi"}}})
        };
        let before = start(&fixture, asks("5m", "64Mi")).await?;
        let calls = fixture.proxy.quiet(QUIET, SOON).await?;
        fixture.edit("ada", asks("7m", "96Mi")).await?;
        let wanted = json!({"limits": {"memory": "96Mi"}, "requests": {"cpu": "7m", "memory": "16Mi"}});
        let so = |pod: Option<&Pod>| pod.is_some_and(|pod| given(pod) == (wanted.clone(), 0));
        let after = until("new amounts", SOON, fixture.pods(), "ada", so).await?.unwrap();
        assert_eq!(after.uid(), before.uid());
        until_it_does_not_say(&fixture, "ResizePending").await?;
        assert!(condition(Some(&fixture.units().get("ada").await?), "UpdatePending", "True").is_none());
        assert_eq!(units::phase(Some(&fixture.units().get("ada").await?)), Some(Phase::Ready));
        let quiet = fixture.proxy.quiet(QUIET, SOON).await?;
        let resizes = quiet.since(&calls).only(|call| call.subresource == "resize");
        assert_eq!(resizes.total(), 1, "{}", fixture.proxy.describe(&calls));
        fixture.proxy.quiet(QUIET, SOON).await?;
        assert_eq!(fixture.proxy.counts().since(&quiet).writes(), 0, "{}", fixture.proxy.describe(&quiet));
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cannot_be_made_in_place_waits_for_the_next_start() -> anyhow::Result<()> {
    with_fixture("refused", |fixture| async move {
        let _operator = fixture.start().await?;
        let asks = |limit: &str| {
            let amounts = |cpu: &str| json!({"cpu": cpu, "memory": "64Mi"});
            json!({"resources": {"limits": amounts(limit), "requests": amounts("50m")}})
        };
        let before = start(&fixture, asks("50m")).await?;
        // Another quality of service.
        fixture.edit("ada", asks("100m")).await?;
        let words = fixture.until_condition("ada", "UpdatePending", "True", "ResizeRefused").await?;
        assert!(words.contains("QOS"), "{words}");
        assert_eq!(fixture.pods().get("ada").await?.uid(), before.uid());
        // A limit that the pod does not have.
        fixture.edit("ada", json!({"resources": null})).await?;
        fixture.until_condition("ada", "UpdatePending", "True", "TemplateChanged").await?;
        for (mode, phase) in [("Suspended", Phase::Suspended), ("Running", Phase::Ready)] {
            fixture.edit("ada", json!({"operatingMode": mode})).await?;
            fixture.until("ada", phase).await?;
        }
        assert!(condition(Some(&fixture.units().get("ada").await?), "UpdatePending", "True").is_none());
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_change_waits_for_the_next_start_or_recreates_the_pod() -> anyhow::Result<()> {
    with_fixture("recreate", |fixture| async move {
        let _operator = fixture.start().await?;
        let first = start(&fixture, json!({})).await?;
        let colour = |colour: &str| json!({"env": [{"name": "COLOUR", "value": colour}]});
        fixture.edit("ada", colour("red")).await?;
        fixture.until_condition("ada", "UpdatePending", "True", "TemplateChanged").await?;
        assert_eq!(fixture.pods().get("ada").await?.uid(), first.uid(), "running work is not interrupted");

        let route = fixture.routes().get("ada").await?;
        let service = fixture.services().get("ada").await?;
        let unit = fixture.unit("ada");
        let load = fixture.load(Mode::Query, &unit).await?.connections(8).start()?;
        let mut last = first;
        for change_to in [json!({"updateStrategy": "Recreate"}), colour("blue"), colour("green")] {
            load.answer_more(500, SOON).await?;
            fixture.edit("ada", change_to).await?;
            let uid = last.uid();
            let new = |pod: Option<&Pod>| pod.is_some_and(|pod| pod.uid() != uid);
            last = until("new pod", SOON, fixture.pods(), "ada", new).await?.unwrap();
            fixture.until("ada", Phase::Ready).await?;
            load.answer_more(500, SOON).await?;
        }
        assert_eq!(env(&last).as_deref(), Some("green"));
        load.stop().await?.assert_all_of(&[200, 404])?;
        assert_eq!(fixture.routes().get("ada").await?.uid(), route.uid());
        assert_eq!(fixture.services().get("ada").await?.uid(), service.uid());
        let unit = fixture.units().get("ada").await?;
        for type_ in ["UpdatePending", "Replacing", "ResizePending"] {
            assert_eq!(condition(Some(&unit), type_, "True"), None);
        }
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_survives_an_operator_crash_at_any_write() -> anyhow::Result<()> {
    with_fixture("rekilled", |fixture| async move {
        let mut killer = Killer::start(&fixture).await?;
        start(&fixture, json!({"updateStrategy": "Recreate"})).await?;
        let load = fixture.load(Mode::Query, &fixture.unit("ada")).await?.connections(4).rate(200.0).start()?;
        let round = async |killer: &mut Killer| {
            let colour = killer.place();
            let new = |pod: Option<&Pod>| pod.is_some_and(|pod| env(pod).as_ref() == Some(&colour));
            let done = async || {
                until("new pod", SOON, fixture.pods(), "ada", new).await?;
                fixture.until("ada", Phase::Ready).await.map(drop)
            };
            killer.during(fixture.edit("ada", json!({"env": [{"name": "COLOUR", "value": colour}]})), done).await?;
            assert!(!is_guarded(&fixture.routes().get("ada").await?));
            Ok(())
        };
        let kills = killer.at_each_write(&[LastWrite::Refused, LastWrite::Unanswered], 6, round).await?;
        assert!(kills >= 8, "{kills} kills");
        load.stop().await?.assert_all_of(&[200, 404])?;
        let deletions = fixture.proxy.counts().only(|call| call.verb == Verb::Delete && call.resource == "pods");
        assert!(deletions.total() >= 12, "each change takes a pod");
        fixture.delete("ada").await
    })
    .await
}
