//! The latency of a request for a suspended unit, which starts the unit and is held until it is ready. Alternates with
//! bare pods of the same spec.

use std::time::Instant;

use anyhow::{Context, ensure};
use computing_unit_api::{ComputingUnit, Phase};
use http::StatusCode;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{DeleteParams, ObjectMeta, PostParams},
};

use super::{
    pods::Pods,
    table::{self, Times, milliseconds},
};
use crate::{
    activator,
    fixture::{Fixture, SOON, with_fixture},
    traffic::follow,
    units::Mode,
};

/// The goal for the overhead over a bare pod, in milliseconds.
const GOAL: &str = "300";
/// The names of the unit and the bare pod.
const NAMES: (&str, &str) = ("ada", "bare");

/// The measurements.
#[derive(Default)]
struct Sample {
    /// From the creation of a bare pod to its readiness.
    bare: Times,
    /// From a request to the first 200.
    woken: Times,
    /// The same without the start time of the unit's own pod.
    over_own: Times,
    /// From the request to the creation of the unit's pod.
    made: Times,
    /// From the readiness of the unit's pod to the first 200.
    answered: Times,
    /// The number of requests that had to be retried.
    refused: usize,
}

/// Wakes one unit `count` times.
///
/// # Errors
/// If it is not started.
pub async fn measure(count: usize) -> anyhow::Result<()> {
    let Some(sample) = with_fixture("wakes", |fixture| async move { turns(fixture, count).await }).await? else {
        return Ok(());
    };
    let row =
        |what: &str, cells: Vec<String>, goal: &str| [vec![what.to_owned()], cells, vec![goal.to_owned()]].concat();
    let over =
        [0.5, 0.99, 1.0].map(|share| format!("{:.1}", sample.woken.quantile(share) - sample.bare.quantile(share)));
    table::heading(&format!("Waking: {count} requests for a suspended unit, alternating with bare pods"));
    table::print(
        &["milliseconds", "median", "99 %", "max", "goal"],
        &[
            row("bare pod: create request to ready", sample.bare.cells(), ""),
            row("request to first 200", sample.woken.cells(), ""),
            row("second row minus first row", over.to_vec(), GOAL),
            row("request to first 200, minus the start of its own pod", sample.over_own.cells(), GOAL),
            row("request to pod of the unit observed", sample.made.cells(), ""),
            row("pod of the unit ready to first 200", sample.answered.cells(), ""),
        ],
    );
    println!("\nRequests that had to be retried: {} of {count}", sample.refused);
    Ok(())
}

async fn turns(mut fixture: Fixture, count: usize) -> anyhow::Result<Option<Sample>> {
    if !activator::serve_activator(&mut fixture).await? {
        return Ok(None);
    }
    let _operator = fixture.start().await?;
    let pool = activator::pool(&fixture, Mode::Query, &activator::WAKES());
    activator::create_pool(&fixture, &pool).await?;
    let pods = Pods::watch(fixture.pods()).await?;
    let unit = fixture.unit(NAMES.0);
    fixture.create(&unit).await?;
    fixture.until(NAMES.0, Phase::Ready).await?;
    let bare = like(fixture.pods().get(NAMES.0).await?);
    let mut sample = Sample::default();
    for _ in 0..count {
        start_bare(&fixture, &pods, &bare, &mut sample).await?;
        wake(&fixture, &pods, &unit, &mut sample).await?;
    }
    Ok(Some(sample))
}

/// A bare pod with the spec of the unit's pod.
fn like(pod: Pod) -> Pod {
    let mut spec = pod.spec;
    if let Some(spec) = &mut spec {
        spec.node_name = None;
    }
    Pod { metadata: ObjectMeta { name: Some(NAMES.1.to_owned()), ..ObjectMeta::default() }, spec, status: None }
}

async fn start_bare(fixture: &Fixture, pods: &Pods, pod: &Pod, sample: &mut Sample) -> anyhow::Result<()> {
    let sent = Instant::now();
    fixture.pods().create(&PostParams::default(), pod).await?;
    let (_, ready) = pods.ready(&pod.name_any()).await?;
    sample.bare.add(milliseconds(ready - sent));
    fixture.pods().delete(&pod.name_any(), &DeleteParams::default()).await?;
    pods.gone(&pod.name_any()).await
}

async fn wake(fixture: &Fixture, pods: &Pods, unit: &ComputingUnit, sample: &mut Sample) -> anyhow::Result<()> {
    let name = unit.name_any();
    fixture.set_mode(&name, "Suspended").await?;
    fixture.until(&name, Phase::Suspended).await?;
    pods.gone(&name).await?;

    let proxy = *fixture.cluster.proxies().await?.first().context("a proxy")?;
    let path = format!("{}?cuid={}", activator::path(fixture), unit.spec.cuid.unwrap_or_default());
    let (mut held, mut refused) = (false, false);
    let sent = Instant::now();
    let answer = follow(proxy, "localhost", &path, SOON, |answer| {
        held |= answer.status == StatusCode::TEMPORARY_REDIRECT;
        refused |= answer.status == StatusCode::SERVICE_UNAVAILABLE;
    })
    .await?;
    let took = sent.elapsed();
    ensure!(held || refused, "the unit was not suspended; answered by {}", answer.by());
    let (seen, ready) = pods.ready(&name).await?;
    let before = |earlier: Instant, later: Instant| milliseconds(later.saturating_duration_since(earlier));
    sample.woken.add(milliseconds(took));
    sample.over_own.add(milliseconds(took) - before(seen.made, ready));
    sample.made.add(before(sent, seen.made));
    sample.answered.add(before(ready, sent + took));
    sample.refused += usize::from(refused);
    fixture.until(&name, Phase::Ready).await.map(drop)
}
