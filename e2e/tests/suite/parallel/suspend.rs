//! A unit is suspended and resumed without a failed request, and reaches the last operating mode.

use computing_unit_api::{ComputingUnit, Phase};
use e2e::{
    faults::LastWrite,
    fixture::{Fixture, SOON},
    killer::Killer,
    traffic::{Reuse, first_success},
    units::{self, Mode},
    wait::until,
};
use k8s_openapi::api::{core::v1::Pod, events::v1::Event};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::json;

use super::with_fixture;

async fn at_rest(fixture: &Fixture, name: &str) -> anyhow::Result<ComputingUnit> {
    let unit = fixture.until(name, Phase::Suspended).await?;
    anyhow::ensure!(fixture.pods().get_opt(name).await?.is_none(), "its pod is gone");
    anyhow::ensure!(fixture.routes().get_opt(name).await?.is_none(), "its route is gone");
    Ok(unit)
}

/// How often an Event was published. Events of the same reason are one object, with a count.
async fn published(fixture: &Fixture, reason: &str) -> anyhow::Result<i32> {
    let events = Api::<Event>::namespaced(fixture.cluster.client(), &fixture.namespace);
    let events = events.list(&ListParams::default().fields(&format!("reason={reason}"))).await?;
    Ok(events.iter().map(|event| event.series.as_ref().map_or(1, |series| series.count)).sum())
}

