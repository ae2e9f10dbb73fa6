//! The chart grants what the operator uses and nothing else, and the files made from it and from the types are fresh.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use computing_unit_api::{ComputingUnit, ComputingUnitPool};
use computing_unit_operator::rbac::{self, Access, Scope};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use serde_json::Value;

const CHART: &str = "charts/computing-unit-operator";
const RELEASE_NAMESPACE: &str = "computing-unit-system";

fn root(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

fn rendered(more: &[&str]) -> String {
    let helm = Command::new("helm")
        .args(["template", "computing-unit-operator", &root(CHART), "--namespace", RELEASE_NAMESPACE])
        .args(more)
        .output()
        .expect("helm is there: run `make helm`, and put .cluster/bin on PATH");
    assert!(helm.status.success(), "{}", String::from_utf8_lossy(&helm.stderr));
    String::from_utf8(helm.stdout).expect("helm writes text")
}

fn documents(text: &str) -> Vec<Value> {
    let read = |part: &str| serde_saphyr::from_str::<Value>(part).unwrap_or_else(|error| panic!("{error}\n{part}"));
    format!("\n{text}").split("\n---").map(read).filter(|document| !document.is_null()).collect()
}

/// Rights, each as group, resource and verb, by the namespace that they are granted in; `*` for all of them.
type Rights = BTreeMap<String, BTreeSet<(String, String, String)>>;

fn grant(rights: &mut Rights, namespace: &str, rules: &[PolicyRule]) {
    let granted = rights.entry(namespace.to_owned()).or_default();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let all = rule.verbs.iter().map(|verb| (group.clone(), resource.clone(), verb.clone()));
                granted.extend(all);
            }
        }
    }
}

/// What the chart grants to the account whose name ends with `account`.
fn granted(manifests: &[Value], account: &str) -> Rights {
    let of_kind = |kind: &'static str| manifests.iter().filter(move |object| object["kind"] == kind);
    let bound = |binding: &Value| binding["subjects"][0]["name"].as_str().is_some_and(|name| name == account);
    let mut rights = Rights::new();
    for binding in of_kind("ClusterRoleBinding").filter(|binding| bound(binding)) {
        for role in of_kind("ClusterRole").filter(|role| role["metadata"]["name"] == binding["roleRef"]["name"]) {
            let role: ClusterRole = serde_json::from_value(role.clone()).expect("a ClusterRole");
            grant(&mut rights, "*", &role.rules.unwrap_or_default());
        }
    }
    for binding in of_kind("RoleBinding").filter(|binding| bound(binding)) {
        let namespace = &binding["metadata"]["namespace"];
        let same = |role: &&Value| {
            role["metadata"]["name"] == binding["roleRef"]["name"] && role["metadata"]["namespace"] == *namespace
        };
        for role in of_kind("Role").filter(same) {
            let role: Role = serde_json::from_value(role.clone()).expect("a Role");
            grant(&mut rights, namespace.as_str().expect("a namespace"), &role.rules.unwrap_or_default());
        }
    }
    rights
}

/// What the table says.
fn used(table: &[Access], units: &[&str], gateways: &[&str]) -> Rights {
    let mut rights = Rights::new();
    for access in table {
        let namespaces = match access.scope {
            Scope::Unit => units,
            Scope::Gateway => gateways,
            Scope::Cluster => &["*"],
            Scope::OwnNamespace => &[RELEASE_NAMESPACE],
        };
        for namespace in namespaces {
            let right = |verb: &&str| (access.group.to_owned(), access.resource.to_owned(), (*verb).to_owned());
            rights.entry((*namespace).to_owned()).or_default().extend(access.verbs.iter().map(right));
        }
    }
    rights
}

#[test]
fn the_chart_grants_what_is_used() {
    let everywhere = documents(&rendered(&["--set", "operator.gatewayNamespaces=null"]));
    assert_eq!(granted(&everywhere, "computing-unit-operator"), used(rbac::USED, &["*"], &["*"]));
    assert_eq!(granted(&everywhere, "computing-unit-operator-release"), used(rbac::UNINSTALL, &["*"], &[]));

    let some = ["--set", "operator.watchNamespaces={one,two}", "--set", "operator.gatewayNamespaces={gateways}"];
    let some = documents(&rendered(&some));
    assert_eq!(granted(&some, "computing-unit-operator"), used(rbac::USED, &["one", "two"], &["gateways"]));
    assert_eq!(granted(&some, "computing-unit-operator-release"), used(rbac::UNINSTALL, &["one", "two"], &[]));
}

