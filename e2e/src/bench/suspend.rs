//! The time to resume a unit, and the effect of many concurrent suspensions on requests to other units.

use std::time::{Duration, Instant};

use computing_unit_api::{ComputingUnit, Phase};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{ResourceExt, api::ListParams};

use super::{
    pods::Pods,
    table::{self, Times, milliseconds},
};
use crate::{
    fixture::{Fixture, SOON, with_fixture},
    traffic::{Hammer, Report, Reuse, first_success},
    units::{self, Mode},
    wait::{eventually, until},
};

/// The deadline for many units.
const MANY: Duration = Duration::from_mins(5);
/// The requests per second to the permanent unit, over all connections.
const RATE: f64 = 50.0;

/// Suspends and resumes one unit `count` times, then `many` at once.
///
/// # Errors
/// If a unit does not reach the requested state.
pub async fn measure(count: usize, many: usize) -> anyhow::Result<()> {
    let answered = with_fixture("resume", |fixture| async move { resume(&fixture, count).await }).await?;
    table::heading(&format!("Resuming: one unit suspended and resumed {count} times"));
    let mut row = vec!["resumed unit: pod ready to first 200".to_owned()];
    row.extend(answered.cells());
    row.push("median 150, 99 % 300".to_owned());
    table::print(&["milliseconds", "median", "99 %", "max", "goal"], &[row]);

    let (took, report) = with_fixture("suspends", |fixture| async move { at_once(&fixture, many).await }).await?;
    table::heading(&format!("{many} units suspended at once, during {RATE} requests per second to another unit"));
    table::print(
        &[
            "responses of the other unit",
            "5xx",
            "no response",
            "other status",
            "median, ms",
            "99 %, ms",
            "all suspended after, s",
        ],
        &[vec![
            report.answers().to_string(),
            report.server_errors().to_string(),
            report.failed.to_string(),
            (report.answers() - report.count(200) - report.server_errors()).to_string(),
            format!("{:.1}", milliseconds(report.latency.median())),
            format!("{:.1}", milliseconds(report.latency.p99())),
            format!("{:.1}", took.as_secs_f64()),
        ]],
    );
    Ok(())
}

async fn resume(fixture: &Fixture, count: usize) -> anyhow::Result<Times> {
    fixture.create_default_pool(Mode::Query).await?;
    let _operator = fixture.start().await?;
    let pods = Pods::watch(fixture.pods()).await?;
    let unit = fixture.unit("ada");
    let (proxy, target) = (fixture.cluster.proxies().await?[0], units::target(Mode::Query, &unit)?);
    fixture.create(&unit).await?;
    fixture.until("ada", Phase::Ready).await?;
    let mut answered = Times::default();
    for _ in 0..count {
        fixture.set_mode("ada", "Suspended").await?;
        fixture.until("ada", Phase::Suspended).await?;
        until("deletion of the pod", SOON, fixture.pods(), "ada", |pod| pod.is_none()).await?;
        pods.gone("ada").await?;
        let target = target.clone();
        let searching = tokio::spawn(async move { first_success(proxy, &target, Reuse::Kept, SOON).await });
        fixture.set_mode("ada", "Running").await?;
        let first = searching.await??;
        let (_, ready) = pods.ready("ada").await?;
        answered.add(milliseconds(first.at.saturating_duration_since(ready)));
        fixture.until("ada", Phase::Ready).await?;
    }
    Ok(answered)
}

async fn at_once(fixture: &Fixture, many: usize) -> anyhow::Result<(Duration, Report)> {
    fixture.create_default_pool(Mode::Query).await?;
    let _operator = fixture.start().await?;
    let stays = fixture.unit("stays");
    fixture.create(&stays).await?;
    let units: Vec<ComputingUnit> = (0..many).map(|number| fixture.unit(&format!("unit-{number}"))).collect();
    stream::iter(&units).map(|unit| fixture.create(unit)).buffer_unordered(8).try_collect::<Vec<_>>().await?;
    all(fixture, many + 1, Phase::Ready).await?;

    let target = units::target(Mode::Query, &stays)?;
    let load = Hammer::new(&fixture.cluster.proxies().await?, target).connections(8).rate(RATE).start()?;
    load.answer_more(100, SOON).await?;
    let began = Instant::now();
    let suspend = |unit: &ComputingUnit| {
        let name = unit.name_any();
        async move { fixture.set_mode(&name, "Suspended").await }
    };
    stream::iter(&units).map(suspend).buffer_unordered(16).try_collect::<Vec<_>>().await?;
    all(fixture, many, Phase::Suspended).await?;
    let took = began.elapsed();
    load.answer_more(100, SOON).await?;
    let report = load.stop().await?;
    let delete = |name: String| async move { fixture.delete(&name).await };
    let names = units.iter().chain([&stays]).map(ResourceExt::name_any);
    stream::iter(names).map(delete).buffer_unordered(16).try_collect::<Vec<_>>().await?;
    Ok((took, report))
}

async fn all(fixture: &Fixture, count: usize, phase: Phase) -> anyhow::Result<()> {
    let there = || async {
        let units = fixture.units().list(&ListParams::default()).await?;
        let so = units.items.iter().filter(|unit| units::phase(Some(unit)) == Some(phase)).count();
        Ok((so == count).then_some(()))
    };
    eventually(&format!("{count} units that are {}", phase.as_str()), MANY, there).await
}
