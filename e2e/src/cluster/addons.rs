//! What every cluster has: `CoreDNS`, Envoy Gateway from its own chart, the shared Gateway, the storage class, and the CRDs.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Context;

use super::{
    control::{kubectl, multicall},
    images::REPOSITORY,
    layout::{self, Layout},
    programs::{self, Programs},
    shell,
};

const COREDNS: &str = include_str!("../../manifests/coredns.yaml");
const STORAGE: &str = include_str!("../../manifests/storage.yaml");
const GATEWAY: &str = include_str!("../../manifests/gateway.yaml");
/// Namespace of Envoy Gateway and of the shared Gateway.
pub const NAMESPACE: &str = "envoy-gateway-system";
/// The image of its proxies.
pub const PROXY: &str = "docker.io/local/envoy:1.40.0";
/// Name of the shared Gateway.
pub const SHARED: &str = "shared";
/// How long pods may take to run.
const DEADLINE: &str = "120s";

/// Brings them up and waits until the shared Gateway is programmed.
///
/// # Errors
/// If one of them does not come up.
pub fn up(layout: &Layout, programs: &Programs) -> anyhow::Result<()> {
    apply(layout, programs, &COREDNS.replace("{{dns}}", &layout.service(10).to_string()))?;
    apply(layout, programs, STORAGE)?;
    // Before they are needed: the garbage collector takes up to half a minute to follow new kinds.
    apply(layout, programs, &definitions()?)?;
    envoy_gateway(layout, programs)?;
    apply(layout, programs, GATEWAY)?;
    let gateway = format!("gateway/{SHARED}");
    let programmed = ["--for=condition=Programmed", &format!("--timeout={DEADLINE}")];
    kubectl(layout, programs, &["wait", "-n", NAMESPACE, &gateway, programmed[0], programmed[1]])?;
    // Programmed is set as soon as one proxy is there; now its address answers too.
    let address = address(layout, programs)?;
    shell::wait("the gateway's first answer", Duration::from_mins(1), || {
        let stream = std::net::TcpStream::connect_timeout(&address.parse()?, Duration::from_millis(500));
        Ok(stream.is_ok())
    })
}

/// Where the shared Gateway listens, as the machine reaches it.
///
/// # Errors
/// If it has no address.
pub fn address(layout: &Layout, programs: &Programs) -> anyhow::Result<String> {
    let path = "jsonpath={.status.addresses[0].value}";
    let address = kubectl(layout, programs, &["get", "gateway", "-n", NAMESPACE, SHARED, "-o", path])?;
    Ok(format!("{}:80", address.trim()))
}

/// Runs Helm with all rights.
///
/// # Errors
/// If it fails.
pub fn helm(layout: &Layout, programs: &Programs, args: &[&str]) -> anyhow::Result<String> {
    let mut helm = Command::new(&programs.helm);
    shell::output(helm.args(args).env("KUBECONFIG", layout.kubeconfig()?))
}

fn envoy_gateway(layout: &Layout, programs: &Programs) -> anyhow::Result<()> {
    let chart = chart(layout)?;
    let chart = chart.to_str().context("a path of text")?;
    let small = "deployment.envoyGateway.resources.requests.cpu=20m";
    // Deployments that are migrated have Backends, which Envoy Gateway ignores by default.
    let backends = "config.envoyGateway.extensionApis.enableBackend=true";
    let install = ["upgrade", "--install", "eg", chart, "--namespace", NAMESPACE, "--create-namespace"];
    // The order of its hooks matters: with a plain apply its pod waits for a Secret of one of them.
    let flags = ["--set", small, "--set", backends, "--wait", "--timeout", DEADLINE];
    helm(layout, programs, &install.into_iter().chain(flags).collect::<Vec<_>>()).map(drop)
}

/// The chart of Envoy Gateway's own sources, with the local image.
fn chart(layout: &Layout) -> anyhow::Result<PathBuf> {
    let sources =
        programs::module_folder("envoy-gateway", "github.com/envoyproxy/gateway")?.join("charts/gateway-helm");
    let chart = layout.state()?.join("gateway-helm");
    shell::run("cp", ["-rT".as_ref(), sources.as_os_str(), chart.as_os_str()])?;
    shell::run("chmod", ["-R".as_ref(), "u+w".as_ref(), chart.as_os_str()])?;
    let template = fs::read_to_string(chart.join("values.tmpl.yaml"))?;
    let image = format!("{REPOSITORY}/envoy-gateway:1.9.1");
    let values = template.replace("${GatewayImage}", &image).replace("${GatewayImagePullPolicy}", "IfNotPresent");
    fs::write(chart.join("values.yaml"), values)?;
    Ok(chart)
}

/// The CRDs of this checkout.
fn definitions() -> anyhow::Result<String> {
    let mut all = vec![];
    for file in fs::read_dir(layout::checkout().join("crds"))? {
        all.push(fs::read_to_string(file?.path())?);
    }
    Ok(all.join("\n---\n"))
}

fn apply(layout: &Layout, programs: &Programs, manifest: &str) -> anyhow::Result<()> {
    let path = layout.state()?.join("manifest.yaml");
    fs::write(&path, manifest)?;
    let mut command = Command::new(multicall(programs, &layout.state()?)?);
    command.arg("kubectl").arg("--kubeconfig").arg(layout.kubeconfig()?).args([
        "apply",
        "--server-side",
        "--force-conflicts",
        "-f",
    ]);
    shell::output(command.arg(path).stdin(Stdio::null())).map(drop)
}
