//! The charts grant exactly the permissions that the operator uses, document their values, and match the generated files.

mod quickstart;
mod values;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use computing_unit_api::rbac::{self, Access, Scope};
use computing_unit_api::{ComputingUnit, ComputingUnitPool, Quantity};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use serde_json::Value;

const CHART: &str = "charts/computing-unit-operator";
/// That of the generated manifests.
const IMAGE: &str = "registry.invalid/computing-unit-operator";
const RELEASE_NAMESPACE: &str = "computing-unit-system";

/// The kinds without a namespace that the chart creates, besides the CRDs.
const CLUSTER_SCOPED: [&str; 4] =
    ["ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];

fn root(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

fn rendered(more: &[&str]) -> String {
    let helm = Command::new("helm")
        .args(["template", "computing-unit-operator", &root(CHART), "--namespace", RELEASE_NAMESPACE])
        .args(["--set", &format!("image.repository={IMAGE}")])
        .args(more)
        .output()
        .expect("helm is not on PATH: run `make helm`, and add .cluster/bin to PATH");
    assert!(helm.status.success(), "{}", String::from_utf8_lossy(&helm.stderr));
    String::from_utf8(helm.stdout).expect("UTF-8")
}

#[test]
fn image_has_no_default() {
    let helm = Command::new("helm").args(["template", "computing-unit-operator", &root(CHART)]).output().expect("helm");
    let error = String::from_utf8_lossy(&helm.stderr);
    assert!(!helm.status.success() && error.contains("image.repository is required"), "{error}");
}

/// Nobody can publish an image under the reserved domain `invalid`.
#[test]
fn images_in_manifests_and_samples_cannot_be_published_by_others() {
    let samples = fs::read_dir(root("config/samples")).expect("samples").map(|file| file.expect("a file").path());
    for file in samples.chain([root("config/install.yaml").into()]) {
        let text = fs::read_to_string(&file).expect("a file");
        for line in text.lines().filter_map(|line| line.split_once(" image: ")) {
            let image = line.1.trim_matches('"');
            assert!(image.starts_with("registry.invalid/"), "{}: {image}", file.display());
        }
    }
}

/// A laptop has two cores, of which other pods reserve some.
#[test]
fn several_units_of_a_sample_pool_fit_on_two_cores() {
    let samples = fs::read_dir(root("config/samples")).expect("samples").map(|file| file.expect("a file").path());
    let pools = samples.filter(|path| path.display().to_string().contains("/pool-"));
    let mut count = 0;
    for path in pools {
        let text = fs::read_to_string(&path).expect("a file");
        let pool: ComputingUnitPool = serde_saphyr::from_str(&text).expect("a pool");
        let pod = pool.spec.template.spec.expect("a template");
        let requests = pod.containers[0].resources.as_ref().and_then(|resources| resources.requests.as_ref());
        let cpu = requests.and_then(|requests| Quantity(requests.get("cpu")?.0.clone()).value());
        assert!(cpu.is_some_and(|cpu| cpu <= 0.25), "{}: {cpu:?}", path.display());
        count += 1;
    }
    assert_eq!(count, 3);
}

fn documents(text: &str) -> Vec<Value> {
    let read = |part: &str| serde_saphyr::from_str::<Value>(part).unwrap_or_else(|error| panic!("{error}\n{part}"));
    format!("\n{text}").split("\n---").map(read).filter(|document| !document.is_null()).collect()
}

/// Permissions as group, resource and verb, by namespace. `*` stands for all namespaces.
type Permissions = BTreeMap<String, BTreeSet<(String, String, String)>>;

fn grant(permissions: &mut Permissions, namespace: &str, rules: &[PolicyRule]) {
    let granted = permissions.entry(namespace.to_owned()).or_default();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let all = rule.verbs.iter().map(|verb| (group.clone(), resource.clone(), verb.clone()));
                granted.extend(all);
            }
        }
    }
}

