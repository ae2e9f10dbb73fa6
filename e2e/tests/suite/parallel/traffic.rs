//! Eight connections send requests as fast as they can from before a unit is created until after it is deleted. No response is a
//! server error or comes from another unit. A plain route shows that the test can fail.

use std::time::Duration;

use computing_unit_api::Phase;
use e2e::{
    clusters,
    fixture::{Fixture, SOON},
    gateway,
    plain::Plain,
    proxies,
    traffic::{Connection, Hammer, Report, Reuse, first_success},
    units::{self, Mode},
};

use super::with_fixture;

/// Enough to cover creation and deletion; the benchmark runs more.
const CYCLES: usize = 3;
/// A plain route fails in most cycles.
const ATTEMPTS: usize = 20;

async fn cycle(fixture: &Fixture, mode: Mode, name: &str) -> anyhow::Result<()> {
    let unit = fixture.unit(name);
    let load = fixture.load(mode, &unit).await?.connections(8).start()?;
    load.answer_more(100, SOON).await?;
    fixture.create(&unit).await?;
    fixture.until(name, Phase::Ready).await?;
    load.answer_more(100, SOON).await?;
    fixture.delete(name).await?;
    fixture.until_nothing_is_left(name).await?;
    load.answer_more(100, SOON).await?;
    let report = load.stop().await?;
    println!("{mode:?}: {report}");
    report.assert_all_of(&[200, 404])
}

async fn no_errors_on(fixture: &Fixture, mode: Mode) -> anyhow::Result<()> {
    fixture.create_default_pool(mode).await?;
    let _operator = fixture.start().await?;
    // Another unit that must never answer for the first.
    let other = fixture.unit("other");
    fixture.create(&other).await?;
    fixture.until("other", Phase::Ready).await?;
    for round in 0..CYCLES {
        cycle(fixture, mode, &format!("ada-{round}")).await?;
    }
    fixture.delete("other").await
}

async fn no_errors(mode: Mode, name: &str) -> anyhow::Result<()> {
    with_fixture(name, |fixture| async move { no_errors_on(&fixture, mode).await }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_request_to_a_ready_unit_succeeds_without_dns() -> anyhow::Result<()> {
    with_fixture("first", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        let unit = fixture.unit("ada");
        fixture.create(&unit).await?;
        fixture.until("ada", Phase::Ready).await?;
        for proxy in fixture.cluster.proxies().await? {
            let answer = Connection::open(proxy).await?.send(&units::target(Mode::Query, &unit)?).await?;
            assert_eq!(answer.status, 200);
        }
        let discovery = clusters::discovery(&fixture.cluster, &fixture.namespace, "ada").await?;
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
async fn a_unit_serves_while_others_come_and_go() -> anyhow::Result<()> {
    with_fixture("beside", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        let unit = fixture.unit("stays");
        fixture.create(&unit).await?;
        fixture.until("stays", Phase::Ready).await?;
        let load = fixture.load(Mode::Query, &unit).await?.connections(2).rate(200.0).start()?;
        for name in ["one", "two", "three"] {
            fixture.create(&fixture.unit(name)).await?;
            fixture.until(name, Phase::Ready).await?;
            fixture.delete(name).await?;
        }
        load.answer_more(50, Duration::from_secs(10)).await?;
        load.stop().await?.assert_only(&[200])?;
        fixture.delete("stays").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_with_two_proxies() -> anyhow::Result<()> {
    with_fixture("two", |mut fixture| async move {
        if !proxies::own(&mut fixture).await? {
            return Ok(());
        }
        gateway::scale_proxies(&fixture.cluster, 2).await?;
        no_errors_on(&fixture, Mode::Query).await
    })
    .await
}

async fn plain(fixture: &Fixture, name: &str) -> anyhow::Result<Report> {
    let plain = Plain::new(fixture, name);
    let load = Hammer::new(&fixture.cluster.proxies().await?, plain.target()?).connections(8).start()?;
    plain.make_pod().await?;
    plain.until_ready().await?;
    plain.make_route().await?;
    first_success(fixture.cluster.proxies().await?[0], &plain.target()?, Reuse::Fresh, SOON).await?;
    load.answer_more(100, SOON).await?;
    plain.delete().await?;
    load.answer_more(100, SOON).await?;
    load.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_route_fails_requests() -> anyhow::Result<()> {
    with_fixture("plain", |fixture| async move {
        for attempt in 1..=ATTEMPTS {
            let report = plain(&fixture, &format!("plain-{attempt}")).await?;
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
