//! Faults of proxies and crashes of the operator while idle units are looked for. None of them suspends a unit in use, and an idle
//! unit is suspended in the end.

use anyhow::{Context, ensure};
use computing_unit_api::{ComputingUnit, OperatingMode, Phase, names::IDLE};
use e2e::{
    faults::LastWrite,
    fixture::{Fixture, SOON},
    gateway::scale_proxies,
    idle::{make_pool, pool, stays, suspended, until_activity, until_source, until_unreadable},
    killer::Killer,
    proxies::{hide_statistics, own, restart},
    traffic::{Hammer, Reuse, first_success},
    units::{self, Mode, with},
    wait::until,
};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;

use super::with_fixture;

/// Creates a unit and waits until it is Ready.
async fn start(fixture: &Fixture, name: &str) -> anyhow::Result<()> {
    fixture.create(&fixture.unit(name)).await?;
    fixture.until(name, Phase::Ready).await.map(drop)
}

/// Runs a test on a Gateway of its own, with a pool that suspends idle units, an operator, and the unit `ada`.
async fn play_apart<F>(name: &str, test: impl FnOnce(Fixture) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    with_fixture(name, |mut fixture| async move {
        if !own(&mut fixture).await? {
            return Ok(());
        }
        make_pool(&fixture, json!({})).await?;
        let _operator = fixture.start().await?;
        start(&fixture, "ada").await?;
        test(fixture).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_without_statistics_suspends_no_unit() -> anyhow::Result<()> {
    play_apart("unread", |fixture| async move {
        let proxy = fixture.cluster.proxies().await?[0];
        hide_statistics(&fixture.cluster, proxy, true).await?;
        let words = format!("proxy {} cannot be reached on port", proxy.ip());
        until_unreadable(&fixture, "ada", &words).await?;
        stays(&fixture, "ada").await?;
        // There is nothing else the matter with it.
        first_success(proxy, &units::target(Mode::Query, &fixture.unit("ada"))?, Reuse::Fresh, SOON).await?;
        hide_statistics(&fixture.cluster, proxy, false).await?;
        until_activity(&fixture, "ada", "end of the trouble", |activity| activity.message.is_none()).await?;
        suspended(&fixture, "ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_proxy_hides_no_activity() -> anyhow::Result<()> {
    play_apart("restarted", |fixture| async move {
        let proxy = fixture.cluster.proxies().await?[0];
        // More than are counted in all the rest of the test.
        let load = Hammer::new(&[proxy], units::target(Mode::Query, &fixture.unit("ada"))?).start()?;
        load.answer_more(2000, SOON).await?;
        load.stop().await?;
        let load = Hammer::new(&[proxy], units::target(Mode::Query, &fixture.unit("ada"))?).rate(0.5).start()?;
        until_source(&fixture, "ada", "Request").await?;
        start(&fixture, "eve").await?;
        restart(&fixture.cluster, proxy).await?;
        stays(&fixture, "ada").await?;
        suspended(&fixture, "eve").await?;
        let ada = fixture.units().get("ada").await?;
        ensure!(ada.spec.operating_mode == OperatingMode::Running, "{ada:#?}");
        load.stop().await?;
        suspended(&fixture, "ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_on_one_of_three_proxies_is_activity() -> anyhow::Result<()> {
    play_apart("three", |fixture| async move {
        let target = units::target(Mode::Query, &fixture.unit("ada"))?;
        let load = Hammer::new(&fixture.cluster.proxies().await?, target.clone()).rate(0.5).start()?;
        let proxies = scale_proxies(&fixture.cluster, 3).await?;
        for proxy in &proxies {
            first_success(*proxy, &target, Reuse::Fresh, SOON).await?;
        }
        load.stop().await?;
        for proxy in proxies {
            let load = Hammer::new(&[proxy], target.clone()).rate(0.5).start()?;
            stays(&fixture, "ada").await?;
            load.stop().await?;
        }
        suspended(&fixture, "ada").await
    })
    .await
}

/// An autoscaler adds a proxy and removes it again. Nobody uses the unit meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn proxies_that_join_and_leave_in_an_orderly_way_do_not_count_as_use() -> anyhow::Result<()> {
    with_fixture("orderly", |mut fixture| async move {
        if !own(&mut fixture).await? {
            return Ok(());
        }
        let patient = json!({"spec": {"lifecycle": {"idleTimeout": "80s"}, "activity": {"interval": "5s"}}});
        fixture.create_pool(&with(&pool(&fixture, json!({})), &patient)).await?;
        let _operator = fixture.start().await?;
        start(&fixture, "ada").await?;
        let first = until_activity(&fixture, "ada", "end ahead of time", |activity| activity.idle_at.is_some()).await?;
        scale_proxies(&fixture.cluster, 2).await?;
        scale_proxies(&fixture.cluster, 1).await?;
        // The proxy terminates for some time. In the end the unit was idle from the first scan on.
        let marked = |unit: Option<&ComputingUnit>| unit.is_some_and(|unit| unit.annotations().contains_key(IDLE));
        let unit = until("suspension", 3 * SOON, fixture.units(), "ada", marked).await?.context("no unit")?;
        let since = unit.annotations().get(IDLE).and_then(|mark| mark.split_once(' ')?.1.parse::<Timestamp>().ok());
        let (since, first) = (since.context("no mark")?, first.idle_at.context("no time")?.0);
        let later = since.duration_since(first).as_secs() + 80;
        ensure!(later <= 1, "idle since {since}, {later} s later than at first");
        Ok(())
    })
    .await
}

/// A unit becomes idle, and the operator is killed at each write of the suspension.
async fn killed(name: &str, last: LastWrite) -> anyhow::Result<()> {
    with_fixture(name, |fixture| async move {
        let quick = with(&pool(&fixture, json!({})), &json!({"spec": {"lifecycle": {"idleTimeout": "2s"}}}));
        fixture.create_pool(&quick).await?;
        let mut killer = Killer::start(&fixture).await?;
        start(&fixture, "ada").await?;
        let round = async |killer: &mut Killer| {
            fixture.set_mode("ada", "Running").await?;
            fixture.until("ada", Phase::Ready).await?;
            killer.during(async { Ok(()) }, async || suspended(&fixture, "ada").await).await?;
            ensure!(fixture.pods().get_opt("ada").await?.is_none(), "its pod is gone");
            ensure!(fixture.routes().get_opt("ada").await?.is_none(), "its route is gone");
            let failure = fixture.units().get("ada").await?.status.unwrap().last_failure;
            ensure!(failure.is_none(), "a pod that the operator stopped is not lost: {failure:?}");
            Ok(())
        };
        // Use, mode, status, route closed, route deleted, pod deleted, status.
        let kills = killer.at_each_write(&[last], 7, round).await?;
        ensure!(kills >= 5, "{kills} kills");
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_suspension_survives_an_operator_crash_before_any_write() -> anyhow::Result<()> {
    killed("idle-refused", LastWrite::Refused).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_suspension_survives_an_operator_crash_after_any_write() -> anyhow::Result<()> {
    killed("idle-unanswered", LastWrite::Unanswered).await
}
