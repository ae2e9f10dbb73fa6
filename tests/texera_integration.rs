//! `integrations/texera`: the checker finds the places of edits in a checkout, and the template renders what the manager's class needs.
//! `e2e` tests both on a cluster. The checkouts here are written by the test and contain only what the checker looks for.

use std::{fs, path::Path, process::Command};

use computing_unit_api::{ComputingUnitPool, QueryLookup};
use serde_json::{Value, json};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/integrations/texera");
const MANAGER: &str = "computing-unit-managing-service/src/main/scala/org/apache/texera/service";
const CHART: &str = "bin/k8s/templates/base";

/// Files of a checkout, with the lines by which the checker finds the places.
fn checkout() -> Vec<(String, &'static str)> {
    let client = "class KubernetesClient(client: io.fabric8.kubernetes.client.KubernetesClient) {\n\
        def generatePodName(cuid: Int): String\n\
        def podExists(cuid: Int): Boolean\n\
        def getPodByName(podName: String): Option[Pod]\n\
        def getAllPodPhases: Map[String, String]\n\
        def getPodLimits(cuid: Int): Map[String, String]\n\
        def createPod(cuid: Int, cpuLimit: String, memoryLimit: String, gpuLimit: String, envVars: Map[String, Any], \
        shmSize: Option[String] = None, curatedImage: Option[String] = None): Pod\n\
        def deletePod(cuid: Int): Unit\n\
        }\n\
        object KubernetesClient extends KubernetesClient(create())\n";
    let manager = |name: &str| format!("{MANAGER}/{name}");
    let chart = |name: &str| format!("{CHART}/{name}");
    let config = "common/config/src/main";
    vec![
        (manager("util/KubernetesClient.scala"), client),
        (manager("util/ComputingUnitHelpers.scala"), "object ComputingUnitHelpers { def isVanished(unit: Unit) }"),
        (manager("resource/ComputingUnitManagingResource.scala"), "setUri(KubernetesClient.generatePodURI(cuid))"),
        (
            format!("{config}/scala/org/apache/texera/common/config/KubernetesConfig.scala"),
            "conf.getString(\"kubernetes.compute-unit-pod-name-prefix\")",
        ),
        (format!("{config}/resources/kubernetes.conf"), "${?KUBERNETES_COMPUTE_UNIT_POD_NAME_PREFIX}"),
        (
            chart("workflow-computing-unit-manager/workflow-computing-unit-manager-deployment.yaml"),
            "- name: KUBERNETES_COMPUTE_UNIT_SERVICE_NAME",
        ),
        (
            chart("workflow-computing-unit-manager/workflow-computing-unit-manager-service-account.yaml"),
            "- resources: [\"pods\"]\n  verbs: [\"get\", \"create\"]",
        ),
        (chart("workflow-computing-unit-pool/other.yaml"), ""),
        (chart("gateway/gateway.yaml"), "- name: http\n  port: 80\n  from: Same\n"),
        (
            chart("gateway/gateway-routes.yaml"),
            "name: dynamic-routes\nvalue: /wsapi\nvalue: /api/executions/result/export\nvalue: /api/pve\nkind: Backend\n  \
             name: texera-dynamic-backend",
        ),
        (chart("gateway/gateway-security-policy.yaml"), "extAuth:\n  path: /api/auth\n  headers:\n  - Host"),
        (
            "access-control-service/src/main/scala/org/apache/texera/service/resource/AccessControlResource.scala"
                .to_owned(),
            ".header(\"Host\", uri)",
        ),
        ("bin/k8s/values.yaml".to_owned(), "workflowComputingUnitPool:\n"),
        ("bin/k8s/Chart.yaml".to_owned(), "dependencies:\n  - name: gateway-helm\n    version: 1.6.3\n"),
        ("build.sbt".to_owned(), "scalaVersion := \"2.13.18\""),
        ("computing-unit-managing-service/build.sbt".to_owned(), "\"kubernetes-client\" % \"6.12.1\""),
    ]
}

