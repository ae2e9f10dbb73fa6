//! What goes wrong while it is watched whether units are idle: a proxy that cannot be read, that starts anew, or is one of
//! several; an operator that is killed. A unit in use is not stopped for any of it, and an idle one is stopped in the end.

#![allow(clippy::unwrap_used, missing_docs)]

use anyhow::ensure;
use computing_unit_api::{OperatingMode, Phase};
use e2e::{
    faults::LastWrite,
    gateway::scale_proxies,
    idle::{make_pool, pool, stays, suspended, until_activity, until_source, until_unreadable},
    killer::Killer,
    proxies::{hide_statistics, own, restart},
    stage::{SOON, Stage, play},
    traffic::{Hammer, Reuse, first_success},
    units::{self, Mode, with},
};
use serde_json::json;

/// A unit of a pool that stops idle ones.
async fn start(stage: &Stage, name: &str) -> anyhow::Result<()> {
    stage.make(&stage.unit(name)).await?;
    stage.until(name, Phase::Ready).await.map(drop)
}

/// Plays on a Gateway of the test's own, with a pool that stops idle units, an operator, and the unit `ada`.
async fn play_apart<F>(name: &str, test: impl FnOnce(Stage) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    play(name, |mut stage| async move {
        if !own(&mut stage).await? {
            return Ok(());
        }
        make_pool(&stage, json!({})).await?;
        let _operator = stage.start().await?;
        start(&stage, "ada").await?;
        test(stage).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_cannot_be_read_stops_nothing() -> anyhow::Result<()> {
    play_apart("unread", |stage| async move {
        let proxy = stage.cluster.proxies().await?[0];
        hide_statistics(&stage.cluster, proxy, true).await?;
        let words = format!("the proxy {} takes no connection", proxy.ip());
        until_unreadable(&stage, "ada", &words).await?;
        stays(&stage, "ada").await?;
        // There is nothing else the matter with it.
        first_success(proxy, &units::target(Mode::Query, &stage.unit("ada"))?, Reuse::Fresh, SOON).await?;
        hide_statistics(&stage.cluster, proxy, false).await?;
        until_activity(&stage, "ada", "end of the trouble", |activity| activity.message.is_none()).await?;
        suspended(&stage, "ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_starts_anew_hides_no_use() -> anyhow::Result<()> {
    play_apart("restarted", |stage| async move {
        let proxy = stage.cluster.proxies().await?[0];
        // More than are counted in all the rest of the test.
        let load = Hammer::new(&[proxy], units::target(Mode::Query, &stage.unit("ada"))?).start()?;
        load.answer_more(2000, SOON).await?;
        load.stop().await?;
        let load = Hammer::new(&[proxy], units::target(Mode::Query, &stage.unit("ada"))?).rate(0.5).start()?;
        until_source(&stage, "ada", "Request").await?;
        start(&stage, "eve").await?;
        restart(&stage.cluster, proxy).await?;
        stays(&stage, "ada").await?;
        suspended(&stage, "eve").await?;
        let ada = stage.units().get("ada").await?;
        ensure!(ada.spec.operating_mode == OperatingMode::Running, "{ada:#?}");
        load.stop().await?;
        suspended(&stage, "ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn use_by_one_of_three_proxies_is_use() -> anyhow::Result<()> {
    play_apart("three", |stage| async move {
        let target = units::target(Mode::Query, &stage.unit("ada"))?;
        let load = Hammer::new(&stage.cluster.proxies().await?, target.clone()).rate(0.5).start()?;
        let proxies = scale_proxies(&stage.cluster, 3).await?;
        for proxy in &proxies {
            first_success(*proxy, &target, Reuse::Fresh, SOON).await?;
        }
        load.stop().await?;
        for proxy in proxies {
            let load = Hammer::new(&[proxy], target.clone()).rate(0.5).start()?;
            stays(&stage, "ada").await?;
            load.stop().await?;
        }
        suspended(&stage, "ada").await
    })
    .await
}

/// A unit becomes idle, and the operator is killed at each write that comes of that.
async fn killed(name: &str, last: LastWrite) -> anyhow::Result<()> {
    play(name, |stage| async move {
        let quick = with(&pool(&stage, json!({})), &json!({"spec": {"lifecycle": {"idleTimeout": "2s"}}}));
        stage.put_pool(&quick).await?;
        let mut killer = Killer::start(&stage).await?;
        start(&stage, "ada").await?;
        let round = async |killer: &mut Killer| {
            stage.ask("ada", "Running").await?;
            stage.until("ada", Phase::Ready).await?;
            killer.during(async { Ok(()) }, async || suspended(&stage, "ada").await).await?;
            ensure!(stage.pods().get_opt("ada").await?.is_none(), "its pod is gone");
            ensure!(stage.routes().get_opt("ada").await?.is_none(), "its route is gone");
            let failure = stage.units().get("ada").await?.status.unwrap().last_failure;
            ensure!(failure.is_none(), "a pod that the operator stopped is not lost: {failure:?}");
            Ok(())
        };
        // Use, mode, status, route closed, route deleted, pod deleted, status.
        let kills = killer.at_each_write(&[last], 7, round).await?;
        ensure!(kills >= 5, "{kills} kills");
        stage.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_killed_before_any_write_arrives_is_no_matter() -> anyhow::Result<()> {
    killed("idle-refused", LastWrite::Refused).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_killed_before_any_write_is_answered_is_no_matter() -> anyhow::Result<()> {
    killed("idle-unanswered", LastWrite::Unanswered).await
}
