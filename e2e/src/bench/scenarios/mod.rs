//! Randomized scenarios of idle detection with real Jupyter Servers, and whether each unit was stopped at the right time.
//!
//! A unit is stopped wrongly if it is stopped while in use, or within the idle timeout after the last use. A stop is missed if
//! the unit still runs after twice the idle timeout without use. The last use is what the pool's signals detect, as
//! documented in `docs/idle.md`. If idleness is counted from the start after a fault, it begins when the system has recovered.

mod draw;
mod fault;
mod play;
mod report;
mod stage;
mod verdict;

use std::time::Duration;

use anyhow::Context;
use computing_unit_api::{ComputingUnit, Phase};
use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::timeout};

use self::{
    draw::{Activity, Batch, Signals, batch},
    fault::Operators,
    play::Scene,
    report::{Outcome, print},
    stage::{Diary, Stage},
    verdict::Limits,
};
use crate::{
    applications::{bring, documented_probes},
    fixture::{Fixture, with_fixture},
    gateway::scale_proxies,
    idle::activity,
    jupyter::JUPYTER,
    proxies::own,
    units::{self, Mode, with},
    wait::{eventually, until},
};

/// Units that run at the same time.
const UNITS: usize = 25;
/// Jupyter Servers that start at the same time.
const STARTS: usize = 6;
/// The deadline for the start of a unit.
const START: Duration = Duration::from_mins(5);
/// How long use of a terminal counts. The documented expression has five minutes.
const TERMINAL: u32 = 10;

/// Runs so many scenarios, drawn from `seed`, or the batch of one number only.
///
/// # Errors
/// If a unit does not start. A wrong verdict is not an error.
pub async fn measure(scenarios: usize, seed: u64, only: Option<usize>) -> anyhow::Result<()> {
    let outcomes = with_fixture("scenarios", |mut fixture| async move {
        if !bring(JUPYTER.application).await? || !own(&mut fixture).await? {
            return Ok(vec![]);
        }
        make_pools(&fixture).await?;
        let mut outcomes = vec![];
        for number in (0..scenarios.div_ceil(UNITS)).filter(|number| only.is_none_or(|only| only == *number)) {
            let batch = batch(seed, number, UNITS.min(scenarios - number * UNITS));
            eprintln!("batch {number} of seed {seed}: {}", batch.fault);
            let played = Box::pin(run(&fixture, number, &batch)).await;
            outcomes.extend(played.with_context(|| format!("batch {number} of seed {seed}"))?);
        }
        Ok(outcomes)
    })
    .await?;
    print(seed, &outcomes);
    Ok(())
}

/// The name of the pool for a scenario.
fn pool(activity: Activity, signals: Signals) -> String {
    let polls = if activity == Activity::PollingPage { "-polls" } else { "" };
    format!("{signals:?}{polls}").to_lowercase()
}

/// A pool for each set of signals. They do not stop units yet.
async fn make_pools(fixture: &Fixture) -> anyhow::Result<()> {
    let probes = documented_probes("### Jupyter Server, JupyterLab")?.to_string();
    let probes: Value = serde_json::from_str(&probes.replace("duration('5m')", &format!("duration('{TERMINAL}s')")))?;
    for (activity, signals) in [Activity::Nothing, Activity::PollingPage]
        .into_iter()
        .flat_map(|activity| [Signals::Gateway, Signals::Probes, Signals::Both].map(|signals| (activity, signals)))
    {
        let probes = if signals == Signals::Gateway { json!([]) } else { probes.clone() };
        let mode = if signals == Signals::Probes { "Disabled" } else { "Enabled" };
        let (rate, bytes) = if activity == Activity::PollingPage { (play::POLLS_PER_MINUTE, 5000) } else { (0, 200) };
        let change = json!({
            "metadata": {"name": pool(activity, signals)},
            "spec": {
                "lifecycle": {"idleTimeout": null, "startTimeout": "10m"},
                "activity": {"gateway": {"mode": mode, "requestsPerMinute": rate, "bytesPerSecond": bytes}},
            },
        });
        fixture.create_pool(&with(&JUPYTER.pool(fixture, &probes), &change)).await?;
    }
    Ok(())
}

/// Changes all pools.
async fn edit_pools(fixture: &Fixture, spec: &Value) -> anyhow::Result<()> {
    for pool in fixture.pools().list(&kube::api::ListParams::default()).await? {
        let patch = Patch::Merge(json!({"spec": spec}));
        fixture.pools().patch(&pool.name_any(), &PatchParams::default(), &patch).await?;
    }
    Ok(())
}