/// A folder with these files, which is removed at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn with(name: &str, files: &[(String, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("texera-integration-{}-{name}", std::process::id()));
        for (path, content) in files {
            let file = folder.join(path);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a file");
            fs::write(file, content).expect("a file");
        }
        Self(folder)
    }

    /// Replaces a part of a file.
    fn edit(&self, file: &str, before: &str, after: &str) {
        let path = self.0.join(file);
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.contains(before), "{file}: {text}");
        fs::write(path, text.replace(before, after)).expect("a file");
    }

    /// The exit status and the output of the checker.
    fn check(&self) -> (Option<i32>, String) {
        self.check_with(&[])
    }

    fn check_with(&self, options: &[&str]) -> (Option<i32>, String) {
        let checker = Command::new("python3")
            .arg(format!("{FOLDER}/check-edit-points.py"))
            .arg(&self.0)
            .args(options)
            .output()
            .expect("python3");
        (checker.status.code(), String::from_utf8(checker.stdout).expect("UTF-8"))
    }

    /// The status that the checker prints for a point.
    fn status(&self, point: &str) -> String {
        let (_, output) = self.check();
        let line = output.lines().find(|line| line.split_whitespace().nth(1) == Some(point));
        line.unwrap_or_else(|| panic!("{point}: {output}")).to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// `edit-points.toml`, as the checker reads it.
fn points() -> Value {
    let print = "import json, sys, tomllib; print(json.dumps(tomllib.load(open(sys.argv[1], 'rb'))))";
    let python = Command::new("python3")
        .args(["-c", print])
        .arg(format!("{FOLDER}/edit-points.toml"))
        .output()
        .expect("python3");
    serde_json::from_slice(&python.stdout).expect("TOML")
}

#[test]
fn places_of_edits_are_found() {
    let folder = Folder::with("complete", &checkout());
    let (code, output) = folder.check();
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("KubernetesClient.scala:10: "), "{output}");
    assert!(!output.contains("applied"), "{output}");
}

#[test]
fn a_place_that_is_gone_is_reported() {
    for (number, (file, _)) in checkout().iter().enumerate().filter(|(_, (file, _))| !file.ends_with("other.yaml")) {
        let folder = Folder::with(&format!("changed-{number}"), &checkout());
        fs::write(folder.0.join(file), "something else").unwrap();
        let (code, output) = folder.check();
        assert_eq!(code, Some(1), "{file}: {output}");
        assert!(output.lines().any(|line| line.starts_with("changed") && line.contains(file)), "{file}: {output}");
    }
}

#[test]
fn a_missing_file_is_reported() {
    let folder = Folder::with("missing", &checkout());
    fs::remove_file(folder.0.join("bin/k8s/values.yaml")).unwrap();
    assert_eq!(folder.status("values"), "missing  values           bin/k8s/values.yaml");
    assert_eq!(folder.check().0, Some(1));
}

#[test]
fn other_forms_of_the_client_are_told_what_to_do() {
    let client = format!("{MANAGER}/util/KubernetesClient.scala");
    for (point, before, after, hint) in [
        ("createPod", ", curatedImage: Option[String] = None", "", "curated images"),
        ("createPod", "createPod(cuid: Int", "createPod(cuid: Int, uid: Int", "uid"),
        ("constructor", "client.KubernetesClient)", "client.KubernetesClient, mounting: Boolean)", "explicitly"),
        ("listing", "getAllPodPhases: Map[String, String]", "getAllPodStatusSnapshots: Snapshots", "PodStatusSnapshot"),
    ] {
        let folder = Folder::with(&format!("form-{hint}"), &checkout());
        folder.edit(&client, before, after);
        let line = folder.status(point);
        assert!(line.starts_with("adapt") && line.contains(hint), "{line}");
        assert_eq!(folder.check().0, Some(1));
    }
}