/// The permissions that the chart grants to a service account.
fn granted(manifests: &[Value], account: &str) -> Permissions {
    let of_kind = |kind: &'static str| manifests.iter().filter(move |object| object["kind"] == kind);
    let bound = |binding: &Value| binding["subjects"][0]["name"].as_str().is_some_and(|name| name == account);
    let mut permissions = Permissions::new();
    for binding in of_kind("ClusterRoleBinding").filter(|binding| bound(binding)) {
        for role in of_kind("ClusterRole").filter(|role| role["metadata"]["name"] == binding["roleRef"]["name"]) {
            let role: ClusterRole = serde_json::from_value(role.clone()).expect("a ClusterRole");
            grant(&mut permissions, "*", &role.rules.unwrap_or_default());
        }
    }
    for binding in of_kind("RoleBinding").filter(|binding| bound(binding)) {
        let namespace = &binding["metadata"]["namespace"];
        let same = |role: &&Value| {
            role["metadata"]["name"] == binding["roleRef"]["name"] && role["metadata"]["namespace"] == *namespace
        };
        for role in of_kind("Role").filter(same) {
            let role: Role = serde_json::from_value(role.clone()).expect("a Role");
            grant(&mut permissions, namespace.as_str().expect("a namespace"), &role.rules.unwrap_or_default());
        }
    }
    permissions
}

/// The permissions in a table of the operator.
fn used(table: &[Access], units: &[&str], gateways: &[&str]) -> Permissions {
    let mut permissions = Permissions::new();
    for access in table {
        let namespaces = match access.scope {
            Scope::Unit => units,
            Scope::Gateway => gateways,
            Scope::Cluster => &["*"],
            Scope::OwnNamespace => &[RELEASE_NAMESPACE],
        };
        for namespace in namespaces {
            let permission = |verb: &&str| (access.group.to_owned(), access.resource.to_owned(), (*verb).to_owned());
            permissions.entry((*namespace).to_owned()).or_default().extend(access.verbs.iter().map(permission));
        }
    }
    permissions
}

#[test]
fn the_chart_grants_exactly_the_permissions_in_use() {
    let everywhere = documents(&rendered(&["--set", "operator.gatewayNamespaces=null"]));
    assert_eq!(granted(&everywhere, "computing-unit-operator"), used(rbac::USED, &["*"], &["*"]));
    assert_eq!(granted(&everywhere, "computing-unit-operator-uninstall"), used(rbac::UNINSTALL, &["*"], &[]));

    let some = ["--set", "operator.watchNamespaces={one,two}", "--set", "operator.gatewayNamespaces={gateways}"];
    let some = documents(&rendered(&some));
    assert_eq!(granted(&some, "computing-unit-operator"), used(rbac::USED, &["one", "two"], &["gateways"]));
    assert_eq!(granted(&some, "computing-unit-operator-uninstall"), used(rbac::UNINSTALL, &["one", "two"], &[]));
}

#[test]
fn releases_of_the_same_name_share_no_object_outside_of_their_namespaces() {
    let outside = |namespace: &str| -> BTreeSet<(String, String, String)> {
        let set = ["--set", "operator.watchNamespaces={one,two}", "--set", "crds.install=false"];
        let all = documents(&rendered(&[&set[..], &["--namespace", namespace]].concat()));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let shared = all.iter().filter(|object| object["metadata"]["namespace"] != namespace).map(|object| {
            let kind = text(&object["kind"]);
            assert!(CLUSTER_SCOPED.contains(&kind.as_str()) || object["metadata"]["namespace"].is_string(), "{object}");
            (kind, text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]))
        });
        shared.collect()
    };
    let (first, second) = (outside("first"), outside("second"));
    assert!(!first.is_empty() && first.is_disjoint(&second), "{first:?}");
}

