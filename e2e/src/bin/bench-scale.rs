//! `make bench-scale`: the operator with many units, on the current cluster.

use std::path::PathBuf;

use clap::Parser;
use e2e::bench::scale::{self, plan::Plan, results};

/// Measures the operator with many units. The pods are simulated.
#[derive(Parser)]
struct Args {
    /// Draw the page and the plots of the results in this folder again, and measure nothing
    #[arg(long, value_name = "FOLDER")]
    redraw: Option<PathBuf>,

    #[command(flatten)]
    plan: Plan,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Args { redraw, plan } = Args::parse();
    match redraw {
        Some(folder) => results::redraw(&folder),
        None => Box::pin(scale::measure(plan)).await,
    }
}
