//! `make texera`: a deployment of Texera's shape, stand-ins under Texera's names and ports behind one gateway, to be tried by hand.

use e2e::{
    attach::Cluster,
    demo::{
        install::{self, TEXERA, TEXERA_UNITS, UNITS},
        show::{apply, heading, run},
    },
    texera::{self, standins},
};
use serde_json::json;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cluster = Cluster::attach().await?;
    heading("Namespaces for Texera's services and for its units");
    run(&cluster, "kubectl apply -f config/samples/namespace.yaml").await?;
    let namespaces =
        [TEXERA, TEXERA_UNITS].map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    apply(&cluster, &format!("(namespaces {TEXERA} and {TEXERA_UNITS})"), &list(&namespaces)).await?;

    heading("The operator, by its chart, for the units of both");
    install::operator(&cluster).await?;

    heading("Stand-ins for Texera's services, under their names and ports");
    let mut objects = standins::objects(TEXERA_UNITS);
    for object in &mut objects {
        object["metadata"]["namespace"] = TEXERA.into();
    }
    apply(&cluster, "(a Service for each, and two pods)", &list(&objects)).await?;

    heading("One gateway for all of them and for the units, by its chart");
    run(&cluster, &texera::install_command(TEXERA, TEXERA_UNITS).join(" ")).await?;
    run(&cluster, &format!("kubectl wait gateway texera -n {TEXERA} --for=condition=Programmed --timeout=2m")).await?;
    run(&cluster, &format!("kubectl wait pod --all -n {TEXERA} --for=condition=Ready --timeout=1m")).await?;

    heading("Try it by hand");
    println!("{}", next());
    Ok(())
}

fn list(objects: &[serde_json::Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}

fn next() -> String {
    format!(
        "eval \"$(make env)\"
GW=$(kubectl get gateway texera -n {TEXERA} -o jsonpath='{{.status.addresses[0].value}}')
curl \"http://$GW/api/config/gui\"                                    # a static path
kubectl create computingunit computing-unit-7 -n {TEXERA_UNITS} --cuid 7 --wait
curl -i \"http://$GW/wsapi?cuid=7\"                                    # 401: no token
curl -i \"http://$GW/wsapi?cuid=7&access-token=for-8\"                 # 403: a token for another
curl \"http://$GW/wsapi?cuid=7&access-token=for-7\"                    # the unit, with the headers of the authorization
curl -i \"http://$GW/wsapi?%63uid=8&cuid=7&access-token=for-8\"        # 421: authorized for another, reaches none
kubectl delete computingunit computing-unit-7 -n {TEXERA_UNITS}
helm uninstall texera -n {TEXERA}; kubectl delete namespace {TEXERA} {TEXERA_UNITS}     # the units of {UNITS} stay"
    )
}
