//! What units cost: writes to the API server, counted on the way there and by the API server itself, and the operator's
//! memory.

use std::time::Duration;

use computing_unit_api::{ComputingUnit, Phase};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use super::{pods::Pods, server, table};
use crate::{
    faults::{Class, Counts, Operator, OperatorProcess},
    stage::{SOON, Stage, play},
    units::{self, Mode},
    wait::{eventually, pass},
};

/// Silence after which nothing more is to come.
const QUIET: Duration = Duration::from_secs(12);
/// How long many units may take to be ready.
const MANY: Duration = Duration::from_mins(5);

/// Measures single units, `singles` of them, and `many` at once.
///
/// # Errors
/// If a unit does not come or go.
pub async fn measure(singles: usize, many: usize) -> anyhow::Result<()> {
    let mut rows = play("cost", |stage| async move { one_by_one(&stage, singles).await }).await?;
    let (more, memory) = play("many", |stage| async move { at_once(&stage, many).await }).await?;
    rows.extend(more);
    table::heading("What is written to the API server");
    table::print(&["", "writes, counted at the client", "by the API server", "Leases", "Events", "goal"], &rows);
    table::heading("Resident memory of the operator");
    table::print(&["", "MiB"], &memory);
    Ok(())
}

/// An operator that holds a Lease, as an installed one does.
async fn leader(stage: &Stage) -> anyhow::Result<OperatorProcess> {
    let log = std::env::temp_dir().join(format!("{}.log", stage.namespace));
    let mut operator = Operator::new(stage.proxy.kubeconfig(), &log)
        .watch(&[&stage.namespace])
        .gateways(&[&stage.cluster.gateway().namespace])
        .leader(Some((&stage.namespace, "bench")))
        .start()?;
    operator.ready(SOON).await?;
    Ok(operator)
}

/// The most of several counts.
#[derive(Default)]
struct Most([u64; 4]);

impl Most {
    fn add(&mut self, counts: &Counts, server: u64) {
        let counts = counts.only(|call| call.resource != "computingunitpools");
        let seen = [counts.writes(), server, counts.of(Class::Lease), counts.of(Class::Event)];
        for (most, seen) in self.0.iter_mut().zip(seen) {
            *most = seen.max(*most);
        }
    }

    fn row(&self, what: &str, goal: u64) -> Vec<String> {
        let mut row = vec![what.to_owned()];
        row.extend(self.0.iter().map(ToString::to_string));
        row.push(goal.to_string());
        row
    }
}

async fn one_by_one(stage: &Stage, count: usize) -> anyhow::Result<Vec<Vec<String>>> {
    stage.make_pool(Mode::Query).await?;
    let _operator = leader(stage).await?;
    let (mut starts, mut noises, mut ends) = (Most::default(), Most::default(), Most::default());
    for number in 0..count {
        let name = format!("unit-{number}");
        let before = snapshot(stage).await?;
        stage.make(&stage.unit(&name)).await?;
        stage.until(&name, Phase::Ready).await?;
        // What the last write has told may still be on its way into the count.
        stage.proxy.quiet(Duration::from_secs(1), SOON).await?;
        starts.add(&stage.proxy.counts().since(&before.0), before.more(stage).await?);

        let before = snapshot(stage).await?;
        let noise = json!({"status": {"conditions": [{"type": "example.org/Other", "status": "True"}]}});
        stage.pods().patch_status(&name, &PatchParams::default(), &Patch::Strategic(&noise)).await?;
        stage.proxy.quiet(Duration::from_secs(2), SOON).await?;
        noises.add(&stage.proxy.counts().since(&before.0), before.more(stage).await?);

        let before = snapshot(stage).await?;
        stage.delete(&name).await?;
        stage.until_nothing_is_left(&name).await?;
        ends.add(&stage.proxy.counts().since(&before.0), before.more(stage).await?);
    }
    Ok(vec![
        starts.row(&format!("create to Ready, most of {count}"), 7),
        noises.row("a change of the pod's status that does not matter", 0),
        ends.row(&format!("delete to gone, most of {count}"), 3),
    ])
}

type Rows = Vec<Vec<String>>;

async fn at_once(stage: &Stage, count: usize) -> anyhow::Result<(Rows, Rows)> {
    let mib = |bytes: u64| format!("{:.1}", f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0);
    stage.make_pool(Mode::Query).await?;
    let operator = leader(stage).await?;
    stage.proxy.quiet(QUIET, SOON).await?;
    let mut memory = vec![vec!["no unit".to_owned(), mib(operator.resident_memory()?)]];
    let pods = Pods::watch(stage.pods()).await?;
    let units: Vec<_> = (0..count).map(|number| stage.unit(&format!("unit-{number}"))).collect();
    stream::iter(&units).map(|unit| stage.make(unit)).buffer_unordered(8).try_collect::<Vec<_>>().await?;
    pods.all_ready(count, MANY).await?;
    let all_ready = || async {
        let units = stage.units().list(&ListParams::default()).await?;
        let ready = |unit: &&ComputingUnit| units::phase(Some(unit)) == Some(Phase::Ready);
        Ok((units.items.iter().filter(ready).count() == count).then_some(()))
    };
    eventually(&format!("{count} Ready units"), MANY, all_ready).await?;
    stage.proxy.quiet(QUIET, SOON).await?;
    memory.push(vec![format!("{count} units"), mib(operator.resident_memory()?)]);

    let minute = Duration::from_mins(1);
    let before = snapshot(stage).await?;
    pass(minute).await;
    let mut quiet = Most::default();
    quiet.add(&stage.proxy.counts().since(&before.0), before.more(stage).await?);

    let before = snapshot(stage).await?;
    let operator = operator.restart(SOON).await?;
    stage.proxy.quiet(QUIET, SOON).await?;
    let mut restart = Most::default();
    restart.add(&stage.proxy.counts().since(&before.0), before.more(stage).await?);
    memory.push(vec![format!("{count} units, after a restart"), mib(operator.resident_memory()?)]);
    let delete = |unit: &ComputingUnit| {
        let name = unit.name_any();
        async move { stage.delete(&name).await }
    };
    stream::iter(&units).map(delete).buffer_unordered(16).try_collect::<Vec<_>>().await?;
    Ok((
        vec![
            quiet.row(&format!("a quiet minute with {count} units"), 0),
            restart.row(&format!("a restart of the operator with {count} units"), 0),
        ],
        memory,
    ))
}

struct Snapshot(Counts, server::Requests);

impl Snapshot {
    /// How many of the operator's writes the API server has counted since.
    async fn more(&self, stage: &Stage) -> anyhow::Result<u64> {
        Ok(server::since(&server::requests(&stage.cluster.client()).await?, &self.1))
    }
}

async fn snapshot(stage: &Stage) -> anyhow::Result<Snapshot> {
    let requests = server::requests(&stage.cluster.client()).await?;
    Ok(Snapshot(stage.proxy.counts(), requests))
}
