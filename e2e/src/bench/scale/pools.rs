//! Many pools.

use std::{collections::HashSet, pin::pin};

use anyhow::Context;
use computing_unit_api::ComputingUnitPool;
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    ResourceExt,
    api::DeleteParams,
    runtime::watcher::{self, Event},
};
use tokio::time::timeout_at;

use super::{
    load::{burst, deadline, delete},
    meter::{Meter, Work},
    report::{Kind, Phase},
    site::Site,
};

/// The maximum number of units, one in a pool.
const UNITS: usize = 100;

/// Creates pools, a unit in each of some of them, and deletes all. Returns the phases so far in any case.
///
/// # Errors
/// If the pools have no status in time, or the units are not Ready in time.
pub async fn pools(site: &Site, count: usize, phases: &mut Vec<Phase>) -> anyhow::Result<()> {
    let name = format!("{count} pools");
    let meter = Meter::start(site, &name).await?;
    let create = |number: usize| {
        let pool = site.another_pool(number);
        async move { site.fixture.create_pool(&pool).await.map(drop) }
    };
    stream::iter(0..count).map(create).buffer_unordered(site.plan.clients).try_collect::<Vec<()>>().await?;
    // The pool of the other units has a status as well.
    timeout_at(deadline(count), reported(site, count + 1)).await.context("the pools have no status in time")??;
    let took = meter.began().elapsed();
    let notes = vec!["Values are by pool, until each has a status.".to_owned()];
    phases.push(meter.finish(site, Work { kind: Kind::Pools, units: count, took, names: vec![], notes }).await?);

    let units = count.min(UNITS);
    let others = site.lives.present();
    let name = format!("burst of {units}, each in its own pool of {count}");
    let mut phase = burst(site, units, &name, |number| Some(format!("pool-{number}"))).await?;
    phase.notes.push("No requests are sent to these units.".to_owned());
    phases.push(phase);
    let ours = site.lives.present().into_iter().filter(|name| !others.contains(name)).collect();
    phases.push(delete(site, ours, &format!("delete of {units}, each in its own pool of {count}")).await?);

    let remove = |number: usize| async move {
        site.fixture.pools().delete(&format!("pool-{number}"), &DeleteParams::default()).await.map(drop)
    };
    stream::iter(0..count).map(remove).buffer_unordered(site.plan.clients).try_collect::<Vec<()>>().await?;
    Ok(())
}

/// Watches pools until that many have a status.
async fn reported(site: &Site, count: usize) -> anyhow::Result<()> {
    let mut reported = HashSet::new();
    let mut events = pin!(watcher::watcher(site.fixture.pools(), watcher::Config::default()));
    while let Some(event) = events.next().await {
        if let Ok(Event::Apply(pool) | Event::InitApply(pool)) = event
            && has_status(&pool)
        {
            reported.insert(pool.name_any());
        }
        if reported.len() >= count {
            return Ok(());
        }
    }
    anyhow::bail!("the watch of pools ended")
}

fn has_status(pool: &ComputingUnitPool) -> bool {
    pool.status.as_ref().is_some_and(|status| !status.conditions.is_empty())
}
