//! The chart of Texera's gateway renders every row, says nothing but what Gateway API has where Gateway API has it, and refuses
//! values that would send requests to the wrong place. What the API server makes of it is for the tests on a cluster.

use std::{collections::BTreeMap, process::Command};

use computing_unit_api::ComputingUnitPool;
use serde_json::{Value, json};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/texera-gateway");

fn helm(more: &[&str]) -> Result<Vec<Value>, String> {
    let helm = Command::new("helm")
        .args(["template", "texera", CHART, "--namespace", "texera"])
        .args(more)
        .output()
        .expect("helm is there: run `make helm`, and put .cluster/bin on PATH");
    if !helm.status.success() {
        return Err(String::from_utf8_lossy(&helm.stderr).into_owned());
    }
    let text = String::from_utf8(helm.stdout).expect("helm writes text");
    let read = |part: &str| serde_saphyr::from_str::<Value>(part).unwrap_or_else(|error| panic!("{error}\n{part}"));
    Ok(format!("\n{text}").split("\n---").map(read).filter(|document| !document.is_null()).collect())
}

fn rendered(more: &[&str]) -> Vec<Value> {
    helm(more).unwrap_or_else(|error| panic!("{error}"))
}

fn of_kind<'a>(all: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    all.iter().filter(move |object| object["kind"] == kind)
}

fn named<'a>(all: &'a [Value], kind: &'a str, name: &str) -> &'a Value {
    of_kind(all, kind).find(|object| object["metadata"]["name"] == name).unwrap_or_else(|| panic!("{kind} {name}"))
}

fn file(name: &str) -> String {
    format!("{CHART}/{name}")
}

#[test]
fn every_path_of_texera_leads_to_its_service() {
    let all = rendered(&["--set", "objectStore.enabled=true,objectStore.hostname=s3.example.org"]);
    let mut paths = BTreeMap::new();
    for route in of_kind(&all, "HTTPRoute") {
        let rule = &route["spec"]["rules"][0];
        let (backend, timeout) = (&rule["backendRefs"][0], &rule["timeouts"]["request"]);
        let host = route["spec"]["hostnames"][0].as_str().unwrap_or("");
        for path in rule["matches"].as_array().expect("matches") {
            let to = format!("{}:{} {}", backend["name"].as_str().unwrap(), backend["port"], timeout.as_str().unwrap());
            paths.insert(format!("{host}{}", path["path"]["value"].as_str().unwrap()), to);
        }
    }
    let expected = [
        ("/", "webserver-svc:8080 60s"),
        ("/api", "webserver-svc:8080 60s"),
        ("/api/access/computing-unit", "workflow-computing-unit-manager-svc:8888 60s"),
        ("/api/access/dataset", "file-service-svc:9092 0s"),
        ("/api/access/model", "file-service-svc:9092 0s"),
        ("/api/agents", "agent-service-svc:3001 0s"),
        ("/api/chat", "access-control-service-svc:9096 5m"),
        ("/api/compile", "workflow-compiling-service-svc:9090 60s"),
        ("/api/computing-unit", "workflow-computing-unit-manager-svc:8888 60s"),
        ("/api/config", "config-service-svc:9094 15s"),
        ("/api/cu-image", "workflow-computing-unit-manager-svc:8888 60s"),
        ("/api/dataset", "file-service-svc:9092 0s"),
        ("/api/model", "file-service-svc:9092 0s"),
        ("/api/models", "access-control-service-svc:9096 5m"),
        ("/api/notebook-migration", "notebook-migration-service-svc:9098 3m"),
        ("/api/workflow-to-python", "workflow-compiling-service-svc:9090 60s"),
        ("/python-language-server", "python-language-server-svc:3000 0s"),
        ("/rtc", "y-websocket-server-svc:1234 0s"),
        ("s3.example.org/", "texera-minio:9000 0s"),
    ];
    let expected = expected.map(|(path, to)| (path.to_owned(), to.to_owned()));
    assert_eq!(paths.into_iter().collect::<Vec<_>>(), expected);
    let store = named(&all, "HTTPRoute", "texera-object-store");
    assert_eq!(store["spec"]["rules"][0]["filters"][0]["type"], "CORS");
    // What the object store is sent is held by nobody.
    assert!(named(&all, "BackendTrafficPolicy", "texera-object-store")["spec"].get("requestBuffer").is_none());
    assert_eq!(named(&all, "BackendTrafficPolicy", "texera-config")["spec"]["requestBuffer"]["limit"], "1Mi");
}

