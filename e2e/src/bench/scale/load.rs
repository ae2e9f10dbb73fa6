//! Phases that create and delete units.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::DeleteParams;
use tokio::time::{Instant as Deadline, timeout_at};

use super::{
    arrivals::{Visit, poisson},
    asking,
    life::Life,
    meter::{Meter, Work},
    plan::Poisson,
    report::{Kind, Phase},
    site::Site,
};
use crate::{units, wait::pass};

/// The deadline of a phase: a fixed time, and a time for each unit.
const DEADLINE: (Duration, Duration) = (Duration::from_mins(5), Duration::from_secs(1));

/// The end of a phase with that many units.
#[must_use]
pub fn deadline(units: usize) -> Deadline {
    let each = DEADLINE.1 * u32::try_from(units).unwrap_or(u32::MAX);
    Deadline::now() + DEADLINE.0 + each
}

/// Nothing changes for a while. What it costs is not subtracted from other phases.
///
/// # Errors
/// If something cannot be read.
pub async fn idle(site: &Site, length: Duration) -> anyhow::Result<Phase> {
    let total = site.lives.present().len();
    let meter = Meter::start(site, &format!("{} s idle with {total} units", length.as_secs())).await?;
    pass(length).await;
    meter.finish(site, Work { kind: Kind::Idle, units: 0, took: length, names: vec![], notes: vec![] }).await
}

/// Creates units until there are `total`, at most `window` at a time that are not usable yet.
///
/// # Errors
/// If they are not usable in time.
pub async fn fill(site: &Site, total: usize) -> anyhow::Result<Option<Phase>> {
    let count = total.saturating_sub(site.lives.present().len());
    if count == 0 {
        return Ok(None);
    }
    let names = site.names(count);
    let end = deadline(count);
    let meter = Meter::start(site, &format!("fill to {total}")).await?;
    let gate = |(number, name): (usize, &String)| {
        let name = name.clone();
        async move {
            site.lives.until_all(site.plan.window.saturating_sub(1), end, Life::usable).await?;
            expect(site, &name, Instant::now(), is_asked(site, number, count));
            anyhow::Ok(name)
        }
    };
    let create = |name: String| async move { create(site, &name, None).await };
    let gated = stream::iter(names.iter().enumerate()).then(gate);
    gated.map_ok(create).try_buffer_unordered(site.plan.clients).try_collect::<Vec<()>>().await?;
    site.lives.until_all(0, end, Life::usable).await?;
    let took = meter.began().elapsed();
    meter.finish(site, Work { kind: Kind::Fill, units: count, took, names, notes: vec![] }).await.map(Some)
}

/// Creates units at once. Times are measured from the beginning.
///
/// # Errors
/// If they are not usable in time.
pub async fn burst(
    site: &Site,
    count: usize,
    name: &str,
    pool: impl Fn(usize) -> Option<String>,
) -> anyhow::Result<Phase> {
    let names = site.names(count);
    let end = deadline(count);
    let meter = Meter::start(site, name).await?;
    let pools: Vec<_> = (0..count).map(pool).collect();
    for (number, (name, pool)) in names.iter().zip(&pools).enumerate() {
        // Requests are only sent for units of the default pool.
        expect(site, name, meter.began(), pool.is_none() && is_asked(site, number, count));
    }
    let create = |(name, pool): (&String, Option<String>)| {
        let name = name.clone();
        async move { create(site, &name, pool.as_deref()).await }
    };
    let all = stream::iter(names.iter().zip(pools)).map(create).buffer_unordered(site.plan.clients);
    all.try_collect::<Vec<()>>().await?;
    site.lives.until_all(0, end, Life::usable).await?;
    let took = meter.began().elapsed();
    meter.finish(site, Work { kind: Kind::Burst, units: count, took, names, notes: vec![] }).await
}

