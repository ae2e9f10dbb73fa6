//! The operator: its Deployment, its leader, its own report, its activator and its version.

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        coordination::v1::Lease,
        core::v1::{Pod, Service},
        discovery::v1::EndpointSlice,
    },
    jiff::Timestamp,
};
use kube::{Api, ResourceExt, api::ListParams};

use super::{Check, Context, replicas, send};
use crate::cu::{
    age,
    operators::{self, option},
    version::CLIENT,
};

/// Labels of the chart on the Service of the activator, and the name of its port.
const PART_OF: &str = "app.kubernetes.io/part-of=texera";
const ACTIVATOR: &str = "activator";

/// Name of the Lease without an option.
const LEASE: &str = "computing-unit-operator";

/// Checks each operator.
pub async fn check(context: &Context) -> Vec<Check> {
    let found = send(context, operators::deployments(&context.connection, context.operator_namespace.as_deref())).await;
    let found = match found {
        Ok(found) => found,
        Err(error) => return vec![Check::error("Operator", &error)],
    };
    if found.is_empty() {
        let place = context
            .operator_namespace
            .as_ref()
            .map_or_else(|| "any namespace".to_owned(), |namespace| format!("namespace {namespace:?}"));
        return vec![Check::fail(
            "Operator",
            format!(
                "no Deployment in {place} has the labels of the operator's chart, the image computing-unit-operator or a \
                 variable CU_..."
            ),
            "Install the operator's chart. If the operator runs in another namespace, add --operator-namespace. If it is \
             no Deployment, see the checks of pools and units.",
        )];
    }
    let mut all = vec![];
    for deployment in &found {
        let name = operators::label(deployment);
        all.push(replicas::check(format!("Operator {name}"), deployment, &context.connection.flags));
        all.push(released(deployment));
        all.push(leader(context, deployment).await);
        all.extend(reports(context, deployment).await);
        all.extend(activators(context, &deployment.namespace().unwrap_or_default()).await);
    }
    all
}

/// Compares the version of the chart with that of the plugin.
pub fn released(deployment: &Deployment) -> Check {
    let subject = "Versions";
    match operators::version(deployment) {
        Some(version) if version == CLIENT => Check::ok(subject, format!("operator and plugin are v{CLIENT}")),
        Some(version) => Check::warn(
            subject,
            format!("the operator is v{version}, and this plugin is v{CLIENT}"),
            format!("Install the plugin of v{version}."),
        ),
        None => Check::warn(
            subject,
            format!("the version of the operator is unknown, and this plugin is v{CLIENT}"),
            "Compare the image of the Deployment.",
        ),
    }
}

async fn leader(context: &Context, deployment: &Deployment) -> Check {
    if option(deployment, "--leader-elect", "CU_LEADER_ELECT") == Some("false") {
        return Check::ok("Leader", "leader election is disabled");
    }
    let namespace = deployment.namespace().unwrap_or_default();
    let name = option(deployment, "--lease-name", "CU_LEASE_NAME").unwrap_or(LEASE).to_owned();
    let leases: Api<Lease> = Api::namespaced(context.connection.client.clone(), &namespace);
    match send(context, leases.get_opt(&name)).await {
        Ok(lease) => held(lease.as_ref(), &format!("{namespace}/{name}"), Timestamp::now(), &context.connection.flags),
        Err(error) => Check::error("Leader", &error),
    }
}

