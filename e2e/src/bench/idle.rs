//! What it costs to look whether many units are in use: processor time of the operator a look, and writes.

use std::{fs, time::Duration};

use anyhow::Context;
use computing_unit_operator::api::{ComputingUnit, Phase};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    ResourceExt,
    api::{ListParams, PostParams},
};
use serde_json::json;

use super::table;
use crate::{
    faults::OperatorProcess,
    stage::{Stage, play},
    units::{self, Mode, with},
    wait::eventually,
};

/// How long many units may take to be ready.
const MANY: Duration = Duration::from_mins(5);
/// Silence after which every unit's status is written.
const QUIET: Duration = Duration::from_secs(12);
/// How many looks are measured.
const LOOKS: u64 = 20;
/// Ticks of the processor's clock a second, as Linux tells them to programs.
const TICKS: f64 = 100.0;

/// Looks at `many` units that nobody uses.
///
/// # Errors
/// If they do not start.
pub async fn measure(many: usize) -> anyhow::Result<()> {
    let (took, writes) = play("idle", |stage| async move { look(&stage, many).await }).await?;
    table::heading(&format!("Looks whether {many} units are in use, {LOOKS} of them"));
    table::print(
        &["", "a look", "goal"],
        &[
            vec!["processor time of the operator, ms, all that it does".into(), format!("{took:.1}"), "100".into()],
            vec!["writes to the API server, all looks".into(), writes.to_string(), "0".into()],
        ],
    );
    Ok(())
}

async fn look(stage: &Stage, many: usize) -> anyhow::Result<(f64, u64)> {
    let lifecycle = json!({"spec": {
        "lifecycle": {"idleTimeout": "24h"}, "activity": {"interval": "1s", "gracePeriod": "1s"},
    }});
    stage.pools().create(&PostParams::default(), &with(&stage.pool(Mode::Query), &lifecycle)).await?;
    let operator = stage.start().await?;
    let units: Vec<ComputingUnit> = (0..many).map(|number| stage.unit(&format!("unit-{number}"))).collect();
    stream::iter(&units).map(|unit| stage.make(unit)).buffer_unordered(8).try_collect::<Vec<_>>().await?;
    let ready = || async {
        let units = stage.units().list(&ListParams::default()).await?;
        let so = |unit: &&ComputingUnit| units::phase(Some(unit)) == Some(Phase::Ready);
        Ok((units.items.iter().filter(so).count() == many).then_some(()))
    };
    eventually(&format!("{many} Ready units"), MANY, ready).await?;
    let counts = stage.proxy.quiet(QUIET, MANY).await?;

    let (began, first) = (processor(&operator)?, looks(&operator).await?);
    let enough = || async { Ok((looks(&operator).await? >= first + LOOKS).then_some(())) };
    eventually("enough looks", MANY, enough).await?;
    let ticks = processor(&operator)? - began;
    let done = looks(&operator).await? - first;
    let writes = stage.proxy.counts().since(&counts).writes();
    let number = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let took = number(ticks) / TICKS * 1000.0 / number(done);
    let delete = |unit: &ComputingUnit| {
        let name = unit.name_any();
        async move { stage.delete(&name).await }
    };
    stream::iter(&units).map(delete).buffer_unordered(16).try_collect::<Vec<_>>().await?;
    Ok((took, writes))
}

async fn looks(operator: &OperatorProcess) -> anyhow::Result<u64> {
    let text = operator.metrics().await?;
    let line = text.lines().find_map(|line| line.strip_prefix("computing_unit_operator_activity_scans_total "));
    Ok(line.context("the count of looks")?.parse()?)
}

/// Ticks of the processor that the operator has taken.
fn processor(operator: &OperatorProcess) -> anyhow::Result<u64> {
    let id = operator.id().context("the operator runs")?;
    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, rest) = text.rsplit_once(')').context("its name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).context("its times");
    Ok(ticks(11)? + ticks(12)?)
}
