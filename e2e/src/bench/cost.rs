//! The cost of units: writes to the API server, counted by the proxy and by the API server, and the memory of the
//! operator.

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
    fixture::{Fixture, SOON, with_fixture},
    units::{self, Mode},
    wait::{eventually, pass},
};

/// The quiet period after which no more writes are expected.
const QUIET: Duration = Duration::from_secs(12);
/// The deadline for the readiness of many units.
const MANY: Duration = Duration::from_mins(5);

/// Measures `singles` units one by one, and `many` at once.
///
/// # Errors
/// If a unit does not become Ready or is not deleted in time.
pub async fn measure(singles: usize, many: usize) -> anyhow::Result<()> {
    let mut rows = with_fixture("cost", |fixture| async move { one_by_one(&fixture, singles).await }).await?;
    let (more, memory) = with_fixture("many", |fixture| async move { at_once(&fixture, many).await }).await?;
    rows.extend(more);
    table::heading("Writes to the API server");
    table::print(&["", "writes, counted by the client", "by the API server", "Leases", "Events", "goal"], &rows);
    table::heading("Resident memory of the operator");
    table::print(&["", "MiB"], &memory);
    Ok(())
}

/// An operator with leader election, like an installed one.
async fn leader(fixture: &Fixture) -> anyhow::Result<OperatorProcess> {
    let log = std::env::temp_dir().join(format!("{}.log", fixture.namespace));
    let mut operator = Operator::new(fixture.proxy.kubeconfig(), &log)
        .watch(&[&fixture.namespace])
        .gateways(&[&fixture.cluster.gateway().namespace])
        .leader(Some((&fixture.namespace, "bench")))
        .start()?;
    operator.ready(SOON).await?;
    Ok(operator)
}

/// The maximum of several counts.
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

async fn one_by_one(fixture: &Fixture, count: usize) -> anyhow::Result<Vec<Vec<String>>> {
    fixture.create_default_pool(Mode::Query).await?;
    let _operator = leader(fixture).await?;
    let (mut starts, mut noises, mut ends) = (Most::default(), Most::default(), Most::default());
    for number in 0..count {
        let name = format!("unit-{number}");
        let before = snapshot(fixture).await?;
        fixture.create(&fixture.unit(&name)).await?;
        fixture.until(&name, Phase::Ready).await?;
        // The count may not include the last write yet.
        fixture.proxy.quiet(Duration::from_secs(1), SOON).await?;
        starts.add(&fixture.proxy.counts().since(&before.0), before.more(fixture).await?);

        let before = snapshot(fixture).await?;
        let noise = json!({"status": {"conditions": [{"type": "example.org/Other", "status": "True"}]}});
        fixture.pods().patch_status(&name, &PatchParams::default(), &Patch::Strategic(&noise)).await?;
        fixture.proxy.quiet(Duration::from_secs(2), SOON).await?;
        noises.add(&fixture.proxy.counts().since(&before.0), before.more(fixture).await?);

        let before = snapshot(fixture).await?;
        fixture.delete(&name).await?;
        fixture.until_nothing_is_left(&name).await?;
        ends.add(&fixture.proxy.counts().since(&before.0), before.more(fixture).await?);
    }
    Ok(vec![
        starts.row(&format!("create to Ready, maximum of {count}"), 7),
        noises.row("an irrelevant change of the pod's status", 0),
        ends.row(&format!("delete to gone, maximum of {count}"), 2),
    ])
}

type Rows = Vec<Vec<String>>;

async fn at_once(fixture: &Fixture, count: usize) -> anyhow::Result<(Rows, Rows)> {
    let mib = |bytes: u64| format!("{:.1}", f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0);
    fixture.create_default_pool(Mode::Query).await?;
    let operator = leader(fixture).await?;
    fixture.proxy.quiet(QUIET, SOON).await?;
    let mut memory = vec![vec!["no unit".to_owned(), mib(operator.resident_memory()?)]];
    let pods = Pods::watch(fixture.pods()).await?;
    let units: Vec<_> = (0..count).map(|number| fixture.unit(&format!("unit-{number}"))).collect();
    stream::iter(&units).map(|unit| fixture.create(unit)).buffer_unordered(8).try_collect::<Vec<_>>().await?;
    pods.all_ready(count, MANY).await?;
    let all_ready = || async {
        let units = fixture.units().list(&ListParams::default()).await?;
        let ready = |unit: &&ComputingUnit| units::phase(Some(unit)) == Some(Phase::Ready);
        Ok((units.items.iter().filter(ready).count() == count).then_some(()))
    };
    eventually(&format!("{count} Ready units"), MANY, all_ready).await?;
    fixture.proxy.quiet(QUIET, SOON).await?;
    memory.push(vec![format!("{count} units"), mib(operator.resident_memory()?)]);

    let minute = Duration::from_mins(1);
    let before = snapshot(fixture).await?;
    pass(minute).await;
    let mut quiet = Most::default();
    quiet.add(&fixture.proxy.counts().since(&before.0), before.more(fixture).await?);

    let before = snapshot(fixture).await?;
    let operator = operator.restart(SOON).await?;
    fixture.proxy.quiet(QUIET, SOON).await?;
    let mut restart = Most::default();
    restart.add(&fixture.proxy.counts().since(&before.0), before.more(fixture).await?);
    memory.push(vec![format!("{count} units, after a restart"), mib(operator.resident_memory()?)]);
    let delete = |unit: &ComputingUnit| {
        let name = unit.name_any();
        async move { fixture.delete(&name).await }
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
    /// The number of the operator's writes since then, as counted by the API server.
    async fn more(&self, fixture: &Fixture) -> anyhow::Result<u64> {
        Ok(server::since(&server::requests(&fixture.cluster.client()).await?, &self.1))
    }
}

async fn snapshot(fixture: &Fixture) -> anyhow::Result<Snapshot> {
    let requests = server::requests(&fixture.cluster.client()).await?;
    Ok(Snapshot(fixture.proxy.counts(), requests))
}
