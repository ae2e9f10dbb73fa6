//! Starts a cluster. A healthy one is left unchanged. Any other is recreated, which is faster than a repair.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use super::{
    addons, audit, control,
    down::{FORWARD, down},
    forward, images, kubeconfig,
    layout::{self, Layout},
    network, node, packages, pki,
    process::Processes,
    programs::{self, Programs},
    shell,
};

/// Starts the cluster with this name, if it is not running.
///
/// # Errors
/// If it does not become ready. The error contains the end of the log of the component that failed.
pub fn up(name: &str) -> anyhow::Result<Layout> {
    packages::install()?;
    let programs = programs::programs()?;
    let _lock = Layout::lock(name)?;
    let layout = Layout::claim(name)?;
    let processes = Processes::of(&layout)?;
    let began = Instant::now();
    // A killed test may have left it paused.
    let _ = processes.resume("kubelet");
    if !healthy(&layout, &programs, &processes) {
        down(&layout)?;
        let layout = Layout::claim(name)?;
        fs::create_dir_all(layout.state()?)?;
        fs::create_dir_all(layout.run())?;
        start(&layout, &programs, &processes).with_context(|| format!("cluster {name}"))?;
        eprintln!("cluster {name} is up after {:.1} s", began.elapsed().as_secs_f32());
        return Ok(layout);
    }
    Ok(layout)
}

fn start(layout: &Layout, programs: &Programs, processes: &Processes) -> anyhow::Result<()> {
    say("network, keys, containerd");
    network::up(layout)?;
    pki::make(layout)?;
    node::containerd(layout, processes)?;
    say("control plane and images");
    std::thread::scope(|threads| {
        let images = threads.spawn(|| images::import(layout, &images::base(programs)?));
        control::up(layout, programs, processes)?;
        match images.join() {
            Ok(done) => done,
            Err(_) => bail!("the import of images panicked"),
        }
    })?;
    say("node");
    node::up(layout, programs, processes)?;
    say("DNS, Envoy Gateway, the shared Gateway");
    addons::up(layout, programs)?;
    lead(layout, programs, processes)
}

/// Turns the audit log of a running cluster on, which restarts its API server. It stays on until the cluster is removed.
///
/// # Errors
/// If the API server does not become ready.
pub fn audited(layout: &Layout) -> anyhow::Result<()> {
    let _lock = Layout::lock(&layout.name)?;
    if audit::is_on(layout)? {
        return Ok(());
    }
    eprintln!("turning the audit log on, until `make down`: the API server restarts, and uses more CPU from now on");
    audit::turn_on(layout)?;
    control::restart_api_server(layout, &programs::programs()?, &Processes::of(layout)?)
}

/// Starts the process that forwards a local port to the gateway.
fn lead(layout: &Layout, programs: &Programs, processes: &Processes) -> anyhow::Result<()> {
    let port = forward::free_port()?;
    fs::write(layout.state()?.join("port"), port.to_string())?;
    let to = addons::address(layout, programs)?;
    // A copy, because a build may replace this program while the process runs.
    let own = layout.state()?.join("cu-cluster");
    fs::copy(std::env::current_exe()?, &own)?;
    let args = ["forward".to_owned(), port.to_string(), to];
    let outside = processes.outside();
    outside.start(FORWARD, &own, &args)?;
    outside.until(FORWARD, Duration::from_secs(10), || Ok(TcpStream::connect(("127.0.0.1", port)).is_ok()))
}

/// The local port that is forwarded to the gateway.
///
/// # Errors
/// If the cluster is not up.
pub fn port(layout: &Layout) -> anyhow::Result<u16> {
    let path = layout.state()?.join("port");
    fs::read_to_string(path)
        .ok()
        .and_then(|port| port.trim().parse().ok())
        .context("the cluster is not up: run `make demo`, or `make cluster`")
}

/// Whether all components are running and ready.
#[must_use]
pub fn healthy(layout: &Layout, programs: &Programs, processes: &Processes) -> bool {
    let runs = control::NAMES.iter().chain(&node::NAMES).chain(&[FORWARD]).all(|name| processes.runs(name));
    let programmed = || {
        let path = "jsonpath={.status.conditions[?(@.type==\"Programmed\")].status}";
        let args = ["get", "gateway", "-n", addons::NAMESPACE, addons::SHARED, "-o", path];
        control::kubectl(layout, programs, &args).is_ok_and(|programmed| programmed == "True")
    };
    runs && control::ready(layout, programs).unwrap_or(false) && programmed()
}

/// Makes a cluster the current one of the checkout: puts its kubeconfig and client programs into `.cluster`.
///
/// # Errors
/// If it is not running.
pub fn link(layout: &Layout) -> anyhow::Result<()> {
    let programs = programs::programs()?;
    let folder = layout::checkout().join(".cluster");
    let bin = folder.join("bin");
    fs::create_dir_all(&bin)?;
    let kubeconfig = fs::read_to_string(layout.kubeconfig()?)?;
    fs::write(folder.join("kubeconfig"), kubeconfig::select_namespace(&kubeconfig, kubeconfig::UNITS)?)?;
    fs::write(folder.join("port"), port(layout)?.to_string())?;
    fs::write(folder.join("name"), &layout.name)?;
    symlink(&programs.helm, &bin.join("helm"))?;
    symlink(&programs.kubernetes, &bin.join("kubectl"))
}

/// Installs Helm into the checkout. Does not need a cluster.
///
/// # Errors
/// If it cannot be fetched.
pub fn helm() -> anyhow::Result<()> {
    let bin = layout::checkout().join(".cluster/bin");
    fs::create_dir_all(&bin)?;
    symlink(&programs::helm()?, &bin.join("helm"))
}

fn symlink(to: &Path, link: &Path) -> anyhow::Result<()> {
    shell::run("ln", ["-sfn".as_ref(), to.as_os_str(), link.as_os_str()]).map(drop)
}

/// Builds images of this project and imports them into the cluster.
///
/// # Errors
/// If the programs are not built, or the cluster is not running.
pub fn load(name: &str, which: &[images::Own]) -> anyhow::Result<()> {
    let layout = Layout::find(name)?.context("the cluster is not up: run `make demo`, or `make cluster`")?;
    let archives = which.iter().map(|own| images::own(*own)).collect::<anyhow::Result<Vec<_>>>()?;
    images::import(&layout, &archives)
}

fn say(what: &str) {
    eprintln!("starting: {what}");
}