#[test]
fn the_units_are_authorized_and_looked_up_by_what_that_answers() {
    let all = rendered(&[]);
    let pool: ComputingUnitPool =
        serde_json::from_value(named(&all, "ComputingUnitPool", "default").clone()).expect("a pool");
    let query = pool.spec.routing.query.expect("Query mode");
    // As Texera's authorization names a unit today.
    assert_eq!(
        query.lookup_domain.as_deref(),
        Some("texera-workflow-computing-unit-svc.texera-workflow-computing-unit-pool.svc.cluster.local")
    );
    assert_eq!(query.paths.len(), 4);
    let policy = named(&all, "SecurityPolicy", "computing-units");
    let selector = &policy["spec"]["targetSelectors"][0];
    assert_eq!(selector["matchLabels"], json!({"app.kubernetes.io/managed-by": "computing-unit-operator"}));
    let auth = &policy["spec"]["extAuth"];
    assert_eq!((&auth["failOpen"], &auth["recomputeRoute"]), (&json!(false), &json!(true)));
    let headers = json!(["x-user-cu-access", "x-user-id", "x-user-name", "x-user-email", "host"]);
    assert_eq!(auth["http"]["headersToBackend"], headers);
    let grant = named(&all, "ReferenceGrant", "texera-authorization");
    assert_eq!(grant["spec"]["from"][0]["namespace"], policy["metadata"]["namespace"]);

    let named_service = rendered(&["--set", "authorization.byName=true"]);
    let auth = &named(&named_service, "SecurityPolicy", "computing-units")["spec"]["extAuth"]["http"]["backendRefs"][0];
    let backend = named(&named_service, "Backend", auth["name"].as_str().expect("a name"));
    let grant = named(&named_service, "ReferenceGrant", "texera-authorization");
    assert_eq!((&auth["kind"], &auth["kind"]), (&backend["kind"], &grant["spec"]["to"][0]["kind"]));
    let host = &backend["spec"]["endpoints"][0]["fqdn"]["hostname"];
    assert_eq!(host, "access-control-service-svc.texera.svc.cluster.local");

    let linear = rendered(&["--set", "units.pool.lookup=Linear"]);
    let policy = named(&linear, "SecurityPolicy", "computing-units");
    assert_eq!(policy["spec"]["extAuth"]["recomputeRoute"], false);
    let pool = named(&linear, "ComputingUnitPool", "default");
    assert!(pool["spec"]["routing"]["query"].get("lookupDomain").is_none());
    let open = rendered(&["--set", "units.pool.lookup=Linear,authorization.enabled=false"]);
    assert_eq!(of_kind(&open, "SecurityPolicy").count(), 0);
}

#[test]
fn no_line_of_the_log_has_a_query_or_a_header_that_could_be_a_token() {
    for units in ["off", "sampled", "all"] {
        let all = rendered(&["--set", &format!("proxy.accessLog.units={units}")]);
        let log = &named(&all, "EnvoyProxy", "texera")["spec"]["telemetry"]["accessLog"]["settings"][0];
        let lines = log["matches"][0].as_str().expect("what is logged");
        assert_eq!(lines.contains("request.id"), units == "sampled", "{lines}");
        let format = log["format"]["json"].to_string();
        assert!(
            !format.contains("REQ(:PATH)") && !format.contains("WQ") && !format.contains("AUTHORIZATION"),
            "{format}"
        );
        assert!(format.contains("%PATH(NQ:ORIG_OR_PATH)%"), "{format}");
    }
    let none = rendered(&["--set", "proxy.accessLog.static=off"]);
    assert_eq!(named(&none, "EnvoyProxy", "texera")["spec"]["telemetry"]["accessLog"], json!({"disable": true}));
}

#[test]
fn in_production_proxies_scale_and_are_never_all_away() {
    let all = rendered(&["--values", &file("values-production.yaml"), "--set", "gateway.hostname=texera.example.org"]);
    let proxy = named(&all, "EnvoyProxy", "texera");
    let kubernetes = &proxy["spec"]["provider"]["kubernetes"];
    assert_eq!(kubernetes["envoyHpa"]["minReplicas"], 2);
    assert_eq!(kubernetes["envoyPDB"]["minAvailable"], 1);
    assert!(kubernetes["envoyDeployment"].get("replicas").is_none(), "the autoscaler's to say");
    assert_eq!(proxy["spec"]["concurrency"], 2, "not a thread for each core of a large node");
    let gateway = named(&all, "Gateway", "texera");
    let tls = &gateway["spec"]["listeners"][1];
    assert_eq!((&tls["protocol"], &tls["tls"]["certificateRefs"][0]["name"]), (&json!("HTTPS"), &json!("texera-tls")));
    // A unit that is looked up by host name needs a listener that takes any.
    assert!(tls.get("hostname").is_none());
    for route in of_kind(&all, "HTTPRoute") {
        let over_tls = route["spec"]["parentRefs"][0]["sectionName"] == "https";
        assert!(over_tls || route["metadata"]["name"] == "texera-to-https", "{route}");
        assert!(!over_tls || route["spec"]["hostnames"] == json!(["texera.example.org"]), "{route}");
    }
    let pool = named(&all, "ComputingUnitPool", "default");
    assert_eq!(pool["spec"]["routing"]["baseURL"], "https://texera.example.org");
    assert_eq!(pool["spec"]["gatewayRef"]["sectionName"], "https");
}

