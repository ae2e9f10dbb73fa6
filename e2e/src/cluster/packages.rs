//! The packages of the distribution that are needed. Only missing ones are installed.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};

use super::shell;

/// Programs or files, and the packages that contain them.
const NEEDED: &[(&str, &str)] = &[
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("iptables", "iptables"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("sysctl", "procps"),
    ("buildah", "buildah"),
    ("curl", "curl"),
    ("jq", "jq"),
    ("openssl", "openssl"),
    ("python3", "python3"),
];

/// Installs missing packages.
///
/// # Errors
/// If this does not run as root on Debian or Ubuntu, or packages cannot be installed.
pub fn install() -> anyhow::Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "the local cluster needs root for network namespaces and containers (CLUSTER=current uses another cluster)"
    );
    for toolchain in ["go", "cargo"] {
        ensure!(present(toolchain), "{toolchain} is not in PATH: install its toolchain first");
    }
    let mut missing = missing(NEEDED);
    if missing.contains(&"python3") || shell::run("python3", ["-m", "pip", "--version"]).is_err() {
        missing.push("python3-pip");
    }
    add(missing)
}

/// A browser and its driver. Only the tests of pages need them.
const BROWSER: &[(&str, &str)] = &[
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("/usr/share/fonts/truetype/dejavu", "fonts-dejavu-core"),
];

/// Installs a browser if there is none.
///
/// # Errors
/// If packages cannot be installed.
pub fn browser() -> anyhow::Result<()> {
    add(missing(BROWSER))
}

/// The Python of the distribution. Another one may be in `PATH`.
pub const PYTHON: &str = "/usr/bin/python3";

/// Java tools. Only the tests of the JVM client need them.
const MAVEN: &[(&str, &str)] = &[("javac", "default-jdk-headless"), ("mvn", "maven")];

/// Installs Maven and a JDK if they are missing.
///
/// # Errors
/// If packages cannot be installed.
pub fn maven() -> anyhow::Result<()> {
    add(missing(MAVEN))
}

/// The Python of the distribution, and what it needs to make virtual environments.
///
/// # Errors
/// If packages cannot be installed.
pub fn python() -> anyhow::Result<()> {
    let mut packages = missing(&[(PYTHON, "python3")]);
    if !packages.is_empty() || shell::run(PYTHON, ["-c", "import ensurepip"]).is_err() {
        packages.push("python3-venv");
    }
    add(packages)
}

/// npm, and what compiles modules.
///
/// # Errors
/// If packages cannot be installed.
pub fn npm() -> anyhow::Result<()> {
    add(missing(&[("npm", "npm"), ("g++", "g++"), ("make", "make")]))
}

/// The packages of missing programs or files.
fn missing(needed: &[(&str, &'static str)]) -> Vec<&'static str> {
    needed.iter().filter(|(what, _)| !present(what)).map(|(_, package)| *package).collect()
}

fn add(missing: Vec<&str>) -> anyhow::Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    ensure!(
        present("apt-get"),
        "missing packages: {}; install them manually, because this is not Debian or Ubuntu",
        missing.join(" ")
    );
    eprintln!("installing {}", missing.join(" "));
    apt(&["update", "-qq"])?;
    let install = ["install", "-y", "-qq", "--no-install-recommends"];
    apt(&install.into_iter().chain(missing).collect::<Vec<_>>())
}

fn apt(args: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("apt-get");
    // Packages must not start services.
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    shell::output(&mut command).map(drop).context("packages of the distribution")
}

fn present(what: &str) -> bool {
    if what.starts_with('/') {
        return Path::new(what).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).any(|folder| folder.join(what).exists())
}
