//! `make demo`: one unit from its creation to its end, on a real Kubernetes behind a real Envoy Gateway.

use std::{env, fs, path::Path};

use anyhow::Context;
use computing_unit_api::ComputingUnit;
use e2e::{
    attach::Cluster,
    demo::{
        ending,
        install::{self, SYSTEM, UNITS},
        show::{Way, apply, heading, run},
        wake,
    },
    tool, units,
};
use kube::{Api, ResourceExt};

/// The unit that is shown.
const NAME: &str = "demo";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cluster = Cluster::attach().await?;
    heading("A namespace whose routes the gateway admits, and the operator, by its chart");
    run(&cluster, "kubectl apply -f config/samples/namespace.yaml").await?;
    install::operator(&cluster).await?;

    heading("A pool, which says what units are made from and how they are reached");
    apply(&cluster, "config/samples/pool-query.yaml", &pool(&cluster)?).await?;

    heading("A unit, and its stages as they pass");
    // A run that was killed may have left one.
    tool::line(&cluster, &format!("kubectl delete computingunit {NAME} -n {UNITS} --ignore-not-found")).await?;
    run(&cluster, &format!("kubectl create computingunit {NAME} -n {UNITS} --cuid 42 --owner ada --wait=2m")).await?;
    let unit = Api::<ComputingUnit>::namespaced(cluster.client(), UNITS).get(NAME).await?;
    let url = unit.status.as_ref().and_then(|status| status.url.clone()).context("the unit has no URL")?;

    heading("It answers over HTTP and over a WebSocket, through the gateway");
    let way = Way::to(&url).await?;
    way.get().await?;
    way.echo(&["hello", "from the demo"]).await?;

    heading("A static page behind the same address");
    page(&cluster).await?;
    Way { path: "/welcome".to_owned(), ..way.clone() }.until_served().await?;

    heading("What kubectl says of it");
    run(&cluster, &format!("kubectl get cu -n {UNITS} -o wide")).await?;
    run(&cluster, &format!("kubectl get pod,service,httproute -n {UNITS} -l texera.apache.org/unit={NAME}")).await?;

    heading("It is suspended: its pod is stopped, its Service and its URL stay");
    run(&cluster, &format!("kubectl cu suspend {NAME} -n {UNITS} --wait")).await?;
    run(&cluster, &format!("kubectl get cu -n {UNITS}")).await?;
    run(&cluster, &format!("kubectl get pod,service,httproute -n {UNITS} -l texera.apache.org/unit={NAME}")).await?;

    heading("Its URL is asked for: that starts it, and the request is held and sent on to it");
    wake::ask(&way, &unit.uid().context("the unit has no UID")?).await?;

    heading("It is deleted: the route goes before the pod is told to stop");
    println!("$ kubectl delete cu {NAME} -n {UNITS}");
    for step in ending::watch(&cluster, &unit, &way).await? {
        println!("{:6.3} s  {}", step.after.as_secs_f64(), step.what);
    }

    heading("Go on by hand");
    println!("{}", next(&cluster, &url));
    Ok(())
}

/// A static service beside the units, with a route that knows nothing of them.
async fn page(cluster: &Cluster) -> anyhow::Result<()> {
    let manifest = fs::read_to_string(tool::file("e2e/manifests/page.yaml"))?;
    let gateway = cluster.gateway();
    let mut manifest = manifest.replace("{{gateway}}", &gateway.name).replace("{{namespace}}", &gateway.namespace);
    if let Ok(image) = env::var("ENGINE_IMAGE") {
        manifest = manifest.replace(units::ENGINE, &image);
    }
    apply(cluster, "e2e/manifests/page.yaml", &manifest).await?;
    run(cluster, &format!("kubectl wait pod welcome -n {UNITS} --for=condition=Ready --timeout=1m")).await
}

/// The sample, with the address at which the local cluster's gateway can be reached from here.
fn pool(cluster: &Cluster) -> anyhow::Result<String> {
    let sample = fs::read_to_string(tool::file("config/samples/pool-query.yaml"))?;
    let mut pool: serde_json::Value = serde_saphyr::from_str(&sample)?;
    if let Some(port) = port(cluster) {
        pool["spec"]["routing"]["baseURL"] = format!("http://localhost:{port}").into();
    }
    if let Ok(image) = env::var("ENGINE_IMAGE") {
        pool["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
    }
    Ok(serde_saphyr::to_string(&pool)?)
}

/// The port of this machine that leads to the gateway of the local cluster.
fn port(cluster: &Cluster) -> Option<u16> {
    let file = cluster.kubeconfig().parent().unwrap_or(Path::new("")).join("port");
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn next(cluster: &Cluster, url: &str) -> String {
    let bin = tool::file(".cluster/bin");
    format!(
        "export KUBECONFIG={} PATH={bin}:$PATH\n\
         kubectl create computingunit mine -n {UNITS} --cuid 42 --wait\n\
         curl -i '{url}'\n\
         kubectl cu list -n {UNITS} --watch\n\
         kubectl cu describe mine -n {UNITS}\n\
         kubectl explain cu.spec\n\
         kubectl cu suspend mine -n {UNITS} --wait\n\
         curl -iL '{url}'        # wakes it\n\
         kubectl cu delete mine -n {UNITS} --wait\n\
         kubectl -n {SYSTEM} logs -l app.kubernetes.io/name=computing-unit-operator\n\
         make down        # takes the cluster down",
        cluster.kubeconfig().display(),
    )
}
