//! `make texera`: stand-ins for Texera's services, with Texera's names and ports, behind one gateway, for manual tests.

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
    heading("Create namespaces for Texera's services and for its units");
    run(&cluster, "kubectl apply -f config/samples/namespace.yaml").await?;
    let namespaces =
        [TEXERA, TEXERA_UNITS].map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    apply(&cluster, &format!("(namespaces {TEXERA} and {TEXERA_UNITS})"), &list(&namespaces)).await?;

    heading("Install the operator with Helm, for all unit namespaces");
    install::operator(&cluster).await?;

    heading("Create stand-ins for Texera's services, with their names and ports");
    let mut objects =
        standins::objects(TEXERA_UNITS, &texera::Authorization { execution: true, ..texera::Authorization::default() });
    for object in &mut objects {
        object["metadata"]["namespace"] = TEXERA.into();
    }
    apply(&cluster, "(a Service for each, and two pods)", &list(&objects)).await?;

    heading("Install one gateway for the services and the units with Helm");
    run(&cluster, &texera::install_command(TEXERA, TEXERA_UNITS).join(" ")).await?;
    run(&cluster, &format!("kubectl wait gateway texera -n {TEXERA} --for=condition=Programmed --timeout=2m")).await?;
    run(&cluster, &format!("kubectl wait pod --all -n {TEXERA} --for=condition=Ready --timeout=1m")).await?;

    heading("Next steps");
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
WS=\"http://$GW/wsapi/workflow-websocket\"
curl -i \"$WS?cuid=7\"                                               # 403: no token
curl -i \"$WS?cuid=7&access-token=for-8\"                            # 403: a token for another unit
curl \"$WS?cuid=7&access-token=for-7\"                               # 200 from the unit
curl -i \"$WS?%63uid=8&cuid=7&access-token=for-8\"                   # 421: authorized for unit 8
curl -X DELETE \"http://$GW/api/pve/pves/7?access-token=for-7\"      # 200: the number is in the path
                                                                   # the address for pods: http://computing-units.{TEXERA}.svc
curl -H 'Host: computing-units.{TEXERA}.svc' -H 'Authorization: Bearer for-7' -d '{{}}' \"http://$GW/api/execution/1/7/run?cuid=7\"
kubectl delete computingunit computing-unit-7 -n {TEXERA_UNITS}
helm uninstall texera -n {TEXERA}; kubectl delete namespace {TEXERA} {TEXERA_UNITS}     # the units in {UNITS} are kept"
    )
}