/// Whether a Lease is held. The clock is that of this machine.
pub fn held(lease: Option<&Lease>, name: &str, now: Timestamp, flags: &str) -> Check {
    let namespace = name.split('/').next().unwrap_or_default();
    let logs =
        format!("See the logs: kubectl logs -n {namespace} -l app.kubernetes.io/component=operator --tail=50{flags}");
    let Some(spec) = lease.and_then(|lease| lease.spec.as_ref()) else {
        return Check::fail("Leader", format!("Lease {name} does not exist, so no operator leads"), logs);
    };
    let holder = spec.holder_identity.as_deref().filter(|holder| !holder.is_empty());
    let (Some(holder), Some(renewed)) = (holder, spec.renew_time.as_ref()) else {
        return Check::fail("Leader", format!("nobody holds Lease {name}"), logs);
    };
    let since = now.duration_since(renewed.0).as_secs();
    let duration = i64::from(spec.lease_duration_seconds.unwrap_or(15));
    let ago = age::between(renewed.0, now);
    if since <= duration {
        Check::ok("Leader", format!("{holder} leads, and renewed Lease {name} {ago} ago"))
    } else {
        Check::fail(
            "Leader",
            format!("{holder} has not renewed Lease {name} for {ago}, which is valid for {duration}s"),
            logs,
        )
    }
}

/// What the pods of the operator report at `/readyz`.
async fn reports(context: &Context, deployment: &Deployment) -> Vec<Check> {
    let namespace = deployment.namespace().unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(context.connection.client.clone(), &namespace);
    let selector = ListParams::default().labels(&operators::pods_selector(deployment));
    let pods = match send(context, pods.list(&selector)).await {
        Ok(pods) => pods.items,
        Err(error) => return vec![Check::error("Operator report", &error)],
    };
    let mut all = vec![];
    for pod in pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
        let name = pod.name_any();
        let Some(port) = health_port(pod) else { continue };
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/readyz");
        let Ok(request) = http::Request::get(path).body(vec![]) else { continue };
        match send(context, context.connection.client.request_text(request)).await {
            Ok(text) => all.push(reported(&name, &text)),
            Err(kube::Error::Api(status)) if status.code == 503 => {
                all.push(Check::fail(
                    format!("Report of {name}"),
                    format!("it is not ready: {}", status.message),
                    format!("See its logs: kubectl logs -n {namespace} {name}{}", context.connection.flags),
                ));
            }
            Err(error) => all.push(Check::error(format!("Report of {name}"), &error)),
        }
    }
    all
}

/// The details of `/readyz`: the first line is `ok`, and each other line is a problem.
pub fn reported(pod: &str, text: &str) -> Check {
    let problems: Vec<_> = text.lines().skip(1).filter(|line| !line.is_empty()).collect();
    if problems.is_empty() {
        return Check::ok(format!("Report of {pod}"), "it is ready and reports no problem");
    }
    Check::warn(
        format!("Report of {pod}"),
        problems.join("; "),
        "Grant the operator the permissions of its chart in that namespace, or remove it from operator.watchNamespaces.",
    )
}

fn health_port(pod: &Pod) -> Option<i32> {
    let ports = pod.spec.as_ref()?.containers.iter().flat_map(|container| container.ports.iter().flatten());
    ports.into_iter().find(|port| port.name.as_deref() == Some("http")).map(|port| port.container_port)
}

/// Whether activators have pods. They are known by the port of their Service.
async fn activators(context: &Context, namespace: &str) -> Vec<Check> {
    let client = || context.connection.client.clone();
    let services: Api<Service> = Api::namespaced(client(), namespace);
    let services = match send(context, services.list(&ListParams::default().labels(PART_OF))).await {
        Ok(services) => services.items,
        Err(error) => return vec![Check::error("Activator", &error)],
    };
    let is_activator = |service: &&Service| {
        let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref());
        ports.is_some_and(|ports| ports.iter().any(|port| port.name.as_deref() == Some(ACTIVATOR)))
    };
    let slices: Api<EndpointSlice> = Api::namespaced(client(), namespace);
    let mut all = vec![];
    for service in services.iter().filter(is_activator) {
        let name = service.name_any();
        let selector = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
        all.push(match send(context, slices.list(&selector)).await {
            Ok(slices) => replicas::endpoints(
                format!("Activator {namespace}/{name}"),
                &slices.items,
                format!(
                    "Requests for suspended units are answered with 503. Scale its Deployment up: kubectl get \
                     deployment,endpointslice -n {namespace}{}",
                    context.connection.flags
                ),
            ),
            Err(error) => Check::error("Activator", &error),
        });
    }
    all
}