async fn run(fixture: &Fixture, number: usize, batch: &Batch) -> anyhow::Result<Vec<Outcome>> {
    scale_proxies(&fixture.cluster, batch.proxies).await?;
    let mut operators = Operators::start(fixture, batch.fault).await?;
    let names: Vec<String> = (0..batch.units.len()).map(|unit| format!("u{number}-{unit}")).collect();
    let before = Stage::begin(fixture.cluster.clone());
    let prepare = |(name, (activity, signals)): (&String, &(Activity, Signals))| {
        let unit = with(&fixture.unit(name), &json!({"spec": {"poolName": pool(*activity, *signals)}}));
        let (before, activity) = (before.clone(), *activity);
        async move {
            fixture.create(&unit).await?;
            let ready = |unit: Option<&ComputingUnit>| units::phase(unit) == Some(Phase::Ready);
            until("Ready", START, fixture.units(), &unit.name_any(), ready).await?;
            let host = units::address(Mode::Host, &unit).0;
            let prepared = || async { Ok(Scene::prepare(&before, &host, activity, batch.fault_at).await.ok()) };
            eventually("kernel or terminal", START, prepared).await
        }
    };
    let prepared = stream::iter(names.iter().zip(&batch.units)).map(prepare).buffered(STARTS);
    let scenes: Vec<Scene> = prepared.try_collect().await?;

    let stage = Stage::begin(fixture.cluster.clone());
    let interval = format!("{}s", batch.interval);
    let idle = json!({"lifecycle": {"idleTimeout": format!("{}s", batch.timeout)}, "activity": {"interval": interval}});
    edit_pools(fixture, &idle).await?;
    let watching = {
        let (stage, units) = (stage.clone(), fixture.units());
        tokio::spawn(async move { stage.watch(units).await })
    };
    let mut playing = JoinSet::new();
    for (index, ((scene, name), (activity, signals))) in
        scenes.into_iter().zip(names.clone()).zip(&batch.units).enumerate()
    {
        let (stage, diary) = (stage.clone(), Diary::new(stage.clone(), &name));
        let period = if matches!(activity, Activity::Terminal(_)) { f64::from(TERMINAL) } else { 0.0 };
        let limits = Limits { timeout: batch.timeout, period };
        let (activity, signals, fault) = (*activity, *signals, batch.fault);
        playing.spawn(async move {
            observe(&stage, &scene, &diary, &name, limits).await;
            let timeline = diary.timeline();
            Outcome {
                batch: number,
                index,
                name,
                activity,
                signals,
                fault,
                limits,
                timeline,
                notes: diary.notes(),
                unit: None,
            }
        });
    }
    stage.until(batch.fault_at).await;
    fault::happen(batch.fault, fixture, &stage, &mut operators).await?;
    let mut outcomes = playing.join_all().await;
    outcomes.sort_by_key(|outcome| outcome.index);
    for outcome in &mut outcomes {
        let unit = fixture.units().get(&outcome.name).await?;
        outcome.unit = Some(json!({"activity": activity(Some(&unit)), "annotations": unit.annotations()}));
    }
    report::progress(&outcomes);
    watching.abort();

    edit_pools(fixture, &json!({"lifecycle": {"idleTimeout": null}})).await?;
    let delete = |name: String| async move {
        fixture.units().delete(&name, &DeleteParams::default()).await?;
        until("deletion", START, fixture.units(), &name, |unit| unit.is_none()).await
    };
    let deleted = join_all(names.into_iter().map(delete)).await;
    deleted.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    Ok(outcomes)
}

/// Plays a scenario until the unit is stopped, or should have been.
async fn observe(stage: &std::sync::Arc<Stage>, scene: &Scene, diary: &Diary, name: &str, limits: Limits) {
    diary.used(0.0, stage.now(), "start");
    let play = async {
        if let Err(error) = scene.play(stage, diary).await {
            diary.note(&format!("failed: {error:#}"));
        }
        // The WebSocket of a page that stays open is held by `play`, which does not return.
    };
    let ended = async {
        loop {
            if stage.stopped(name).is_some() {
                return;
            }
            let latest = diary.timeline().latest_stop(limits);
            if stage.now() > latest + 1.0 && stage.now() > scene.busy_until() + 2.0 * limits.timeout {
                return;
            }
            let _ = timeout(Duration::from_millis(200), std::future::pending::<()>()).await;
        }
    };
    let mut play = std::pin::pin!(play);
    let mut ended = std::pin::pin!(ended);
    tokio::select! {
        () = &mut play => ended.await,
        () = &mut ended => {}
    }
}