#[test]
fn a_certificate_is_given_or_made() {
    let tls = "gateway.https.enabled=true,gateway.hostname=texera.example.org,gateway.https.clusterIssuer=letsencrypt";
    let store = "objectStore.enabled=true,objectStore.hostname=store.example.org";
    // One listener for any name, one certificate for both.
    let all = rendered(&["--set", tls, "--set", store]);
    let made = named(&all, "Certificate", "texera-tls");
    assert_eq!(made["spec"]["dnsNames"], json!(["texera.example.org", "store.example.org"]));
    assert_eq!(made["spec"]["issuerRef"], json!({"kind": "ClusterIssuer", "name": "letsencrypt"}));
    let listeners = named(&all, "Gateway", "texera")["spec"]["listeners"].as_array().unwrap().len();
    assert_eq!(listeners, 2, "the store shares those of Texera");
    // Each listener its name and its certificate.
    let apart = ["--set", tls, "--set", store, "--set", "units.pool.lookup=Linear,objectStore.secretName=store-tls"];
    let all = rendered(&apart);
    let gateway = named(&all, "Gateway", "texera");
    assert_eq!(gateway["metadata"]["annotations"]["cert-manager.io/cluster-issuer"], "letsencrypt");
    let names: Vec<_> = gateway["spec"]["listeners"].as_array().unwrap().iter().map(|one| &one["hostname"]).collect();
    assert_eq!(names, ["texera.example.org", "texera.example.org", "store.example.org", "store.example.org"]);
    assert_eq!(of_kind(&all, "Certificate").count(), 0);
}

#[test]
fn the_environment_of_units_comes_from_a_secret() {
    let given = ["--set", "units.environment.values.STORAGE_JDBC_PASSWORD=hunter2"];
    let all = rendered(&given);
    let secret = named(&all, "Secret", "computing-unit-environment");
    assert_eq!(secret["stringData"]["STORAGE_JDBC_PASSWORD"], "hunter2");
    let others: Vec<_> = all.iter().filter(|object| object["kind"] != "Secret").map(Value::to_string).collect();
    assert!(!others.concat().contains("hunter2"));
    let engine = &named(&all, "ComputingUnitPool", "default")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(engine["envFrom"], json!([{"secretRef": {"name": "computing-unit-environment"}}]));
    assert_eq!(of_kind(&rendered(&[]), "Secret").count(), 0, "it is the deployer's");
}

#[test]
fn values_that_would_send_requests_to_the_wrong_place_are_refused() {
    let row = |path: &str, kind: &str| {
        format!(
            "routes.extra.paths[0].value={path},routes.extra.paths[0].type={kind},routes.extra.service.name=x,\
             routes.extra.service.port=1"
        )
    };
    for (set, says) in [
        ("gatway.name=x".to_owned(), "'gatway' not allowed"),
        ("routes.file.prot=1".to_owned(), "'prot' not allowed"),
        ("routes.file.timeout=never".to_owned(), "'never' does not match"),
        ("routes.config.body=lots".to_owned(), "'lots' does not match"),
        (row("/rtc", "PathPrefix"), "routes.extra and routes.shared-editing both take /rtc"),
        (row("/rtc/", "PathPrefix"), "routes.extra and routes.shared-editing both take /rtc"),
        (row("/wsapi", "PathPrefix"), "routes.extra takes /wsapi, which lies in the units' path /wsapi"),
        (row("/wsapi/new", "Exact"), "routes.extra takes /wsapi/new, which lies in the units' path /wsapi"),
        (row("/api/executions/1/stats/2", "Exact"), "which lies in the units' path ^/api/executions"),
        ("objectStore.enabled=true".to_owned(), "objectStore.hostname is needed"),
        (
            "units.pool.lookup=Linear,gateway.https.enabled=true,gateway.hostname=a.example.org,objectStore.enabled=true,\
             objectStore.hostname=b.example.org"
                .to_owned(),
            "objectStore.secretName: give the object store a certificate of its own",
        ),
        ("authorization.enabled=false".to_owned(), "units.pool.lookup: Host needs an authorization"),
        ("gateway.http.enabled=false".to_owned(), "the Gateway has no listener"),
        ("gateway.http.redirectToHttps=true".to_owned(), "redirectToHttps needs gateway.https.enabled"),
        ("gateway.https.issuer=a,gateway.https.clusterIssuer=b".to_owned(), "give issuer or clusterIssuer"),
        ("routes.extra.paths[0].value=/x".to_owned(), "routes.extra.service"),
    ] {
        let error = helm(&["--set", &set]).expect_err(&set);
        assert!(error.contains(says), "{set}: {error}");
    }
    for set in [
        row("/api/executions/other", "PathPrefix"),
        row("/api/rtc", "PathPrefix"),
        "routes.file.enabled=false".to_owned(),
        format!("{},routes.shared-editing.enabled=false", row("/rtc", "PathPrefix")),
        "routes.webserver=null".to_owned(),
    ] {
        assert!(helm(&["--set", &set]).is_ok(), "{set}");
    }
}
