//! The add-ons of a cluster: `CoreDNS`, Envoy Gateway, the shared Gateway, the storage class and the CRDs.

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
/// The namespace of Envoy Gateway and of the shared Gateway.
pub const NAMESPACE: &str = "envoy-gateway-system";
/// The image of the proxies.
pub const PROXY: &str = "localhost/envoy:1.40.0";
/// The name of the shared Gateway.
pub const SHARED: &str = "shared";
/// The deadline for the start of pods.
const DEADLINE: &str = "120s";

/// Installs them and waits until the shared Gateway is programmed.
///
/// # Errors
/// If one of them does not become ready.
pub fn up(layout: &Layout, programs: &Programs) -> anyhow::Result<()> {
    apply(layout, programs, &COREDNS.replace("{{dns}}", &layout.service(10).to_string()))?;
    apply(layout, programs, STORAGE)?;
    // Early, because the garbage collector takes up to 30 s to discover new kinds.
    apply(layout, programs, &definitions()?)?;
    envoy_gateway(layout, programs)?;
    apply(layout, programs, GATEWAY)?;
    let gateway = format!("gateway/{SHARED}");
    let programmed = ["--for=condition=Programmed", &format!("--timeout={DEADLINE}")];
    kubectl(layout, programs, &["wait", "-n", NAMESPACE, &gateway, programmed[0], programmed[1]])?;
    // `Programmed` is set as soon as one proxy exists, which may be before its address answers.
    let address = address(layout, programs)?;
    shell::wait("the first response of the gateway", Duration::from_mins(1), || {
        let stream = std::net::TcpStream::connect_timeout(&address.parse()?, Duration::from_millis(500));
        Ok(stream.is_ok())
    })
}

/// The address of the shared Gateway.
///
/// # Errors
/// If it has no address.
pub fn address(layout: &Layout, programs: &Programs) -> anyhow::Result<String> {
    let path = "jsonpath={.status.addresses[0].value}";
    let address = kubectl(layout, programs, &["get", "gateway", "-n", NAMESPACE, SHARED, "-o", path])?;
    Ok(format!("{}:80", address.trim()))
}

/// Runs Helm as cluster-admin.
///
/// # Errors
/// If it fails.
pub fn helm(layout: &Layout, programs: &Programs, args: &[&str]) -> anyhow::Result<String> {
    let mut helm = Command::new(&programs.helm);
    shell::output(helm.args(args).env("KUBECONFIG", layout.kubeconfig()?))
}

fn envoy_gateway(layout: &Layout, programs: &Programs) -> anyhow::Result<()> {
    let chart = chart(layout)?;
    let chart = chart.to_str().context("the path is not UTF-8")?;
    let small = "deployment.envoyGateway.resources.requests.cpu=20m";
    // Migrated deployments use Backends, which Envoy Gateway ignores by default.
    let backends = "config.envoyGateway.extensionApis.enableBackend=true";
    // It is the only replica. On a busy machine it would lose its Lease, exit, and leave the proxies without changes for a minute.
    let alone = "config.envoyGateway.provider.kubernetes.leaderElection.disable=true";
    let values = layout::checkout().join("config/envoy-gateway/values.yaml");
    let values = values.to_str().context("the path is not UTF-8")?;
    let install =
        ["upgrade", "--install", "eg", chart, "--namespace", NAMESPACE, "--create-namespace", "--values", values];
    // The chart needs the order of its hooks: the pod mounts a Secret that one of them creates.
    let flags = ["--set", small, "--set", backends, "--set", alone, "--wait", "--timeout", DEADLINE];
    helm(layout, programs, &install.into_iter().chain(flags).collect::<Vec<_>>()).map(drop)
}

/// The chart from the sources of Envoy Gateway, with the local image.
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
