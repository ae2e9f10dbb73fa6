//! Restarts of the operator and of the API server while all units are Ready. Nothing changes, so nothing is to be written.

use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::task::spawn_blocking;

use super::{
    gauges,
    meter::{Meter, Work},
    report::{Kind, Phase},
    site::Site,
};
use crate::{
    cluster::{control, process::Processes, programs},
    wait::pass,
};

/// The time without a reconcile after which the operator has seen all units.
const QUIET: Duration = Duration::from_secs(5);
/// The interval at which reconciles are counted.
const TICK: Duration = Duration::from_millis(100);
/// The deadline of a restart.
const DEADLINE: Duration = Duration::from_mins(15);

/// Kills the operator and starts it again.
///
/// # Errors
/// If it does not settle in time.
pub async fn operator(site: &Site) -> anyhow::Result<Phase> {
    let total = site.lives.present().len();
    let meter = Meter::start(site, &format!("restart of the operator with {total} units")).await?;
    let began = meter.began();
    site.operator.restart().await?;
    let ready = began.elapsed();
    let took = settled(site, began).await?;
    let notes = vec![format!("/readyz was answered with 200 after {:.1} s.", ready.as_secs_f64())];
    finish(meter, site, Kind::Restart, took, notes).await
}

/// Restarts the API server, whose watch cache is empty then, so that every client lists its objects again. `None` if the
/// cluster is not a local one.
///
/// # Errors
/// If the API server or the operator is not ready in time.
pub async fn api_server(site: &Site) -> anyhow::Result<Option<Phase>> {
    let Some(layout) = site.layout.clone() else {
        eprintln!("NOT RUN: the API server of the current cluster cannot be restarted");
        return Ok(None);
    };
    let total = site.lives.present().len();
    let programs = spawn_blocking(programs::programs).await??;
    let meter = Meter::start(site, &format!("restart of the API server with {total} units")).await?;
    let began = meter.began();
    spawn_blocking(move || control::restart_api_server(&layout, &programs, &Processes::of(&layout)?)).await??;
    let ready = began.elapsed();
    let took = settled(site, began).await?;
    let notes = vec![format!("The API server was ready after {:.1} s.", ready.as_secs_f64())];
    finish(meter, site, Kind::Relist, took, notes).await.map(Some)
}

async fn finish(meter: Meter, site: &Site, kind: Kind, took: Duration, notes: Vec<String>) -> anyhow::Result<Phase> {
    let total = site.lives.present().len();
    let mut phase = meter.finish(site, Work { kind, units: total, took, names: vec![], notes }).await?;
    let own = |what: &dyn Fn(&super::audit::CallCount) -> bool| -> u64 {
        phase.calls.iter().filter(|call| call.client == "operator" && what(call)).map(|call| call.count).sum()
    };
    let writes = own(&super::audit::CallCount::is_write);
    let lists = own(&|call| call.verb == "list");
    if site.audit.exists() {
        phase
            .notes
            .push(format!("The operator listed {lists} times and wrote {writes} times, Leases aside. Goal: no write."));
    }
    Ok(phase)
}

/// Waits until the operator's watches work and no unit is reconciled any more. Returns the time of
/// the last reconcile.
async fn settled(site: &Site, began: Instant) -> anyhow::Result<Duration> {
    let some = !site.lives.present().is_empty();
    let (mut count, mut last) = (0, Instant::now());
    while began.elapsed() < DEADLINE {
        let address = site.operator.state().borrow().metrics;
        let now = gauges::read(address).await.unwrap_or_default();
        if some && now.count() == 0 || now.count() != count || now.failing > 0 {
            (count, last) = (now.count(), Instant::now());
        }
        if last.elapsed() >= QUIET {
            return Ok(last - began);
        }
        pass(TICK).await;
    }
    bail!("the operator still reconciles after {DEADLINE:?}, or does not run")
}
