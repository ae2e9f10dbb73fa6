//! The former proxies of Texera's deployments: nginx for static paths, and behind it an Envoy that finds units by DNS.
//! Both run as pods in the namespace of a test, for comparisons and for migrations.

mod envoy;
mod nginx;
mod reloads;

use std::net::{IpAddr, SocketAddr};

use computing_unit_api::names::PORT;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

pub use reloads::Reloads;

use crate::{
    activator, cluster,
    fixture::{Fixture, SOON},
    images, standin,
    traffic::Target,
    wait::eventually,
};

/// The configuration of both proxies.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Path prefixes, each with the host and port of its static service.
    pub statics: Vec<(String, String)>,
    /// Path prefixes of units.
    pub units: Vec<String>,
    /// Host and port of a unit, with `{cuid}` as the placeholder for its number.
    pub unit_host: String,
    /// The number of worker threads or processes of each proxy.
    pub workers: u32,
    /// Whether both write access logs.
    pub access_log: bool,
    /// Host and port of the service that authorizes requests for units.
    pub authorization: Option<(String, u16)>,
}

impl Plan {
    /// The paths of static services and their upstreams.
    fn statics(&self) -> impl Iterator<Item = (&str, String)> {
        self.statics.iter().map(|(path, server)| (path.as_str(), server.clone()))
    }

    /// All paths of nginx and their upstreams, if Envoy finds the units.
    fn locations(&self) -> impl Iterator<Item = (&str, String)> {
        self.statics().chain(self.units.iter().map(|path| (path.as_str(), format!("{ENVOY}:{}", envoy::PORT))))
    }
}

/// The name of the pod and the Service of the second proxy.
pub const ENVOY: &str = "before-envoy";
/// The port of the second proxy's Service.
pub const ENVOY_PORT: u16 = envoy::PORT;
/// The name of the pod of the first proxy.
pub const NGINX: &str = "before-nginx";

/// The two running proxies.
#[derive(Clone, Copy, Debug)]
pub struct TwoProxies {
    /// The address for clients.
    pub front: SocketAddr,
}

impl TwoProxies {
    /// Starts both in the namespace of a fixture. Returns `None` if the cluster is not the local one, because images
    /// cannot be loaded into it.
    ///
    /// # Errors
    /// If one does not become ready.
    pub async fn start(fixture: &Fixture, plan: &Plan) -> anyhow::Result<Option<Self>> {
        if !bring().await? {
            return Ok(None);
        }
        let config = serde_saphyr::to_string(&envoy::config(plan))?;
        run_envoy(fixture, ENVOY, &config, plan.workers).await?;
        let front = run_nginx(fixture, &nginx::config(plan)).await?;
        Ok(Some(Self { front }))
    }
}

/// Starts an Envoy that forwards all requests to one service, with a minimal configuration and one worker.
///
/// # Errors
/// If it does not become ready.
pub async fn minimal_envoy(fixture: &Fixture, name: &str, (host, port): (&str, u16)) -> anyhow::Result<SocketAddr> {
    run_envoy(fixture, name, &serde_saphyr::to_string(&envoy::minimal(host, port))?, 1).await
}

async fn run_envoy(fixture: &Fixture, name: &str, config: &str, workers: u32) -> anyhow::Result<SocketAddr> {
    let args = json!(["-c", "/etc/before/envoy.yaml", "-l", "warn", "--concurrency", workers.to_string()]);
    run(fixture, name, "envoy:1.40.0", &args, ("envoy.yaml", config), envoy::PORT).await
}

/// Loads the image of nginx into the local cluster. Returns false for any other cluster.
async fn bring() -> anyhow::Result<bool> {
    images::bring(cluster::nginx::image).await
}

async fn run_nginx(fixture: &Fixture, config: &str) -> anyhow::Result<SocketAddr> {
    let args = json!(["-e", "stderr", "-c", "/etc/before/nginx.conf"]);
    run(fixture, NGINX, "nginx:debian", &args, ("nginx.conf", config), nginx::PORT).await
}

