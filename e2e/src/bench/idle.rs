//! The cost of activity scans over many units: CPU time of the operator with and without scans, requests to the
//! proxies, and writes. The pods are simulated: one engine answers for all of them.

use std::{
    collections::HashSet,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use computing_unit_api::{ComputingUnit, Phase};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
    runtime::watcher::{self, Event},
};
use serde_json::json;
use tokio::time::timeout;

use super::{
    cores::Processes,
    table::{self, milliseconds},
};
use crate::{
    faults::OperatorProcess,
    fixture::{Fixture, with_fixture},
    plain::Plain,
    simulated::Simulated,
    traffic::{Connection, Target},
    units::{self, Mode, with},
    wait::{eventually, pass},
};

/// The deadline for the readiness of many units.
const MANY: Duration = Duration::from_mins(30);
/// The quiet period after which the status of every unit is written.
const QUIET: Duration = Duration::from_secs(12);
/// The duration of the measurement, with one scan per second and without scans.
const WHILE: Duration = Duration::from_secs(30);
/// The port of a proxy's statistics, and the metric that counts requests for them.
const STATISTICS: (u16, &str) =
    (19001, "envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix=\"eg-stats-http\"}");

/// The measurements of all scans.
struct Measured {
    scans: u64,
    /// CPU time in milliseconds, and the elapsed time.
    with: (f64, Duration),
    /// The same without scans.
    without: (f64, Duration),
    /// Requests to each proxy, and the number of scans.
    requests: (Vec<u64>, u64),
    writes: u64,
}

/// The name of the pool of units with a busy probe.
const PROBED: &str = "probed";

/// Scans `many` unused units, of which `probed` have a busy probe with an expression.
///
/// # Errors
/// If they do not start.
pub async fn measure(many: usize, probed: usize) -> anyhow::Result<()> {
    let measured = with_fixture("idle", |fixture| async move {
        let engine = Plain::new(&fixture, "engine");
        engine.make_pod().await?;
        engine.until_ready().await?;
        let address = fixture.pods().get("engine").await?.status.and_then(|status| status.pod_ip);
        let node = Simulated::join(&fixture.cluster, &fixture.namespace, &address.context("its address")?).await?;
        let measured = with_and_without(&fixture, &node, many, probed.min(many)).await;
        // The operator has exited, so the pods are not recreated.
        let left = node.leave().await;
        let measured = measured?;
        left?;
        Ok(measured)
    })
    .await?;
    let number = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let scans = number(measured.scans);
    let (whole, time) = measured.with;
    // The other work of the operator in the same time.
    let anyway = measured.without.0 * (milliseconds(time) / milliseconds(measured.without.1));
    let (requests, counted) = measured.requests;
    let most = requests.into_iter().max().unwrap_or_default();
    let row = |what: &str, cell: String, goal: &str| vec![what.to_owned(), cell, goal.to_owned()];
    table::heading(&format!("Activity scans over {many} units, {probed} with a busy probe, {} scans", measured.scans));
    table::print(
        &["", "per scan", "goal"],
        &[
            row("CPU time of the operator with scans, ms", format!("{:.1}", whole / scans), ""),
            row("CPU time in the same period without scans, ms", format!("{:.1}", anyway / scans), ""),
            row("difference, ms", format!("{:.1}", (whole - anyway) / scans), if probed == 0 { "100" } else { "200" }),
            row("requests to each proxy", format!("{:.2}", number(most) / number(counted)), "1"),
            row("writes to the API server, all scans", measured.writes.to_string(), "0"),
        ],
    );
    Ok(())
}

