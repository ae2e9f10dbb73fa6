//! Under requests as fast as eight connections can send them, from before a unit's creation to after its end, not one
//! is answered by an error or by another unit. A plain route shows that this can fail.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use computing_unit_api::Phase;
use e2e::{
    clusters,
    stage::{SOON, Stage, play},
    traffic::{Connection, Hammer},
    units::{self, Mode},
};

/// Enough to see both ends; the benchmark does more.
const CYCLES: usize = 3;

async fn cycle(stage: &Stage, mode: Mode, name: &str) -> anyhow::Result<()> {
    let unit = stage.unit(name);
    let proxies = stage.cluster.proxies().await?;
    let load = Hammer::new(&proxies, units::target(mode, &unit)?).connections(8).start()?;
    load.answer_more(100, SOON).await?;
    stage.make(&unit).await?;
    stage.until(name, Phase::Ready).await?;
    load.answer_more(100, SOON).await?;
    stage.delete(name).await?;
    stage.until_nothing_is_left(name).await?;
    load.answer_more(100, SOON).await?;
    let report = load.stop().await?;
    println!("{mode:?} on {} proxies: {report}", proxies.len());
    report.assert_all_of(&[200, 404])
}

async fn no_errors(mode: Mode, name: &str) -> anyhow::Result<()> {
    play(name, |stage| async move {
        stage.make_pool(mode).await?;
        let _operator = stage.start().await?;
        // Another unit that must never answer for the first.
        let other = stage.unit("other");
        stage.make(&other).await?;
        stage.until("other", Phase::Ready).await?;
        for round in 0..CYCLES {
            cycle(&stage, mode, &format!("ada-{round}")).await?;
        }
        stage.delete("other").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_request_to_a_ready_unit_is_answered_and_no_name_is_looked_up() -> anyhow::Result<()> {
    play("first", |stage| async move {
        stage.make_pool(Mode::Query).await?;
        let _operator = stage.start().await?;
        let unit = stage.unit("ada");
        stage.make(&unit).await?;
        stage.until("ada", Phase::Ready).await?;
        for proxy in stage.cluster.proxies().await? {
            let answer = Connection::open(proxy).await?.send(&units::target(Mode::Query, &unit)?).await?;
            assert_eq!(answer.status, 200);
        }
        let discovery = clusters::discovery(&stage.cluster, &stage.namespace, "ada").await?;
        assert!(
            discovery.iter().all(|by| by == "EDS"),
            "told by the gateway's controller, not looked up: {discovery:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_in_query_mode() -> anyhow::Result<()> {
    no_errors(Mode::Query, "query").await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_in_path_mode() -> anyhow::Result<()> {
    no_errors(Mode::Path, "path").await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_in_host_mode() -> anyhow::Result<()> {
    no_errors(Mode::Host, "host").await
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_while_units_of_other_modes_come_and_go() -> anyhow::Result<()> {
    play("beside", |stage| async move {
        stage.make_pool(Mode::Query).await?;
        let _operator = stage.start().await?;
        let unit = stage.unit("stays");
        stage.make(&unit).await?;
        stage.until("stays", Phase::Ready).await?;
        let proxies = stage.cluster.proxies().await?;
        let load = Hammer::new(&proxies, units::target(Mode::Query, &unit)?).connections(2).rate(200.0).start()?;
        for name in ["one", "two", "three"] {
            stage.make(&stage.unit(name)).await?;
            stage.until(name, Phase::Ready).await?;
            stage.delete(name).await?;
        }
        load.answer_more(50, Duration::from_secs(10)).await?;
        load.stop().await?.assert_only(&[200])?;
        stage.delete("stays").await
    })
    .await
}