/// Deletes these units at once. Times are measured from the beginning.
///
/// # Errors
/// If they are not gone in time.
pub async fn delete(site: &Site, names: Vec<String>, name: &str) -> anyhow::Result<Phase> {
    let count = names.len();
    let end = deadline(count);
    let meter = Meter::start(site, name).await?;
    for name in &names {
        site.lives.change(name, |life| life.deleted = Some(meter.began()));
    }
    let delete = |name: &String| {
        let name = name.clone();
        async move { remove(site, &name).await }
    };
    stream::iter(&names).map(delete).buffer_unordered(site.plan.clients).try_collect::<Vec<()>>().await?;
    site.lives.until_all(0, end, |life| life.deleted.is_none() || life.over()).await?;
    let took = meter.began().elapsed();
    // Their creation belongs to other phases.
    for name in &names {
        site.lives.change(name, |life| {
            *life = Life {
                deleted: life.deleted,
                route_gone: life.route_gone,
                pod_gone: life.pod_gone,
                gone: life.gone,
                ..Life::default()
            };
        });
    }
    let phase =
        meter.finish(site, Work { kind: Kind::Delete, units: count, took, names: names.clone(), notes: vec![] });
    let phase = phase.await?;
    site.lives.forget(&names);
    Ok(phase)
}

/// Units arrive and depart by a schedule that does not wait for them.
///
/// # Errors
/// If they are not gone in time.
pub async fn arrivals(site: &Site, arrivals: Poisson) -> anyhow::Result<Phase> {
    let lifetime = Duration::from_secs(site.plan.lifetime);
    let visits = poisson(site.plan.seed, arrivals.rate, arrivals.length, lifetime);
    let count = visits.len();
    let names = site.names(count);
    let last = visits.iter().map(|visit| visit.departs).max().unwrap_or_default();
    let end = deadline(count) + last;
    let title = format!("{count} arrivals, {}/s, mean lifetime {} s", arrivals.rate, lifetime.as_secs());
    let meter = Meter::start(site, &title).await?;
    let began = meter.began();
    let visit = |(number, (name, visit)): (usize, (&String, Visit))| {
        let name = name.clone();
        async move { stay(site, &name, began, visit, is_asked(site, number, count)).await }
    };
    let all = stream::iter(names.iter().zip(visits).enumerate()).map(visit);
    all.buffer_unordered(count.max(1)).try_collect::<Vec<()>>().await?;
    site.lives.until_all(0, end, |life| if life.deleted.is_some() { life.over() } else { life.usable() }).await?;
    let took = began.elapsed();
    let early = site.lives.of(&names).iter().filter(|life| life.ready.is_none()).count();
    let notes = vec![
        format!("{early} of {count} units were deleted by the schedule before they were Ready."),
        "Latencies are measured from the times of the schedule. Calls and CPU time a unit are of its creation and deletion."
            .to_owned(),
    ];
    let work = Work { kind: Kind::Poisson, units: count, took, names: names.clone(), notes };
    let phase = meter.finish(site, work).await?;
    site.lives.forget(&names);
    Ok(phase)
}

async fn stay(site: &Site, name: &str, began: Instant, visit: Visit, asked: bool) -> anyhow::Result<()> {
    until(began + visit.arrives).await;
    expect(site, name, began + visit.arrives, asked);
    create(site, name, None).await?;
    until(began + visit.departs).await;
    site.lives.change(name, |life| life.deleted = Some(began + visit.departs));
    remove(site, name).await
}

async fn until(time: Instant) {
    let _ = timeout_at(time.into(), std::future::pending::<()>()).await;
}

fn expect(site: &Site, name: &str, intended: Instant, asked: bool) {
    site.lives.expect(name, Life { intended: Some(intended), asked, ..Life::default() });
}

/// Whether requests are sent to a unit: to all, or to those of a sample at equal distances.
fn is_asked(site: &Site, number: usize, count: usize) -> bool {
    number.is_multiple_of(count.div_ceil(site.plan.asked.max(1)).max(1)) && site.plan.asked > 0
}

async fn create(site: &Site, name: &str, pool: Option<&str>) -> anyhow::Result<()> {
    let mut unit = asking::unit(&site.fixture.namespace, name);
    if let Some(pool) = pool {
        unit = units::with(&unit, &serde_json::json!({"spec": {"poolName": pool}}));
    }
    let made = site.fixture.create(&unit).await?;
    let now = Instant::now();
    site.lives.change(name, |life| {
        life.accepted = Some(now);
        life.uid = made.metadata.uid;
    });
    Ok(())
}

async fn remove(site: &Site, name: &str) -> anyhow::Result<()> {
    site.fixture.units().delete(name, &DeleteParams::default()).await?;
    Ok(())
}
