//! A deployment of Texera's shape in the namespace of a test: stand-ins under Texera's names and ports, and the chart of the
//! gateway in front of them.

use std::{net::SocketAddr, process::Stdio};

use anyhow::{Context, ensure};
use computing_unit_operator::{api::GatewayRef, names::PORT};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api, ResourceExt,
    api::{ListParams, LogParams, PostParams},
};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    cluster::addons,
    entry::lead_here,
    gateway,
    stage::{SOON, Stage},
    standin, tool,
    units::{self, ENGINE},
    wait::eventually,
};

/// Texera's services, with the port of each.
pub const SERVICES: [(&str, u16); 11] = [
    ("webserver-svc", 8080),
    ("workflow-computing-unit-manager-svc", 8888),
    ("workflow-compiling-service-svc", 9090),
    ("file-service-svc", 9092),
    ("config-service-svc", 9094),
    ("notebook-migration-service-svc", 9098),
    ("agent-service-svc", 3001),
    ("y-websocket-server-svc", 1234),
    ("python-language-server-svc", 3000),
    ("texera-minio", 9000),
    (AUTHORIZATION, 9096),
];
/// The service that is asked who may reach a unit.
pub const AUTHORIZATION: &str = "access-control-service-svc";
/// Host name of the object store.
pub const STORE: &str = "store.example.org";
/// Name of the release, and so of the Gateway.
const RELEASE: &str = "texera";

/// Puts it up with these values beside those that every test needs, and has the stage use its Gateway. On a cluster that is not
/// the tests' own, it says that the test does not run.
///
/// # Errors
/// If it does not come up.
pub async fn deploy(stage: &mut Stage, values: &[&str]) -> anyhow::Result<bool> {
    if !gateway::is_ours(&stage.cluster).await? || !lead_here(stage).await? {
        println!("NOT RUN: what the proxies of the cluster in use are made from is not known");
        return Ok(false);
    }
    stand_ins(stage).await?;
    install(stage, values).await?;
    let own = GatewayRef { name: RELEASE.to_owned(), namespace: stage.namespace.clone(), section_name: None };
    stage.cluster = stage.cluster.clone().with_gateway(own);
    stage.operator = stage.operator.clone().gateways(&[&stage.namespace]);
    let proxies = || async { Ok(stage.cluster.proxies().await.ok().filter(|all| !all.is_empty())) };
    eventually("proxies", SOON, proxies).await?;
    Ok(true)
}

/// Installs the chart, or upgrades it, with these values.
///
/// # Errors
/// If Helm or the API server refuses it.
pub async fn install(stage: &Stage, values: &[&str]) -> anyhow::Result<()> {
    let (chart, namespace) = (tool::file("charts/texera-gateway"), &stage.namespace);
    let laptop = format!("{chart}/values-laptop.yaml");
    let own = [
        "gatewayClass.create=false".to_owned(),
        format!("proxy.image={}", addons::PROXY),
        "units.namespace.create=false".to_owned(),
        format!("units.namespace.name={namespace}"),
        format!("units.pool.image={ENGINE}"),
        "units.pool.resources.limits.memory=128Mi,units.pool.resources.limits.cpu=1".to_owned(),
        "units.pool.resources.requests.cpu=5m,units.pool.resources.requests.memory=16Mi".to_owned(),
        "units.pool.podSpec.terminationGracePeriodSeconds=5".to_owned(),
        "units.environment.values.STORAGE_JDBC_PASSWORD=hunter2".to_owned(),
        // The stand-ins share the namespace, and have no limits.
        "units.quota.enabled=false,units.limitRange.enabled=false".to_owned(),
        format!("objectStore.enabled=true,objectStore.hostname={STORE}"),
    ];
    let mut args = vec!["upgrade", "--install", RELEASE, &chart, "--namespace", namespace, "--values", &laptop];
    args.extend(own.iter().map(String::as_str).chain(values.iter().copied()).flat_map(|value| ["--set", value]));
    tool::run(&stage.cluster, "helm", &args).await.map(drop)
}

/// One pod that listens on all of Texera's ports, with a Service for each.
async fn stand_ins(stage: &Stage) -> anyhow::Result<()> {
    let labels = json!({"stand-in": "texera"});
    let container = |(name, port): (&str, u16)| {
        let authorizes = name == AUTHORIZATION;
        let host = format!(
            "computing-unit-{{cuid}}.texera-workflow-computing-unit-svc.{}.svc.cluster.local:{PORT}",
            stage.namespace
        );
        json!({
            "name": name,
            "image": ENGINE,
            "command": [if authorizes { "/authorization" } else { "/engine" }],
            "env": [
                {"name": "COMPUTING_UNIT_NAME", "value": name},
                {"name": "PORT", "value": port.to_string()},
                // As Texera's own does.
                {"name": "PARSER", "value": "first-decoded"},
                {"name": "UNIT_HOST", "value": host},
            ],
            "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
            "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}},
        })
    };
    for (name, port) in SERVICES {
        let labels = if name == AUTHORIZATION { json!({"stand-in": name}) } else { labels.clone() };
        standin::service(stage, name, &labels, port.into()).await?;
    }
    let (authorization, others): (Vec<_>, Vec<_>) = SERVICES.into_iter().partition(|(name, _)| *name == AUTHORIZATION);
    let of = |services: Vec<(&str, u16)>| services.into_iter().map(container).collect::<Vec<Value>>();
    let authorization_labels = json!({"stand-in": AUTHORIZATION});
    standin::pod(stage, "texera", &labels, &json!({"containers": of(others)})).await?;
    standin::pod(stage, AUTHORIZATION, &authorization_labels, &json!({"containers": of(authorization)})).await?;
    Ok(())
}

