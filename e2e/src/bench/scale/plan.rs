//! The phases of a run, by command-line options.

use std::{path::PathBuf, str::FromStr, time::Duration};

use anyhow::Context;
use clap::ValueEnum;

use crate::units::Mode;

/// Measures the operator with many units, whose pods are simulated. Without options of phases, all of them.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct Plan {
    /// Fill to these numbers of units, one after another
    #[arg(long, value_delimiter = ',')]
    pub fill: Vec<usize>,

    /// Units that are created at once, on top of the others
    #[arg(long, value_name = "UNITS")]
    pub burst: Option<usize>,

    /// Poisson arrivals a second and their duration, on top of the others
    #[arg(long, value_name = "RATE,SECONDS")]
    pub poisson: Option<Poisson>,

    /// The mean lifetime of units that arrive, in seconds
    #[arg(long, default_value_t = 30)]
    pub lifetime: u64,

    /// The seed of arrivals and lifetimes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Kill the operator and start it again
    #[arg(long)]
    pub restart: bool,

    /// Restart the API server, so that all clients list again
    #[arg(long)]
    pub relist: bool,

    /// Delete all units at once
    #[arg(long)]
    pub delete_all: bool,

    /// Create this number of pools, and a unit in each of some of them
    #[arg(long, value_name = "POOLS")]
    pub pools: Option<usize>,

    /// Units without probes and with Envoy Gateway's controller stopped. Created and deleted
    #[arg(long, value_name = "UNITS")]
    pub bare: Option<usize>,

    /// The maximum number of units that are not usable yet, while filling
    #[arg(long, default_value_t = 100)]
    pub window: usize,

    /// The maximum number of units per phase that requests are sent to until the first 200
    #[arg(long, default_value_t = 300)]
    pub asked: usize,

    /// How units are addressed
    #[arg(long, value_enum, default_value_t = Routing::Path)]
    pub mode: Routing,

    /// The concurrency of the benchmark's requests to the API server
    #[arg(long, default_value_t = 32)]
    pub clients: usize,

    /// Let the operator's calls pass through the proxy of tests, which costs time
    #[arg(long)]
    pub through_proxy: bool,

    /// The operator's log filter
    #[arg(long, default_value = "info")]
    pub operator_log: String,

    /// The folder of the results
    #[arg(long, default_value = "target/bench-scale")]
    pub out: PathBuf,
}

/// A rate and a duration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Poisson {
    /// Arrivals a second.
    pub rate: f64,
    /// How long units arrive.
    pub length: Duration,
}

impl FromStr for Poisson {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (rate, seconds) = text.split_once(',').context("expected RATE,SECONDS")?;
        let rate: f64 = rate.parse().context("the rate")?;
        anyhow::ensure!(rate.is_finite() && rate > 0.0, "the rate must be positive");
        Ok(Self { rate, length: Duration::from_secs(seconds.parse().context("the seconds")?) })
    }
}

/// A routing mode.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Routing {
    /// By path.
    Path,
    /// By query parameter.
    Query,
}

impl Routing {
    /// The mode of the pool.
    #[must_use]
    pub const fn mode(self) -> Mode {
        match self {
            Self::Path => Mode::Path,
            Self::Query => Mode::Query,
        }
    }
}

impl Plan {
    /// The requested phases, or all of them.
    #[must_use]
    pub fn completed(mut self) -> Self {
        let some = !self.fill.is_empty() || self.burst.is_some() || self.poisson.is_some() || self.pools.is_some();
        if !some && self.bare.is_none() && !self.restart && !self.relist && !self.delete_all {
            self.fill = vec![100, 300, 1000, 3000];
            self.poisson = Some(Poisson { rate: 1.0, length: Duration::from_mins(2) });
            (self.burst, self.pools, self.bare) = (Some(300), Some(500), Some(10_000));
            (self.restart, self.relist, self.delete_all) = (true, true, true);
        }
        self.fill.sort_unstable();
        self
    }

    /// Whether there is a phase with units in front of the gateway.
    #[must_use]
    pub fn has_units(&self) -> bool {
        !self.fill.is_empty() || self.burst.is_some() || self.poisson.is_some() || self.restart || self.relist
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        plan: Plan,
    }

    fn plan(args: &[&str]) -> Plan {
        Args::try_parse_from(std::iter::once("bench-scale").chain(args.iter().copied())).unwrap().plan.completed()
    }

    #[test]
    fn without_phases_all_are_run() {
        let all = plan(&["--asked", "10"]);
        assert_eq!(
            (all.fill, all.burst, all.pools, all.bare),
            (vec![100, 300, 1000, 3000], Some(300), Some(500), Some(10_000))
        );
        assert!(all.restart && all.relist && all.delete_all && all.poisson.is_some());
    }

    #[test]
    fn only_phases_that_are_named_are_run() {
        let some = plan(&["--fill", "300,100", "--poisson", "2.5,60"]);
        assert_eq!(some.fill, [100, 300]);
        assert_eq!(some.poisson, Some(Poisson { rate: 2.5, length: Duration::from_mins(1) }));
        assert!(some.burst.is_none() && some.bare.is_none() && !some.restart && !some.delete_all);
        assert!("0,1".parse::<Poisson>().is_err() && "1".parse::<Poisson>().is_err());
    }
}