async fn with_and_without(fixture: &Fixture, node: &Simulated, many: usize, probed: usize) -> anyhow::Result<Measured> {
    let pool = with(&fixture.pool(Mode::Query), &json!({"spec": {"template": {"spec": {"nodeName": node.name()}}}}));
    fixture.create_pool(&pool).await?;
    let probe = json!({"path": "/busy?of={unit}", "expression": "response.status == 200 && response.json.busy"});
    let change = json!({"metadata": {"name": PROBED}, "spec": {"activity": {"busyProbes": [probe]}}});
    fixture.create_pool(&with(&pool, &change)).await?;
    let operator = fixture.start().await?;
    let began = Instant::now();
    let unit = |number: usize| {
        let unit = fixture.unit(&format!("unit-{number}"));
        if number < probed { with(&unit, &json!({"spec": {"poolName": PROBED}})) } else { unit }
    };
    let units: Vec<ComputingUnit> = (0..many).map(unit).collect();
    stream::iter(&units).map(|unit| fixture.create(unit)).buffer_unordered(8).try_collect::<Vec<_>>().await?;
    timeout(MANY, all_ready(fixture, many)).await.with_context(|| format!("{many} Ready units in time"))??;
    eprintln!("{many} units are ready after {:?}", began.elapsed());
    fixture.proxy.quiet(QUIET, MANY).await?;

    let without = spent(&operator).await?;
    let idle = json!({"lifecycle": {"idleTimeout": "24h"}, "activity": {"interval": "1s", "gracePeriod": "1s"}});
    let pools = fixture.pools();
    for pool in ["default", PROBED] {
        pools.patch(pool, &PatchParams::default(), &Patch::Merge(json!({"spec": idle}))).await?;
    }
    next_scan(&operator).await?;
    let counts = fixture.proxy.quiet(QUIET, MANY).await?;

    // Between two scans, so that only requests of complete scans are counted.
    let first = next_scan(&operator).await?;
    let before = asked(fixture).await?;
    let with = spent(&operator).await?;
    let scans = scans(&operator).await? - first;
    ensure!(scans > 0, "no scan completed within {WHILE:?}");
    let counted = next_scan(&operator).await? - first;
    // Do not count this request.
    let requests = asked(fixture).await?.iter().zip(before).map(|(now, before)| now - before - 1).collect();
    let writes = fixture.proxy.counts().since(&counts).writes();
    operator.kill().await?;
    Ok(Measured { scans, with, without, requests: (requests, counted), writes })
}

/// Watches units until that many are Ready.
pub(super) async fn all_ready(fixture: &Fixture, count: usize) -> anyhow::Result<()> {
    let mut ready = HashSet::new();
    let mut events = std::pin::pin!(watcher::watcher(fixture.units(), watcher::Config::default()));
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(unit) | Event::InitApply(unit)) if units::phase(Some(&unit)) == Some(Phase::Ready) => {
                ready.insert(unit.name_any());
            }
            Ok(Event::Apply(unit) | Event::InitApply(unit) | Event::Delete(unit)) => {
                ready.remove(&unit.name_any());
            }
            Ok(Event::Init | Event::InitDone) | Err(_) => {}
        }
        if ready.len() == count {
            return Ok(());
        }
    }
    anyhow::bail!("the watch of units ended")
}

/// The CPU time of the operator in milliseconds during the measurement, and the elapsed time.
async fn spent(operator: &OperatorProcess) -> anyhow::Result<(f64, Duration)> {
    let process = Processes::one(operator.id().context("the operator is not running")?);
    let (began, before) = (Instant::now(), process.spent()?);
    pass(WHILE).await;
    let spent: f64 = process.spent()?.iter().zip(before).map(|(after, before)| after - before).sum();
    Ok((spent * 1000.0, began.elapsed()))
}

/// Waits until a scan completes. Returns the number of completed scans.
async fn next_scan(operator: &OperatorProcess) -> anyhow::Result<u64> {
    let before = scans(operator).await?;
    let next = || async { Ok(Some(scans(operator).await?).filter(|now| *now > before)) };
    eventually("a scan", MANY, next).await
}

async fn scans(operator: &OperatorProcess) -> anyhow::Result<u64> {
    operator.metric("activity_scans_total").await?.context("no count of scans")
}

/// The number of requests for the statistics of each proxy, including this one.
async fn asked(fixture: &Fixture) -> anyhow::Result<Vec<u64>> {
    let (port, name) = STATISTICS;
    let mut all = vec![];
    for proxy in fixture.cluster.proxies().await? {
        let address = SocketAddr::new(proxy.ip(), port);
        let path = "/stats/prometheus?filter=%5Ehttp%5C.eg-stats-http%5C.downstream_rq_total%24";
        let answer = Connection::open(address).await?.send(&Target::new(&address.to_string(), path)?).await?;
        let text = String::from_utf8_lossy(&answer.body);
        let count = text.lines().find_map(|line| line.strip_prefix(name));
        all.push(count.with_context(|| format!("no count of requests: {text}"))?.trim().parse()?);
    }
    Ok(all)
}
