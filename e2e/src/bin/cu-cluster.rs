//! `cu-cluster`: starts and stops the local cluster.

use std::{fs, net::SocketAddr};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use e2e::cluster::{
    down::down,
    forward,
    images::Own,
    layout::{self, Layout},
    lock, packages,
    process::Processes,
    up::{helm, link, load, port, up},
};

/// A local Kubernetes with Envoy Gateway.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring the cluster up, if it is not
    Up {
        /// Leave the checkout with the cluster that it has
        #[arg(long, hide = true)]
        apart: bool,
    },
    /// Take the cluster down, with all that is left of it
    Down {
        /// Another than that of this checkout
        name: Option<String>,
    },
    /// Take down the clusters whose names begin so and whose process, which their names end with, is gone
    Sweep {
        /// How the names begin
        prefix: String,
    },
    /// Package the operator and the stand-in engine as they were built, and bring their images into the cluster
    Images {
        /// Those that are needed, all without
        #[arg(value_enum)]
        which: Vec<Own>,
    },
    /// Put Helm into .cluster/bin, without a cluster
    Helm,
    /// Tell which clusters there are
    List,
    /// Print the log of one of the cluster's processes
    Log {
        /// Such as `kubelet`
        process: String,
    },
    /// Lead a port to an address, until ended
    #[command(hide = true)]
    Forward {
        /// Port of the loopback address
        port: u16,
        /// Where to
        to: SocketAddr,
    },
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Up { apart } => match kind()? {
            Kind::Local => {
                let layout = up(&layout::name()?)?;
                if apart { Ok(()) } else { link(&layout) }
            }
            Kind::Current => Ok(()),
        },
        Command::Down { name } => {
            let name = name.map_or_else(layout::name, Ok)?;
            remove(&name)?;
            let folder = layout::checkout().join(".cluster");
            if fs::read_to_string(folder.join("name")).is_ok_and(|own| own == name) {
                fs::remove_dir_all(folder)?;
            }
            Ok(())
        }
        Command::Sweep { prefix } => sweep(&prefix),
        Command::Images { which } => match kind()? {
            Kind::Local if which.is_empty() => load(&layout::name()?, &Own::ALL),
            Kind::Local => load(&layout::name()?, &which),
            Kind::Current => Ok(()),
        },
        Command::Helm => packages::install().and_then(|()| helm()),
        Command::List => {
            for layout in Layout::all()? {
                println!(
                    "{} {} http://localhost:{}",
                    layout.name,
                    layout.kubeconfig()?.display(),
                    port(&layout).unwrap_or(0)
                );
            }
            Ok(())
        }
        Command::Log { process } => {
            let layout =
                Layout::find(&layout::name()?)?.context("the cluster is not up: run `make demo`, or `make cluster`")?;
            print!("{}", fs::read_to_string(Processes::of(&layout)?.log(&process)).context("no such process")?);
            Ok(())
        }
        Command::Forward { port, to } => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(forward::forward(port, to))
        }
    }
}

enum Kind {
    Local,
    Current,
}

fn kind() -> anyhow::Result<Kind> {
    Ok(match std::env::var("CLUSTER").as_deref() {
        Ok("local" | "") | Err(_) => Kind::Local,
        Ok("current") => {
            eprintln!("using the cluster of the context in use; nothing of it is changed but what is installed");
            Kind::Current
        }
        Ok("kind") => bail!(
            "CLUSTER=kind: make it with `kind create cluster`, install Envoy Gateway and a Gateway \
             envoy-gateway-system/shared, load the images, and use CLUSTER=current (see docs/development.md)"
        ),
        Ok(other) => bail!("CLUSTER={other}: use local, kind or current"),
    })
}

fn remove(name: &str) -> anyhow::Result<()> {
    let _lock = Layout::lock(name)?;
    // A claim that was killed half-way has left things without a number; a new one names the same things.
    down(&Layout::claim(name)?)
}

fn sweep(prefix: &str) -> anyhow::Result<()> {
    for layout in Layout::all()?.into_iter().filter(|layout| layout.name.starts_with(prefix)) {
        let process = layout.name[prefix.len()..].parse::<i32>().ok();
        let alive = process.is_some_and(|pid| e2e::cluster::process::look(pid).is_some());
        let locked = lock::try_hold(&layout::states()?.join(format!("{}.lock", layout.name)))?.is_none();
        if !alive && !locked {
            eprintln!("taking down {}, which a killed run has left", layout.name);
            remove(&layout.name)?;
        }
    }
    Ok(())
}
