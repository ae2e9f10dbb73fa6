//! `make demo`: the life cycle of one unit, on a real Kubernetes cluster behind a real Envoy Gateway.

use std::{env, fs, path::Path};

use anyhow::Context;
use computing_unit_api::ComputingUnit;
use e2e::{
    attach::Cluster,
    demo::{
        ending,
        install::{self, SYSTEM, UNITS},
        show::{ResolvedUrl, apply, heading, run},
        wake,
    },
    tool, units,
};
use kube::{Api, ResourceExt};

/// The name of the unit.
const NAME: &str = "demo";
/// The namespace of the static page. That of the units has nothing but units.
const PAGE: &str = "welcome";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cluster = Cluster::attach().await?;
    heading("Create a namespace whose routes the Gateway allows, and install the operator with Helm");
    run(&cluster, "kubectl apply -f config/samples/namespace.yaml").await?;
    install::operator(&cluster).await?;

    heading("Create a pool: the pod template and the routing of units");
    apply(&cluster, "config/samples/pool-query.yaml", &pool(&cluster)?).await?;

    heading("Create a unit and wait until it is Ready");
    // A killed run may have left one behind.
    tool::line(&cluster, &format!("kubectl delete computingunit {NAME} -n {UNITS} --ignore-not-found")).await?;
    run(&cluster, &format!("kubectl create computingunit {NAME} -n {UNITS} --cuid 42 --owner ada --wait --timeout=2m"))
        .await?;
    let unit = Api::<ComputingUnit>::namespaced(cluster.client(), UNITS).get(NAME).await?;
    let url = unit.status.as_ref().and_then(|status| status.url.clone()).context("the unit has no URL")?;

    heading("Send an HTTP request and open a WebSocket, through the gateway");
    let resolved = ResolvedUrl::of(&url).await?;
    resolved.get().await?;
    resolved.echo(&["hello", "from the demo"]).await?;

    heading("Serve a static page on the same address");
    page(&cluster).await?;
    ResolvedUrl { path: "/".to_owned(), ..resolved.clone() }.until_served().await?;

    heading("Show the unit and its children with kubectl");
    run(&cluster, &format!("kubectl get cu -n {UNITS} -o wide")).await?;
    run(&cluster, &format!("kubectl get pod,service,httproute -n {UNITS} -l texera.apache.org/unit={NAME}")).await?;

    heading("Suspend the unit: its pod is deleted, its Service and its URL are kept");
    run(&cluster, &format!("kubectl cu suspend {NAME} -n {UNITS} --wait")).await?;
    run(&cluster, &format!("kubectl get cu -n {UNITS}")).await?;
    run(&cluster, &format!("kubectl get pod,service,httproute -n {UNITS} -l texera.apache.org/unit={NAME}")).await?;

    heading("Request its URL: the activator starts the unit, holds the request and redirects it to the unit");
    wake::ask(&resolved, &unit.uid().context("the unit has no UID")?).await?;

    heading("Delete the unit: its route is removed from every proxy before its pod is terminated");
    println!("$ kubectl delete cu {NAME} -n {UNITS}");
    for step in ending::watch(&cluster, &unit, &resolved).await? {
        println!("{:6.3} s  {}", step.after.as_secs_f64(), step.what);
    }

    heading("Next steps");
    println!("{}", next());
    Ok(())
}

/// A static service with a route of its own, for the paths of the gateway that are not those of units.
async fn page(cluster: &Cluster) -> anyhow::Result<()> {
    let manifest = fs::read_to_string(tool::file("e2e/manifests/page.yaml"))?;
    let gateway = cluster.gateway();
    let mut manifest = manifest.replace("{{gateway}}", &gateway.name).replace("{{namespace}}", &gateway.namespace);
    if let Ok(image) = env::var("ENGINE_IMAGE") {
        manifest = manifest.replace(units::ENGINE, &image);
    }
    apply(cluster, "e2e/manifests/page.yaml", &manifest).await?;
    run(cluster, &format!("kubectl wait pod welcome -n {PAGE} --for=condition=Ready --timeout=1m")).await
}

/// The sample pool, with the base URL of the local cluster's gateway.
fn pool(cluster: &Cluster) -> anyhow::Result<String> {
    let sample = fs::read_to_string(tool::file("config/samples/pool-query.yaml"))?;
    let mut pool: serde_json::Value = serde_saphyr::from_str(&sample)?;
    if let Some(port) = port(cluster) {
        pool["spec"]["routing"]["baseURL"] = format!("http://localhost:{port}").into();
    }
    let image = env::var("ENGINE_IMAGE").unwrap_or_else(|_| units::ENGINE.to_owned());
    let pod = &mut pool["spec"]["template"]["spec"];
    pod["containers"][0]["image"] = image.into();
    // A container that is stopped while it starts does not receive the signal, and takes the whole period.
    pod["terminationGracePeriodSeconds"] = 5.into();
    Ok(serde_saphyr::to_string(&pool)?)
}

/// The local port that is forwarded to the gateway of the local cluster.
fn port(cluster: &Cluster) -> Option<u16> {
    let file = cluster.kubeconfig().parent().unwrap_or(Path::new("")).join("port");
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn next() -> String {
    format!(
        "eval \"$(make env)\"        # in this folder: kubectl, its plugins, the cluster and the namespace {UNITS}
kubectl create computingunit mine --cuid 7 --owner ada --wait
curl -i \"$(kubectl cu url mine)\"
kubectl cu list --watch
kubectl cu describe mine
kubectl explain cu.spec
kubectl cu suspend mine --wait
curl -iL \"$(kubectl cu url mine)\"        # starts it
kubectl cu delete mine --wait
kubectl logs -n {SYSTEM} -l app.kubernetes.io/name=computing-unit-operator
make down        # stops and removes the cluster

README.md explains each step. docs/tutorials has more."
    )
}