#[test]
fn entries_of_pools_may_lead_to_the_operator_from_the_namespaces_that_were_named() {
    let of_kind = |all: &[Value], kind: &str, name: &str| -> Option<Value> {
        all.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name).cloned()
    };
    let name = "computing-unit-operator-entry";
    let named = ["--set", "operator.watchNamespaces={one,two}", "--set", "entry.namespaces={two,three}"];
    let all = documents(&rendered(&[&named[..], &["--set", "networkPolicy.enabled=true"]].concat()));
    let grant = of_kind(&all, "ReferenceGrant", name).expect("a grant");
    assert_eq!(grant["metadata"]["namespace"], RELEASE_NAMESPACE);
    let from: Vec<_> = grant["spec"]["from"].as_array().expect("from").iter().map(|from| &from["namespace"]).collect();
    assert_eq!(from, ["one", "two", "three"]);
    assert_eq!(grant["spec"]["to"], serde_json::json!([{"group": "", "kind": "Service", "name": name}]));
    let service = of_kind(&all, "Service", name).expect("a Service");
    let deployment = of_kind(&all, "Deployment", "computing-unit-operator").expect("a Deployment");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let port = &service["spec"]["ports"][0];
    let led_to = container["ports"].as_array().expect("ports").iter().find(|own| own["name"] == port["targetPort"]);
    assert_eq!(led_to.expect("the port that the Service leads to")["containerPort"], 8090);
    let told = container["env"].as_array().expect("env").iter().find(|own| own["name"] == "CU_ENTRY_SERVICE");
    assert_eq!(told.expect("the Service is told")["value"], format!("{RELEASE_NAMESPACE}/{name}:{}", port["port"]));
    let policy = of_kind(&all, "NetworkPolicy", "computing-unit-operator").expect("a policy");
    let from = &policy["spec"]["ingress"][1];
    assert_eq!(from["ports"][0]["port"], "entry");
    let proxies = &from["from"][0]["namespaceSelector"]["matchExpressions"][0]["values"];
    assert_eq!(*proxies, serde_json::json!(["envoy-gateway-system"]));

    // A grant cannot be given to all namespaces.
    assert_eq!(of_kind(&documents(&rendered(&[])), "ReferenceGrant", name), None);
    let none = rendered(&["--set", "entry.enabled=false"]);
    assert!(!none.contains("CU_ENTRY") && of_kind(&documents(&none), "Service", name).is_none());
}

#[test]
fn the_plain_manifests_are_fresh() {
    let namespace = fs::read_to_string(root("config/namespace.yaml")).expect("config/namespace.yaml");
    let install = fs::read_to_string(root("config/install.yaml")).expect("config/install.yaml");
    assert!(install == namespace + &rendered(&["--no-hooks"]), "config/install.yaml is stale: run `make generate`");
}

#[test]
fn the_definitions_of_the_chart_are_fresh() {
    for entry in fs::read_dir(root("crds")).expect("crds") {
        let path = entry.expect("a file").path();
        let copy = Path::new(&root(CHART)).join("files/crds").join(path.file_name().expect("a name"));
        let same = fs::read_to_string(&path).expect("a definition") == fs::read_to_string(&copy).unwrap_or_default();
        assert!(same, "{} is stale: run `make generate`", copy.display());
    }
}

#[test]
fn the_samples_are_pools_and_units() {
    let mut kinds = BTreeMap::<String, usize>::new();
    for entry in fs::read_dir(root("config/samples")).expect("samples") {
        let path = entry.expect("a file").path();
        for document in documents(&fs::read_to_string(&path).expect("a sample")) {
            let kind = document["kind"].as_str().expect("a kind").to_owned();
            match kind.as_str() {
                "ComputingUnit" => drop(serde_json::from_value::<ComputingUnit>(document).expect("a unit")),
                "ComputingUnitPool" => drop(serde_json::from_value::<ComputingUnitPool>(document).expect("a pool")),
                _ => {}
            }
            *kinds.entry(kind).or_default() += 1;
        }
    }
    assert_eq!((kinds["ComputingUnitPool"], kinds["ComputingUnit"]), (3, 2), "{kinds:?}");
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    for (set, says) in [
        ("leaderElection.enabled=false", "replicas: more than one needs leaderElection.enabled"),
        ("ports.http=9090", "operator.httpAddress and ports.http name different ports"),
        ("ports.entry=9090", "entry.address and ports.entry name different ports"),
        ("operator.watchNamespace=one", "watchNamespace"),
        ("serviceAccount.create=false", "serviceAccount.name is needed"),
    ] {
        let helm = Command::new("helm").args(["template", "x", &root(CHART), "--set", set]).output().expect("helm");
        let error = String::from_utf8_lossy(&helm.stderr);
        assert!(!helm.status.success() && error.contains(says), "{set}: {error}");
    }
}
