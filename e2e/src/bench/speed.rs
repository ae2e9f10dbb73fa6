//! The time from a ready pod to the first response through the gateway, and from the creation of a unit to that of its
//! pod. Units alternate with plain pods and routes.

use std::time::Instant;

use super::{
    pods::Pods,
    table::{self, Times, milliseconds},
};
use crate::{
    fixture::{Fixture, SOON, with_fixture},
    plain::Plain,
    traffic::{First, Reuse, Target, first_success},
    units::{self, Mode},
};

/// The times of one kind.
#[derive(Default)]
struct Sample {
    made: Times,
    answered: Times,
    errors: u64,
}

impl Sample {
    async fn add(&mut self, name: &str, pods: &Pods, sent: Instant, first: First) -> anyhow::Result<()> {
        let (seen, ready) = pods.ready(name).await?;
        self.made.add(milliseconds(seen.made - sent));
        let later = milliseconds(first.at.saturating_duration_since(ready));
        let sooner = milliseconds(ready.saturating_duration_since(first.at));
        self.answered.add(later - sooner);
        self.errors += first.before.iter().filter(|(status, _)| **status >= 500).map(|(_, count)| count).sum::<u64>();
        Ok(())
    }
}

/// Measures `count` of each.
///
/// # Errors
/// If one of them is not answered in time.
pub async fn measure(count: usize) -> anyhow::Result<()> {
    with_fixture("speed", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        let pods = Pods::watch(fixture.pods()).await?;
        let (mut units, mut plain) = (Sample::default(), Sample::default());
        for number in 0..count {
            unit(&fixture, &pods, &format!("unit-{number}"), &mut units).await?;
            bare(&fixture, &pods, &format!("plain-{number}"), &mut plain).await?;
        }
        table::heading(&format!("Start latency: {count} of each, alternating"));
        let row = |what: &str, times: &Times, goal: &str| {
            let mut row = vec![what.to_owned()];
            row.extend(times.cells());
            row.push(goal.to_owned());
            row
        };
        table::print(
            &["milliseconds", "median", "99 %", "max", "goal"],
            &[
                row("unit: create request to pod observed", &units.made, "median 20"),
                row("plain pod: create request to pod observed", &plain.made, ""),
                row("unit: pod ready to first 200", &units.answered, "median 150, 99 % 300"),
                row("plain route: pod ready to first 200", &plain.answered, ""),
            ],
        );
        println!("\n5xx before the first 200: {} from units, {} from plain routes", units.errors, plain.errors);
        Ok(())
    })
    .await
}

async fn search(fixture: &Fixture, target: Target) -> anyhow::Result<tokio::task::JoinHandle<anyhow::Result<First>>> {
    let proxy = fixture.cluster.proxies().await?[0];
    Ok(tokio::spawn(async move { first_success(proxy, &target, Reuse::Kept, SOON).await }))
}

async fn unit(fixture: &Fixture, pods: &Pods, name: &str, sample: &mut Sample) -> anyhow::Result<()> {
    let unit = fixture.unit(name);
    let searching = search(fixture, units::target(Mode::Query, &unit)?).await?;
    let sent = Instant::now();
    fixture.create(&unit).await?;
    sample.add(name, pods, sent, searching.await??).await?;
    fixture.delete(name).await?;
    fixture.until_nothing_is_left(name).await
}

/// Creates the pod, Service and route at once, so that the route exists long before the pod is ready.
async fn bare(fixture: &Fixture, pods: &Pods, name: &str, sample: &mut Sample) -> anyhow::Result<()> {
    let plain = Plain::new(fixture, name);
    let searching = search(fixture, plain.target()?).await?;
    let sent = Instant::now();
    plain.make_pod().await?;
    plain.make_route().await?;
    sample.add(name, pods, sent, searching.await??).await?;
    plain.delete().await
}
