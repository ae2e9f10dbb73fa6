//! What Texera's deployments had before: nginx for static paths, and behind it an Envoy that finds units by DNS. Both run as
//! pods in the namespace of a test, to be compared with and to be migrated from.

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

/// What both proxies are to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Prefixes of paths, each with the host and port of its static service.
    pub statics: Vec<(String, String)>,
    /// Prefixes of the paths that belong to units.
    pub units: Vec<String>,
    /// Host and port of a unit, with `{cuid}` for its number.
    pub unit_host: String,
    /// Worker threads or processes of each.
    pub workers: u32,
    /// Whether each writes a line for each request.
    pub access_log: bool,
}

impl Plan {
    /// The paths of static services, with where each leads to.
    fn statics(&self) -> impl Iterator<Item = (&str, String)> {
        self.statics.iter().map(|(path, server)| (path.as_str(), server.clone()))
    }

    /// Every path that nginx takes where Envoy finds the units, with where it leads to.
    fn locations(&self) -> impl Iterator<Item = (&str, String)> {
        self.statics().chain(self.units.iter().map(|path| (path.as_str(), format!("{ENVOY}:{}", envoy::PORT))))
    }
}

/// Name of the second proxy's pod and Service.
pub const ENVOY: &str = "before-envoy";
/// The port of the second proxy's Service.
pub const ENVOY_PORT: u16 = envoy::PORT;
/// Name of the first proxy's pod.
pub const NGINX: &str = "before-nginx";

/// The two proxies, while they run.
#[derive(Clone, Copy, Debug)]
pub struct TwoProxies {
    /// Where clients ask.
    pub front: SocketAddr,
}

impl TwoProxies {
    /// Starts both in the namespace of a fixture. None on a cluster other than the local one,
    /// to which no image can be brought.
    ///
    /// # Errors
    /// If they do not come up.
    pub async fn start(fixture: &Fixture, plan: &Plan) -> anyhow::Result<Option<Self>> {
        if !bring().await? {
            return Ok(None);
        }
        let config = serde_saphyr::to_string(&envoy::config(plan))?;
        let args = json!(["-c", "/etc/before/envoy.yaml", "-l", "warn", "--concurrency", plan.workers.to_string()]);
        run(fixture, ENVOY, "envoy:1.40.0", &args, ("envoy.yaml", &config), envoy::PORT).await?;
        let front = run_nginx(fixture, &nginx::config(plan)).await?;
        Ok(Some(Self { front }))
    }
}

/// Brings nginx into the cluster; not into one that is not the tests' own.
async fn bring() -> anyhow::Result<bool> {
    images::bring(cluster::nginx::image).await
}

async fn run_nginx(fixture: &Fixture, config: &str) -> anyhow::Result<SocketAddr> {
    let args = json!(["-e", "stderr", "-c", "/etc/before/nginx.conf"]);
    run(fixture, NGINX, "nginx:debian", &args, ("nginx.conf", config), nginx::PORT).await
}

/// Starts a proxy as a pod with a Service of its name, and waits until it is ready. Where it listens.
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

/// Makes a unit as Texera's backend has made it so far: a bare pod that nobody owns, found by the name of a Service that all
/// of them share. Waits until it is ready.
///
/// # Errors
/// If it does not get there.
pub async fn unit(fixture: &Fixture, cuid: i64) -> anyhow::Result<IpAddr> {
    let name = format!("computing-unit-{cuid}");
    let labels = json!({"type": "computing-unit", "cuid": cuid.to_string(), "name": name});
    standin::pod(fixture, &name, &labels, &json!({"hostname": name, "subdomain": UNITS_SERVICE})).await
}

/// Authorizes every request of a former route. With `recompute`, the response of the authorization selects the route of the unit.
///
/// # Errors
/// If the API server refuses it.
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

/// Waits until a request is answered by its unit, by a route of its own or by the former route.
///
/// # Errors
/// If it is not.
pub async fn answered(fixture: &Fixture, target: &Target, by_own: bool) -> anyhow::Result<()> {
    let so = || async {
        let answer = activator::send(fixture, target).await?;
        let own = answer.headers.contains_key("x-computing-unit");
        Ok((answer.status == 200 && own == by_own).then_some(()))
    };
    eventually(if by_own { "answer by its own route" } else { "answer by the route of before" }, SOON, so).await
}

/// Gives a former route a path that nobody requests. If it was deleted at once, requests in flight would lose their authorization.
///
/// # Errors
/// If the API server refuses it.
pub async fn lead_aside(fixture: &Fixture, route: &str) -> anyhow::Result<()> {
    let nowhere = json!([{"path": {"type": "PathPrefix", "value": format!("/aside/{}", fixture.namespace)}}]);
    let patch = serde_json::from_value(json!([{"op": "replace", "path": "/spec/rules/0/matches", "value": nowhere}]))?;
    fixture.routes().patch(route, &PatchParams::default(), &Patch::<()>::Json(patch)).await?;
    Ok(())
}

/// The Service that finds all units by the names of their pods.
pub const UNITS_SERVICE: &str = "computing-unit-pool-svc";

/// The domain of the names that it gives.
#[must_use]
pub fn domain(fixture: &Fixture) -> String {
    format!("{UNITS_SERVICE}.{}.svc.cluster.local", fixture.namespace)
}

/// Makes that Service.
///
/// # Errors
/// If the API server refuses it.
pub async fn units_service(fixture: &Fixture) -> anyhow::Result<()> {
    standin::service(fixture, UNITS_SERVICE, &json!({"type": "computing-unit"}), PORT).await
}
