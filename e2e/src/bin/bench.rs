//! `make bench`: the measurements in `docs/performance.md`, on the current cluster.

use clap::{Parser, ValueEnum};
use e2e::bench::{
    churn, cost,
    hops::{self, minimal},
    idle, lookup, scenarios, speed, suspend, traffic, wake,
};

/// Measures the operator on the current cluster and prints tables.
#[derive(Parser)]
struct Args {
    /// Units and plain pods to start, one after another
    #[arg(long, default_value_t = 200)]
    starts: usize,

    /// Units to count the writes for
    #[arg(long, default_value_t = 20)]
    counts: usize,

    /// Units to run at once
    #[arg(long, default_value_t = 100)]
    many: usize,

    /// Units with simulated pods in activity scans
    #[arg(long, default_value_t = 1000)]
    watched: usize,

    /// Of these, units with a busy probe
    #[arg(long, default_value_t = 0)]
    probed: usize,

    /// Suspensions of one unit
    #[arg(long, default_value_t = 100)]
    suspensions: usize,

    /// Requests that wake a suspended unit, and bare pods for comparison
    #[arg(long, default_value_t = 50)]
    wakes: usize,

    /// Create-and-delete cycles under load, for each mode and number of proxies
    #[arg(long, default_value_t = 20)]
    cycles: usize,

    /// Rounds of the comparison with the two former proxies
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// Units to create and delete within five minutes, during requests to other services and units
    #[arg(long, default_value_t = 200)]
    churn: usize,

    /// Units with simulated pods in the lookup benchmark
    #[arg(long, default_value_t = 500)]
    among: usize,

    /// Randomized scenarios of idle detection
    #[arg(long, default_value_t = 200)]
    scenarios: usize,

    /// The seed of the scenarios
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// The batch of scenarios to run, to reproduce a verdict (default: all)
    #[arg(long)]
    batch: Option<usize>,

    /// Values of the gateway's chart for the comparisons with other proxies, as for `helm --set`
    #[arg(long)]
    set: Vec<String>,

    /// The parts to run (default: all)
    #[arg(value_enum)]
    parts: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Writes to the API server, and memory
    Cost,
    /// Time until a unit is reachable
    Speed,
    /// Time to resume a unit, and the effect of many suspensions on other units
    Suspend,
    /// Latency of a request for a suspended unit
    Wake,
    /// Cost of activity scans
    Idle,
    /// Whether units are stopped at the right time
    IdleScenarios,
    /// Errors during create-and-delete cycles
    Traffic,
    /// One gateway compared with the two former proxies
    Hops,
    /// A static request through nginx, a minimal Envoy and the gateway
    Minimal,
    /// Effect of many create-and-delete cycles on other services and units
    Churn,
    /// Cost of finding a unit among many
    Lookup,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Args {
        starts,
        counts,
        many,
        watched,
        probed,
        suspensions,
        wakes,
        cycles,
        rounds,
        churn: coming,
        among,
        scenarios,
        seed,
        batch,
        set,
        parts,
    } = Args::parse();
    for part in Part::value_variants().iter().filter(|part| parts.is_empty() || parts.contains(part)) {
        match part {
            Part::Cost => Box::pin(cost::measure(counts, many)).await?,
            Part::Speed => Box::pin(speed::measure(starts)).await?,
            Part::Suspend => Box::pin(suspend::measure(suspensions, many)).await?,
            Part::Wake => Box::pin(wake::measure(wakes)).await?,
            Part::Idle => Box::pin(idle::measure(watched, probed)).await?,
            Part::IdleScenarios => Box::pin(scenarios::measure(scenarios, seed, batch)).await?,
            Part::Traffic => Box::pin(traffic::measure(cycles)).await?,
            Part::Hops => Box::pin(hops::measure(rounds, &set)).await?,
            Part::Minimal => Box::pin(minimal::measure(rounds, &set)).await?,
            Part::Churn => Box::pin(churn::measure(coming)).await?,
            Part::Lookup => Box::pin(lookup::measure(among)).await?,
        }
    }
    Ok(())
}