/// Makes a unit as Texera's backend names it. Its number.
///
/// # Errors
/// If the API server refuses it.
pub async fn unit(stage: &Stage, name: &str) -> anyhow::Result<i64> {
    let cuid = stage.unit(name).spec.cuid.unwrap_or_default();
    stage.make(&units::unit(&stage.namespace, &format!("computing-unit-{cuid}"), cuid)).await?;
    Ok(cuid)
}

/// Makes the Secret with a certificate for all host names here, which nobody has signed.
///
/// # Errors
/// If the API server refuses it.
pub async fn certificate(stage: &Stage, secret: &str) -> anyhow::Result<()> {
    let pair = rcgen::generate_simple_self_signed(vec!["texera.example.org".to_owned(), STORE.to_owned()])?;
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": secret},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": pair.cert.pem(), "tls.key": pair.signing_key.serialize_pem()},
    }))?;
    let secrets = Api::namespaced(stage.cluster.client(), &stage.namespace);
    secrets.create(&PostParams::default(), &secret).await?;
    Ok(())
}

/// An answer as curl tells it.
#[derive(Debug)]
pub struct Answer {
    /// Its status; 0 where there was none.
    pub status: u16,
    /// Version of HTTP, such as `2`.
    pub version: String,
    /// Its headers, in lower case, as text.
    pub headers: String,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// Which service or unit has answered.
    #[must_use]
    pub fn engine(&self) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix("x-engine: ")).map(str::trim)
    }

    /// What it says of the request, which an engine repeats.
    ///
    /// # Errors
    /// If it is no engine's.
    pub fn said(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("{}: {}", self.status, self.body))
    }
}

/// Asks by curl, with these arguments. `host` is what the request is for, and the proxy at `address` is asked.
///
/// # Errors
/// If curl is not there.
pub async fn curl(address: SocketAddr, url: &str, args: &[&str]) -> anyhow::Result<Answer> {
    let authority = url.split('/').nth(2).context("a URL")?;
    let port = if url.starts_with("https") { 443 } else { 80 };
    let connect = format!("{authority}:{port}:{}:{}", address.ip(), address.port());
    let written = "\n%{http_code} %{http_version}";
    let curl = Command::new("curl")
        .args(["--silent", "--include", "--insecure", "--max-time", "20", "--write-out", written])
        .args(["--connect-to", &connect])
        .args(args)
        .arg(url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("curl")?;
    let text = String::from_utf8_lossy(&curl.stdout);
    let (answer, written) = text.rsplit_once('\n').context("what curl writes at the end")?;
    let (status, version) = written.split_once(' ').context("status and version")?;
    // An upload may be told to go on first.
    let answer = answer.rsplit_once("HTTP/1.1 100 Continue\r\n\r\n").map_or(answer, |(_, rest)| rest);
    let (headers, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    Ok(Answer {
        status: status.parse()?,
        version: version.to_owned(),
        headers: headers.to_ascii_lowercase(),
        body: body.to_owned(),
    })
}

/// The proxies of the stage's Gateway at the port of a listener.
///
/// # Errors
/// If there is none.
pub async fn proxy(stage: &Stage, listener: u16) -> anyhow::Result<SocketAddr> {
    let mut proxy = stage.cluster.proxies().await?[0];
    // Envoy Gateway moves ports that only root may have.
    proxy.set_port(if listener < 1024 { listener + 10_000 } else { listener });
    Ok(proxy)
}

/// What the proxies of the stage's Gateway have logged.
///
/// # Errors
/// If their pods are not found.
pub async fn log(stage: &Stage) -> anyhow::Result<String> {
    let labels = format!(
        "gateway.envoyproxy.io/owning-gateway-name={RELEASE},gateway.envoyproxy.io/owning-gateway-namespace={}",
        stage.namespace
    );
    let pods = Api::<Pod>::namespaced(stage.cluster.client(), addons::NAMESPACE);
    let mut all = String::new();
    let found = pods.list(&ListParams::default().labels(&labels)).await?;
    ensure!(!found.items.is_empty(), "no proxy of {labels}");
    for pod in found {
        let params = LogParams { container: Some("envoy".to_owned()), ..LogParams::default() };
        all += &pods.logs(&pod.name_any(), &params).await?;
    }
    Ok(all)
}