async fn under_load(mode: Mode, name: &str) -> anyhow::Result<()> {
    with_fixture(name, |fixture| async move {
        fixture.create_default_pool(mode).await?;
        let operator = fixture.start().await?;
        let unit = fixture.unit("ada");
        fixture.create(&unit).await?;
        let ready = fixture.until("ada", Phase::Ready).await?;
        let service = fixture.services().get("ada").await?;
        let proxies = fixture.cluster.proxies().await?;
        let load = fixture.load(mode, &unit).await?.connections(8).start()?;
        for _ in 0..3 {
            load.answer_more(500, SOON).await?;
            fixture.set_mode("ada", "Suspended").await?;
            let suspended = at_rest(&fixture, "ada").await?;
            assert_eq!(ready.status.as_ref().unwrap().url, suspended.status.unwrap().url, "it keeps its URL");
            assert_eq!(service.uid(), fixture.services().get("ada").await?.uid(), "and its Service");
            load.answer_more(500, SOON).await?;
            fixture.set_mode("ada", "Running").await?;
            fixture.until("ada", Phase::Ready).await?;
            first_success(proxies[0], &units::target(mode, &unit)?, Reuse::Fresh, SOON).await?;
        }
        load.answer_more(500, SOON).await?;
        load.stop().await?.assert_all_of(&[200, 404])?;
        assert!(operator.closed_routes_seen().await? >= 9, "three probes for each suspension");
        for reason in ["Suspending", "Suspended"] {
            assert_eq!(published(&fixture, reason).await?, 3, "one Event {reason} for each suspension");
        }
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_in_query_mode() -> anyhow::Result<()> {
    under_load(Mode::Query, "query").await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_in_host_mode() -> anyhow::Result<()> {
    under_load(Mode::Host, "host").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_takes_six_writes_and_a_start_five() -> anyhow::Result<()> {
    with_fixture("costs", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        fixture.until("ada", Phase::Ready).await?;
        let quiet = std::time::Duration::from_secs(3);
        let cost =
            |before| fixture.proxy.counts().since(before).only(|call| call.resource != "computingunitpools").writes();
        let before = fixture.proxy.quiet(quiet, SOON).await?;
        fixture.set_mode("ada", "Suspended").await?;
        at_rest(&fixture, "ada").await?;
        let suspending = cost(&before);
        // Status, route closed, route deleted, pod deleted, status; a pod that takes its time to stop costs one more.
        assert!(suspending <= 6, "{suspending} writes to suspend\n{}", fixture.proxy.describe(&before));
        let before = fixture.proxy.quiet(quiet, SOON).await?;
        fixture.set_mode("ada", "Running").await?;
        fixture.until("ada", Phase::Ready).await?;
        let resuming = cost(&before);
        // Pod, route guarded, route open, two of status.
        assert!(resuming <= 5, "{resuming} writes to resume\n{}", fixture.proxy.describe(&before));
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_created_suspended_has_no_pod_until_it_is_resumed() -> anyhow::Result<()> {
    with_fixture("made", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        let suspended = json!({"spec": {"operatingMode": "Suspended"}});
        fixture.create(&units::with(&fixture.unit("ada"), &suspended)).await?;
        at_rest(&fixture, "ada").await?;
        fixture.set_mode("ada", "Running").await?;
        fixture.until("ada", Phase::Ready).await?;
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_suspended_resumed_and_deleted_at_any_stage() -> anyhow::Result<()> {
    with_fixture("whenever", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        // During a start, at several points of it.
        let pod_is_there = |pod: Option<&Pod>| pod.is_some();
        for name in ["early", "later"] {
            fixture.create(&fixture.unit(name)).await?;
            if name == "later" {
                until("pod", SOON, fixture.pods(), name, pod_is_there).await?;
            }
            fixture.set_mode(name, "Suspended").await?;
            at_rest(&fixture, name).await?;
        }
        // Resumed during a suspension.
        fixture.set_mode("early", "Running").await?;
        fixture.until("early", Phase::Ready).await?;
        fixture.set_mode("early", "Suspended").await?;
        fixture.until("early", Phase::Suspending).await?;
        fixture.set_mode("early", "Running").await?;
        fixture.until("early", Phase::Ready).await?;
        // Deleted during either.
        fixture.set_mode("early", "Suspended").await?;
        fixture.units().delete("early", &DeleteParams::default()).await?;
        fixture.set_mode("later", "Running").await?;
        fixture.units().delete("later", &DeleteParams::default()).await?;
        for name in ["early", "later"] {
            fixture.until_nothing_is_left(name).await?;
        }
        Ok(())
    })
    .await
}

/// A pseudo-random sequence that is the same in each run.
fn flips(count: usize) -> impl Iterator<Item = bool> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state & 1 == 0
    })
    .take(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_reaches_its_last_operating_mode_after_fifty_changes() -> anyhow::Result<()> {
    with_fixture("flips", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        let unit = fixture.unit("ada");
        fixture.create(&unit).await?;
        fixture.until("ada", Phase::Ready).await?;
        let load = fixture.load(Mode::Query, &unit).await?.connections(4).rate(400.0).start()?;
        for (number, running) in flips(50).enumerate() {
            fixture.set_mode("ada", if running { "Running" } else { "Suspended" }).await?;
            // Some are seen through to the end, most are not.
            load.answer_more(u64::try_from(number % 7)? * 40, SOON).await?;
        }
        for (mode, phase) in [("Suspended", Phase::Suspended), ("Running", Phase::Ready)] {
            fixture.set_mode("ada", mode).await?;
            fixture.until("ada", phase).await?;
        }
        load.answer_more(100, SOON).await?;
        load.stop().await?.assert_all_of(&[200, 404])?;
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_survives_an_operator_crash_at_any_write() -> anyhow::Result<()> {
    with_fixture("killed", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let mut killer = Killer::start(&fixture).await?;
        fixture.create(&fixture.unit("ada")).await?;
        fixture.until("ada", Phase::Ready).await?;
        let round = async |killer: &mut Killer| {
            for (mode, phase) in [("Suspended", Phase::Suspended), ("Running", Phase::Ready)] {
                let done = async || fixture.until("ada", phase).await.map(drop);
                killer.during(fixture.set_mode("ada", mode), done).await?;
            }
            Ok(())
        };
        let kills = killer.at_each_write(&[LastWrite::Refused, LastWrite::Unanswered], 6, round).await?;
        assert!(kills >= 16, "{kills} kills");
        fixture.delete("ada").await
    })
    .await
}