#[test]
fn edits_that_are_made_are_recognized() {
    let folder = Folder::with("applied", &checkout());
    folder.edit(
        &format!("{MANAGER}/util/KubernetesClient.scala"),
        "extends KubernetesClient(",
        "extends ComputingUnitKubernetesClient(",
    );
    let points = points();
    for edit in points["edit"].as_array().unwrap() {
        let insert = edit.get("insert").map(|text| text.as_str().unwrap().to_owned());
        let insert = insert.unwrap_or_else(|| {
            fs::read_to_string(format!("{FOLDER}/{}", edit["insert-file"].as_str().unwrap())).unwrap()
        });
        let file = folder.0.join(edit["file"][0].as_str().unwrap());
        let text = fs::read_to_string(&file).unwrap().replace("  from: Same\n", "").replace("1.6.3", "1.9.1");
        fs::write(file, format!("{text}{insert}\n")).unwrap();
    }
    for added in points["add"].as_array().unwrap() {
        let target = folder.0.join(added["file"][0].as_str().unwrap());
        fs::copy(format!("{FOLDER}/{}", added["from"].as_str().unwrap()), target).unwrap();
    }
    let (code, output) = folder.check();
    assert_eq!(code, Some(0), "{output}");
    let counts = output.lines().last().unwrap();
    assert!(counts.contains("applied") && !counts.contains("ready"), "{output}");
}

#[test]
fn places_of_the_second_step_are_listed_on_request() {
    let folder = Folder::with("step-2", &checkout());
    let (code, output) = folder.check_with(&["--step-2"]);
    assert_eq!(code, Some(1), "the front end is missing: {output}");
    assert!(output.contains("ready    dynamic-route"), "{output}");
    assert!(output.contains("missing  front-end"), "{output}");
    assert_eq!(folder.check_with(&["--step-3"]).0, Some(2));
}

#[test]
fn a_folder_that_is_no_checkout_is_rejected() {
    let folder = Folder::with("empty", &[("README.md".to_owned(), "")]);
    assert_eq!(folder.check().0, Some(2));
}

fn rendered(set: &[&str]) -> Vec<Value> {
    let values = format!("{FOLDER}/chart/texera-values.yaml");
    let chart = format!("{FOLDER}/chart");
    let mut command = Command::new("helm");
    command.args(["template", "texera", &chart, "--namespace", "texera", "--values", &values]);
    for value in set {
        command.args(["--set", value]);
    }
    let helm = command.output().expect("helm is not on PATH: run `make helm`, and add .cluster/bin to PATH");
    assert!(helm.status.success(), "{}", String::from_utf8_lossy(&helm.stderr));
    let text = String::from_utf8(helm.stdout).expect("UTF-8");
    let read = |part: &str| serde_saphyr::from_str::<Value>(part).unwrap_or_else(|error| panic!("{error}\n{part}"));
    format!("\n{text}").split("\n---").map(read).filter(|document| !document.is_null()).collect()
}

fn of_kind<'a>(all: &'a [Value], kind: &str) -> Vec<&'a Value> {
    all.iter().filter(|object| object["kind"] == kind).collect()
}

#[test]
fn nothing_is_rendered_without_the_switch() {
    assert_eq!(rendered(&[]), [] as [Value; 0]);
}

#[test]
fn pool_has_what_the_class_requests() {
    let all = rendered(&["computingUnitOperator.enabled=true"]);
    let [pool] = of_kind(&all, "ComputingUnitPool")[..] else { panic!("{all:?}") };
    let typed: ComputingUnitPool = serde_json::from_value(pool.clone()).unwrap();
    assert_eq!(typed.metadata.name.as_deref(), Some("default"));
    let wake = typed.spec.activator.map(|activator| activator.wake);
    assert_eq!(wake, Some(computing_unit_api::WakePolicy::Never), "DNS is the fallback");
    let query = typed.spec.routing.query.unwrap();
    assert_eq!(query.lookup, QueryLookup::Host);
    let domain = "texera-workflow-computing-unit-svc.texera-workflow-computing-unit-pool.svc.cluster.local";
    assert_eq!(query.lookup_domain.as_deref(), Some(domain));
    // The class names a Secret by the name of the unit.
    let class = "src/main/scala/org/apache/texera/service/util/ComputingUnitKubernetesClient.scala";
    let class = fs::read_to_string(format!("{FOLDER}/{class}")).unwrap();
    assert!(class.contains("s\"environment-of-$unitName\""));
    assert_eq!(pool["spec"]["references"], json!({"secrets": ["environment-of-{unit}"]}));
    let engine = &pool["spec"]["template"]["spec"]["containers"][0];
    assert!(engine.get("envFrom").is_none(), "a pool whose template has envFrom allows no envFrom of units");
    assert_eq!(pool["spec"]["template"]["spec"]["subdomain"], "texera-workflow-computing-unit-svc");
}

