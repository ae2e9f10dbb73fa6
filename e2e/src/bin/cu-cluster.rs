//! `cu-cluster`: starts and stops the local cluster.

use std::{fs, net::SocketAddr};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use e2e::cluster::{
    application_images::{self, Application},
    down::down,
    forward,
    images::Own,
    layout::{self, Layout},
    lock, packages,
    process::Processes,
    up::{audited, helm, link, load, port, up},
    volumes,
};

/// Manages a local Kubernetes cluster with Envoy Gateway.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the cluster if it is not running
    Up {
        /// Do not make this cluster the current one of the checkout
        #[arg(long, hide = true)]
        apart: bool,
        /// Write an audit log, also if the cluster is running without one. Benchmarks count API calls by it
        #[arg(long)]
        audit: bool,
    },
    /// Stop the cluster and remove everything that belongs to it
    Down {
        /// The name of the cluster (default: that of this checkout)
        name: Option<String>,
    },
    /// Stop clusters of processes that have ended: those named with this prefix and the pid of such a process
    Sweep {
        /// The prefix of the names
        prefix: String,
    },
    /// Build images from the compiled operator and stand-in engine, and load them into the cluster
    Images {
        /// The images to load (default: all)
        #[arg(value_enum)]
        which: Vec<Own>,
    },
    /// Install `JupyterLab`, code-server and Shiny from their registries, and load their images into the cluster
    Applications,
    /// Install Helm into .cluster/bin, without a cluster
    Helm,
    /// List the clusters
    List,
    /// Print the log of one of the cluster's processes
    Log {
        /// The name of the process, such as `kubelet`
        process: String,
    },
    /// Forward a local port to an address, and let all users write to new volumes
    #[command(hide = true)]
    Forward {
        /// The local port
        port: u16,
        /// The address to forward to
        to: SocketAddr,
    },
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Up { apart, audit } => match kind()? {
            Kind::Local => {
                let layout = up(&layout::name()?)?;
                if audit {
                    audited(&layout)?;
                }
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
        Command::Applications => match kind()? {
            Kind::Local => application_images::load(&layout::name()?, &Application::ALL),
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
            let both = async { tokio::try_join!(forward::forward(port, to), volumes::open_new()) };
            runtime.block_on(both).map(drop)
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
            eprintln!("using the cluster of the current kubeconfig context");
            Kind::Current
        }
        Ok(other) => bail!("CLUSTER={other}: use local, or current for the cluster of the current context of kubectl"),
    })
}

fn remove(name: &str) -> anyhow::Result<()> {
    let _lock = Layout::lock(name)?;
    // An interrupted start can leave resources without a number. A new number does not change their names.
    down(&Layout::claim(name)?)
}

fn sweep(prefix: &str) -> anyhow::Result<()> {
    for layout in Layout::all()?.into_iter().filter(|layout| layout.name.starts_with(prefix)) {
        let process = layout.name[prefix.len()..].parse::<i32>().ok();
        let alive = process.is_some_and(|pid| e2e::cluster::process::find(pid).is_some());
        let locked = lock::try_hold(&layout::states()?.join(format!("{}.lock", layout.name)))?.is_none();
        if !alive && !locked {
            eprintln!("stopping {}, left behind by a killed run", layout.name);
            remove(&layout.name)?;
        }
    }
    Ok(())
}