/// Starts a proxy as a pod with a Service of the same name, and waits until it is ready. Returns its address.
async fn run(
    fixture: &Fixture,
    name: &str,
    image: &str,
    args: &Value,
    (file, config): (&str, &str),
    port: u16,
) -> anyhow::Result<SocketAddr> {
    let (client, namespace) = (fixture.cluster.client(), &fixture.namespace);
    let params = PostParams::default();
    let text: ConfigMap = serde_json::from_value(json!({"metadata": {"name": name}, "data": {file: config}}))?;
    Api::namespaced(client, namespace).create(&params, &text).await?;
    let labels = json!({"before": name});
    standin::service(fixture, name, &labels, port.into()).await?;
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 2,
            "containers": [{
                "name": "proxy",
                "image": format!("{}/{image}", cluster::images::REPOSITORY),
                "imagePullPolicy": "IfNotPresent",
                "args": args,
                "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1, "timeoutSeconds": 5},
                "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
                "volumeMounts": [{"name": "config", "mountPath": "/etc/before"}, {"name": "tmp", "mountPath": "/tmp"}],
            }],
            "volumes": [{"name": "config", "configMap": {"name": name}}, {"name": "tmp", "emptyDir": {}}],
        },
    }))?;
    fixture.pods().create(&params, &pod).await?;
    Ok(SocketAddr::new(standin::ready(fixture, name).await?, port))
}

/// Creates a unit like Texera's former backend: a bare pod without an owner, with a DNS name in a Service that all
/// units share. Waits until it is ready.
///
/// # Errors
/// If it does not become ready.
pub async fn unit(fixture: &Fixture, cuid: i64) -> anyhow::Result<IpAddr> {
    let name = format!("computing-unit-{cuid}");
    let labels = json!({"type": "computing-unit", "cuid": cuid.to_string(), "name": name});
    standin::pod(fixture, &name, &labels, &json!({"hostname": name, "subdomain": UNITS_SERVICE})).await
}

/// Configures authorization for a former route. With `recompute`, the response of the authorization selects the unit's
/// route.
///
/// # Errors
/// If the API server rejects it.
pub async fn authorize(fixture: &Fixture, route: &str, recompute: bool) -> anyhow::Result<()> {
    let policy = serde_json::from_value(json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "SecurityPolicy",
        "metadata": {"name": route},
        "spec": {
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": route}],
            "extAuth": {"recomputeRoute": recompute, "http": {
                "path": "/api/auth",
                "backendRefs": [{"name": standin::AUTHORIZATION, "port": PORT}],
                "headersToBackend": ["x-user-id", "Host"],
            }},
        },
    }))?;
    activator::policies(fixture).create(&PostParams::default(), &policy).await?;
    Ok(())
}

/// Waits until a request is answered by its unit, through the unit's own route or through the former route.
///
/// # Errors
/// If it is not answered in time.
pub async fn answered(fixture: &Fixture, target: &Target, by_own: bool) -> anyhow::Result<()> {
    let so = || async {
        let answer = activator::send(fixture, target).await?;
        let own = answer.headers.contains_key("x-computing-unit");
        Ok((answer.status == 200 && own == by_own).then_some(()))
    };
    eventually(if by_own { "answer through its own route" } else { "answer through the former route" }, SOON, so).await
}

/// Changes a former route to a path that no client requests. Deleting it right away would remove the authorization of
/// requests in flight.
///
/// # Errors
/// If the API server rejects it.
pub async fn lead_aside(fixture: &Fixture, route: &str) -> anyhow::Result<()> {
    let nowhere = json!([{"path": {"type": "PathPrefix", "value": format!("/aside/{}", fixture.namespace)}}]);
    let patch = serde_json::from_value(json!([{"op": "replace", "path": "/spec/rules/0/matches", "value": nowhere}]))?;
    fixture.routes().patch(route, &PatchParams::default(), &Patch::<()>::Json(patch)).await?;
    Ok(())
}

/// The headless Service that gives the pods of all units their DNS names.
pub const UNITS_SERVICE: &str = "computing-unit-pool-svc";

/// The domain of these DNS names.
#[must_use]
pub fn domain(fixture: &Fixture) -> String {
    format!("{UNITS_SERVICE}.{}.svc.cluster.local", fixture.namespace)
}

/// Creates that Service.
///
/// # Errors
/// If the API server rejects it.
pub async fn units_service(fixture: &Fixture) -> anyhow::Result<()> {
    standin::service(fixture, UNITS_SERVICE, &json!({"type": "computing-unit"}), PORT).await
}
