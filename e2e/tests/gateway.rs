//! What concerns the gateway as a whole, and therefore one test at a time: two proxies, a controller that is stopped, and
//! a plain route, which shows that the tests of traffic can fail.

#![allow(clippy::unwrap_used, missing_docs)]

use computing_unit_api::Phase;
use e2e::{
    gateway,
    plain::Plain,
    stage::{SOON, Stage, play},
    traffic::{Hammer, Report, Reuse, first_success},
    units::{self, Mode},
};
use k8s_openapi::api::events::v1::Event;
use kube::{Api, api::ListParams};
use serde_json::json;
use tokio::sync::Mutex;

/// Held by the test that has the gateway.
static GATEWAY: Mutex<()> = Mutex::const_new(());
/// A plain route fails in most cycles.
const ATTEMPTS: usize = 20;

async fn one_cycle(stage: &Stage, name: &str) -> anyhow::Result<Report> {
    let unit = stage.unit(name);
    let load = Hammer::new(&stage.cluster.proxies().await?, units::target(Mode::Query, &unit)?);
    let load = load.connections(8).start()?;
    load.answer_more(100, SOON).await?;
    stage.make(&unit).await?;
    stage.until(name, Phase::Ready).await?;
    load.answer_more(100, SOON).await?;
    stage.delete(name).await?;
    stage.until_nothing_is_left(name).await?;
    load.answer_more(100, SOON).await?;
    load.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_with_two_proxies() -> anyhow::Result<()> {
    let _held = GATEWAY.lock().await;
    play("two", |stage| async move {
        let cluster = stage.cluster.clone();
        let test = async {
            stage.make_pool(Mode::Query).await?;
            let _operator = stage.start().await?;
            stage.make(&stage.unit("stays")).await?;
            stage.until("stays", Phase::Ready).await?;
            gateway::scale_proxies(&stage.cluster, 2).await?;
            for round in 0..3 {
                let report = one_cycle(&stage, &format!("ada-{round}")).await?;
                println!("{report}");
                report.assert_all_of(&[200, 404])?;
            }
            stage.delete("stays").await
        };
        gateway::changed_by(&cluster, test).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_goes_while_the_gateways_controller_is_stopped() -> anyhow::Result<()> {
    let _held = GATEWAY.lock().await;
    play("stopped", |stage| async move {
        let cluster = stage.cluster.clone();
        let test = async {
            stage.make_pool_with(&json!({"drainTimeout": "1s"})).await?;
            let _operator = stage.start().await?;
            stage.make(&stage.unit("ada")).await?;
            stage.until("ada", Phase::Ready).await?;
            gateway::scale_controller(&cluster, 0).await?;
            // Nobody tells the proxies to give up the route: the deadline decides, and says so.
            stage.delete("ada").await?;
            let events =
                Api::<Event>::namespaced(cluster.client(), &stage.namespace).list(&ListParams::default()).await?;
            let overdue = events.iter().find(|event| {
                event.type_.as_deref() == Some("Warning")
                    && event.regarding.as_ref().is_some_and(|it| it.kind.as_deref() == Some("ComputingUnit"))
            });
            println!("{:?}", overdue.map(|event| (&event.reason, &event.note)));
            assert!(overdue.is_some(), "an event says that the proxies were not seen to give the route up");
            stage.until_nothing_is_left("ada").await
        };
        gateway::changed_by(&cluster, test).await.map(drop)
    })
    .await
}

async fn plain(stage: &Stage, name: &str) -> anyhow::Result<Report> {
    let plain = Plain::new(stage, name);
    let load = Hammer::new(&stage.cluster.proxies().await?, plain.target()?).connections(8).start()?;
    plain.make_pod().await?;
    plain.until_ready().await?;
    plain.make_route().await?;
    first_success(stage.cluster.proxies().await?[0], &plain.target()?, Reuse::Fresh, SOON).await?;
    load.answer_more(100, SOON).await?;
    plain.delete().await?;
    load.answer_more(100, SOON).await?;
    load.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_route_fails_requests() -> anyhow::Result<()> {
    let _held = GATEWAY.lock().await;
    play("plain", |stage| async move {
        for attempt in 1..=ATTEMPTS {
            let report = plain(&stage, &format!("plain-{attempt}")).await?;
            if report.server_errors() > 0 {
                println!("attempt {attempt}: {report}");
                assert!(report.assert_only(&[200, 404]).is_err(), "the check sees it");
                return Ok(());
            }
        }
        anyhow::bail!("a plain route failed no request in {ATTEMPTS} cycles: can the tests of traffic fail?")
    })
    .await
}
