//! The local cluster itself: an interrupted start is cleaned up, and another cluster is not disturbed.

use std::{fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use e2e::{
    attach::Cluster,
    cluster::{layout::Layout, process::MARK},
    gateway,
};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client, Config,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use super::with_fixture;

/// The deadline for the start of a cluster beside another.
const UP: Duration = Duration::from_mins(5);

fn harness(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cu-cluster"));
    command.args(args).env("CLUSTER_NAME", name).env("CLUSTER", "local").stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn done(name: &str, args: &[&str]) -> anyhow::Result<()> {
    let status = timeout(UP, harness(name, args).status()).await.context("too slow")??;
    ensure!(status.success(), "{args:?} of {name} ended with {status}");
    Ok(())
}

/// Starts a cluster, and kills `cu-cluster` when it begins `step`.
async fn killed_at(name: &str, step: &str) -> anyhow::Result<()> {
    let mut child = harness(name, &["up", "--apart"]).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let told = async {
        while let Some(line) = lines.next_line().await? {
            println!("{name}: {line}");
            if line.contains(step) {
                return Ok(());
            }
        }
        anyhow::bail!("{name} did not get to {step:?}")
    };
    timeout(UP, told).await.context("too slow")??;
    child.kill().await?;
    Ok(())
}

async fn nodes(kubeconfig: &Path) -> anyhow::Result<usize> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(Api::<Node>::all(Client::try_from(config)?).list(&ListParams::default()).await?.items.len())
}

/// Names of processes that belong to a cluster.
fn processes(layout: &Layout) -> anyhow::Result<Vec<String>> {
    let mark = format!("{MARK}={}", layout.state()?.display());
    let mut found = vec![];
    for entry in fs::read_dir("/proc")?.flatten() {
        let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
            found.push(fs::read_to_string(entry.path().join("comm")).unwrap_or_default());
        }
    }
    Ok(found)
}

fn nothing_is_left(layout: &Layout) -> anyhow::Result<()> {
    let (name, state) = (&layout.name, layout.state()?);
    ensure!(processes(layout)?.is_empty(), "processes: {:?}", processes(layout)?);
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let below =
        |line: &&str| line.contains(&*state.to_string_lossy()) || line.contains(&*layout.run().to_string_lossy());
    ensure!(!mounts.lines().any(|line| below(&line)), "mounts are left");
    ensure!(!Path::new("/run/netns").join(layout.node()).exists(), "the network namespace is left");
    ensure!(!Path::new("/sys/class/net").join(layout.links().0).exists(), "the link is left");
    ensure!(!state.exists() && !layout.run().exists(), "folders are left");
    ensure!(Layout::find(name)?.is_none(), "its number is not given back");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_start_is_cleaned_up_and_another_cluster_is_not_disturbed() -> anyhow::Result<()> {
    with_fixture("local-cluster", |fixture| async move { killed_runs(&fixture.cluster).await }).await
}

async fn killed_runs(cluster: &Cluster) -> anyhow::Result<()> {
    if !gateway::is_ours(cluster).await? {
        println!("NOT RUN: the cluster in use is not a local one");
        return Ok(());
    }
    let before = fs::read(cluster.kubeconfig())?;
    // What a killed run of this test has left.
    done("", &["sweep", "kill-"]).await?;
    let name = format!("kill-{}", std::process::id());
    killed_at(&name, "control plane").await?;
    killed_at(&name, "DNS, Envoy Gateway").await?;
    done(&name, &["up", "--apart"]).await?;
    let layout = Layout::find(&name)?.context("its layout")?;
    ensure!(!processes(&layout)?.is_empty(), "the search for processes finds some");
    ensure!(nodes(&layout.kubeconfig()?).await? == 1, "a node");
    // Up again is up still, and quick; the other cluster has noticed nothing.
    done(&name, &["up", "--apart"]).await?;
    ensure!(nodes(cluster.kubeconfig()).await? == 1, "the node of the other");
    cluster.proxies().await?;
    ensure!(fs::read(cluster.kubeconfig())? == before, "the checkout has the cluster that it had");
    done(&name, &["down", &name]).await?;
    nothing_is_left(&layout)?;
    ensure!(nodes(cluster.kubeconfig()).await? == 1, "the node of the other");
    Ok(())
}
