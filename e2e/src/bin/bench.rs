//! `make bench`: the figures of `docs/performance.md`, on the cluster in use.

use clap::{Parser, ValueEnum};
use e2e::bench::{churn, cost, hops, idle, lookup, speed, suspend, traffic, wake};

/// Measures the operator on the cluster in use and prints tables.
#[derive(Parser)]
struct Args {
    /// Units, and plain pods, to start one after another
    #[arg(long, default_value_t = 200)]
    starts: usize,

    /// Units to count the writes of
    #[arg(long, default_value_t = 20)]
    counts: usize,

    /// Units to have at once
    #[arg(long, default_value_t = 100)]
    many: usize,

    /// Units with simulated pods to look at
    #[arg(long, default_value_t = 1000)]
    watched: usize,

    /// Suspensions of one unit
    #[arg(long, default_value_t = 100)]
    suspensions: usize,

    /// Requests that wake a suspended unit, and bare pods beside them
    #[arg(long, default_value_t = 50)]
    wakes: usize,

    /// Comings and goings under load, in each mode and with each number of proxies
    #[arg(long, default_value_t = 20)]
    cycles: usize,

    /// Rounds of the comparison with the two proxies of before
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// Units to come and go beside others' requests, in five minutes
    #[arg(long, default_value_t = 200)]
    churn: usize,

    /// Units with simulated pods to find one among
    #[arg(long, default_value_t = 500)]
    among: usize,

    /// Which parts; all without
    #[arg(value_enum)]
    parts: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// How much is written, and how much memory it takes
    Cost,
    /// How fast a unit can be reached
    Speed,
    /// How fast a unit is resumed, and what suspending many does to others
    Suspend,
    /// How long a request for a suspended unit takes
    Wake,
    /// What it costs to look whether units are in use
    Idle,
    /// What requests meet
    Traffic,
    /// One gateway beside the two proxies of before
    Hops,
    /// What others meet while many units come and go
    Churn,
    /// What it costs to find a unit among many
    Lookup,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Args { starts, counts, many, watched, suspensions, wakes, cycles, rounds, churn: coming, among, parts } =
        Args::parse();
    for part in Part::value_variants().iter().filter(|part| parts.is_empty() || parts.contains(part)) {
        match part {
            Part::Cost => Box::pin(cost::measure(counts, many)).await?,
            Part::Speed => Box::pin(speed::measure(starts)).await?,
            Part::Suspend => Box::pin(suspend::measure(suspensions, many)).await?,
            Part::Wake => Box::pin(wake::measure(wakes)).await?,
            Part::Idle => Box::pin(idle::measure(watched)).await?,
            Part::Traffic => Box::pin(traffic::measure(cycles)).await?,
            Part::Hops => Box::pin(hops::measure(rounds)).await?,
            Part::Churn => Box::pin(churn::measure(coming)).await?,
            Part::Lookup => Box::pin(lookup::measure(among)).await?,
        }
    }
    Ok(())
}