#[test]
fn image_catalog_has_the_name_that_the_rules_of_the_manager_have() {
    let all = rendered(&["computingUnitOperator.enabled=true"]);
    assert!(
        of_kind(&all, "ConfigMap").is_empty()
            && of_kind(&all, "ComputingUnitPool")[0]["spec"].get("imageCatalog").is_none()
    );
    let rules = fs::read_to_string(format!("{FOLDER}/chart/role-rules.yaml")).unwrap();
    let rules: Vec<Value> = serde_saphyr::from_str(&rules).unwrap();
    let named = rules.iter().filter_map(|rule| rule.get("resourceNames")).collect::<Vec<_>>();
    let name = "computing-unit-images";
    assert_eq!(named, [&json!([name]), &json!([name])]);
    let set = format!("computingUnitOperator.imageCatalog={name}");
    let all = rendered(&["computingUnitOperator.enabled=true", &set]);
    assert_eq!(of_kind(&all, "ComputingUnitPool")[0]["spec"]["imageCatalog"]["configMapName"], name);
    let map = of_kind(&all, "ConfigMap")[0];
    assert_eq!(map["metadata"]["labels"]["texera.apache.org/image-catalog"], "true");
    assert!(map.get("data").is_none(), "an upgrade would reset it");
}

#[test]
fn gpus_can_have_a_pool_with_a_runtime_class() {
    let all = rendered(&["computingUnitOperator.enabled=true", "computingUnitOperator.gpuPool=gpu"]);
    let classes: Vec<_> = of_kind(&all, "ComputingUnitPool")
        .into_iter()
        .map(|pool| (pool["metadata"]["name"].clone(), pool["spec"]["template"]["spec"]["runtimeClassName"].clone()))
        .collect();
    assert_eq!(classes, [("default".into(), Value::Null), ("gpu".into(), "nvidia".into())]);
}

/// Requests without a number in the query, such as those that delete environments, keep the dynamic route.
#[test]
fn lookup_is_for_requests_with_a_cuid_and_every_route_is_authorized() {
    let all = rendered(&["computingUnitOperator.enabled=true", "gatewayConfig.hostname=texera.example.org"]);
    let [route] = of_kind(&all, "HTTPRoute")[..] else { panic!("{all:?}") };
    for each in route["spec"]["rules"][0]["matches"].as_array().unwrap() {
        assert_eq!(each["queryParams"][0]["name"], "cuid");
    }
    // A route without host names would forward to any host name if the authorization returned none.
    let domain = "*.texera-workflow-computing-unit-svc.texera-workflow-computing-unit-pool.svc.cluster.local";
    assert_eq!(route["spec"]["hostnames"], json!(["texera.example.org", domain]));
    let policies = of_kind(&all, "SecurityPolicy");
    assert_eq!(policies.len(), 2);
    for policy in policies {
        let authorization = &policy["spec"]["extAuth"];
        assert_eq!((&authorization["failOpen"], &authorization["recomputeRoute"]), (&json!(false), &json!(true)));
        let headers = authorization["http"]["headersToBackend"].as_array().unwrap();
        // The name of the header has changed in Texera.
        for header in ["x-user-computing-unit-access", "x-user-cu-access", "Host"] {
            assert!(headers.contains(&header.into()), "{headers:?}");
        }
    }
    assert!(of_kind(&all, "Certificate").is_empty());
    let issued =
        ["computingUnitOperator.enabled=true,gatewayConfig.hostname=a.example.org,gatewayConfig.issuer=letsencrypt"];
    let all = rendered(&issued);
    assert_eq!(of_kind(&all, "Certificate")[0]["spec"]["secretName"], "texera-cert");
}

#[test]
fn files_that_edits_refer_to_exist() {
    let points = points();
    for (kind, key) in [("add", "from"), ("edit", "insert-file")] {
        for point in points[kind].as_array().unwrap() {
            let Some(file) = point.get(key) else { continue };
            assert!(Path::new(FOLDER).join(file.as_str().unwrap()).is_file(), "{file}");
        }
    }
}