#[test]
fn httproutes_in_the_configured_namespaces_may_refer_to_the_activator() {
    let find = |all: &[Value], kind: &str, name: &str| -> Option<Value> {
        all.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name).cloned()
    };
    let name = "computing-unit-operator-activator";
    let namespaces = ["--set", "operator.watchNamespaces={one,two}", "--set", "activator.namespaces={two,three}"];
    let all = documents(&rendered(&[&namespaces[..], &["--set", "networkPolicy.enabled=true"]].concat()));
    let grant = find(&all, "ReferenceGrant", name).expect("a ReferenceGrant");
    assert_eq!(grant["metadata"]["namespace"], RELEASE_NAMESPACE);
    let from: Vec<_> = grant["spec"]["from"].as_array().expect("from").iter().map(|from| &from["namespace"]).collect();
    assert_eq!(from, ["one", "two", "three"]);
    assert_eq!(grant["spec"]["to"], serde_json::json!([{"group": "", "kind": "Service", "name": name}]));
    let service = find(&all, "Service", name).expect("a Service");
    let port = &service["spec"]["ports"][0];
    let deployment = find(&all, "Deployment", "computing-unit-operator").expect("a Deployment");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let named = |list: &str, name: &str| -> Value {
        let all = container[list].as_array().expect("a list");
        all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name} in {list}")).clone()
    };
    assert_eq!(named("ports", port["targetPort"].as_str().expect("a name"))["containerPort"], 8090);
    let reference = format!("{RELEASE_NAMESPACE}/{name}:{}", port["port"]);
    assert_eq!(named("env", "CU_ACTIVATOR_SERVICE")["value"], reference);
    let policy = find(&all, "NetworkPolicy", "computing-unit-operator").expect("a NetworkPolicy");
    let rule = &policy["spec"]["ingress"][1];
    assert_eq!(rule["ports"][0]["port"], "activator");
    let proxies = &rule["from"][0]["namespaceSelector"]["matchExpressions"][0]["values"];
    assert_eq!(*proxies, serde_json::json!(["envoy-gateway-system"]));

    // A ReferenceGrant cannot cover all namespaces.
    assert_eq!(find(&documents(&rendered(&[])), "ReferenceGrant", name), None);
    let disabled = rendered(&["--set", "activator.enabled=false"]);
    assert!(!disabled.contains("CU_ACTIVATOR") && find(&documents(&disabled), "Service", name).is_none());
}

#[test]
fn the_operator_listens_on_the_container_ports() {
    let text = rendered(&["--set", "ports.http=9080,ports.activator=9090"]);
    for expected in ["containerPort: 9080", "[::]:9080", "containerPort: 9090", "[::]:9090"] {
        assert!(text.contains(expected), "no {expected}");
    }
}

#[test]
fn the_plain_manifests_are_up_to_date() {
    let namespace = fs::read_to_string(root("config/namespace.yaml")).expect("config/namespace.yaml");
    let install = fs::read_to_string(root("config/install.yaml")).expect("config/install.yaml");
    assert!(install == namespace + &rendered(&["--no-hooks"]), "config/install.yaml is stale: run `make generate`");
}

#[test]
fn the_crds_of_the_chart_are_up_to_date() {
    for file in fs::read_dir(root("crds")).expect("crds") {
        let path = file.expect("a file").path();
        let copy = Path::new(&root(CHART)).join("files/crds").join(path.file_name().expect("a name"));
        let same = fs::read_to_string(&path).expect("a definition") == fs::read_to_string(&copy).unwrap_or_default();
        assert!(same, "{} is stale: run `make generate`", copy.display());
    }
}

#[test]
fn the_samples_are_valid_pools_and_units() {
    let mut kinds = BTreeMap::<String, usize>::new();
    for file in fs::read_dir(root("config/samples")).expect("samples") {
        let path = file.expect("a file").path();
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
fn contradictory_values_are_rejected() {
    for (set, message) in [
        ("leaderElection.enabled=false", "more than one replica requires leaderElection.enabled=true"),
        ("ports.http=8090", "ports.http and ports.activator must differ"),
        ("metrics.service.enabled=false,metrics.serviceMonitor.enabled=true", "requires metrics.service.enabled=true"),
        ("operator.watchNamespace=one", "watchNamespace"),
        ("serviceAccount.create=false", "serviceAccount.name is required"),
    ] {
        let all = format!("image.repository={IMAGE},{set}");
        let helm = Command::new("helm").args(["template", "x", &root(CHART), "--set", &all]).output().expect("helm");
        let error = String::from_utf8_lossy(&helm.stderr);
        assert!(!helm.status.success() && error.contains(message), "{set}: {error}");
    }
}
