//! The chart texera-gateway renders every static route and rejects values that would misroute requests. The end-to-end tests
//! install it.

use std::{collections::BTreeMap, process::Command};

use computing_unit_api::ComputingUnitPool;
use serde_json::{Value, json};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/texera-gateway");

fn helm(more: &[&str]) -> Result<Vec<Value>, String> {
    let helm = Command::new("helm")
        .args([
            "template",
            "texera",
            CHART,
            "--namespace",
            "texera",
            "--set",
            "units.pool.image=registry.invalid/engine",
        ])
        .args(more)
        .output()
        .expect("helm is not on PATH: run `make helm`, and add .cluster/bin to PATH");
    if !helm.status.success() {
        return Err(String::from_utf8_lossy(&helm.stderr).into_owned());
    }
    let text = String::from_utf8(helm.stdout).expect("UTF-8");
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

/// The owner of a default name in a public registry could run code in every unit.
#[test]
fn image_of_units_has_no_default() {
    let error = helm(&["--set", "units.pool.image="]).expect_err("there is no image");
    assert!(error.contains("units.pool.image is required"), "{error}");
    rendered(&["--set", "units.pool.image=,units.pool.create=false"]);
}

/// Envoy buffers a body that has a limit, before any authorization: clients that upload slowly could fill its memory.
#[test]
fn open_uploads_do_not_fill_the_memory_of_a_proxy() {
    let all = rendered(&[]);
    for policy in of_kind(&all, "BackendTrafficPolicy") {
        let limit = policy["spec"]["requestBuffer"]["limit"].as_str().unwrap_or("0Ki");
        let kibibytes: u32 = limit.strip_suffix("Ki").and_then(|number| number.parse().ok()).expect(limit);
        assert!(kibibytes <= 256, "{}: {limit}", policy["metadata"]["name"]);
    }
    let clients = of_kind(&all, "ClientTrafficPolicy").next().expect("a ClientTrafficPolicy");
    assert_eq!(clients["spec"]["timeout"]["http"]["requestReceivedTimeout"], "5m");
    assert_eq!(clients["spec"]["connection"]["bufferLimit"], "32Ki");
}

/// Envoy Gateway sorts the limit after the buffer of the body, unless the order is set.
#[test]
fn requests_of_one_client_are_limited_before_their_bodies_are_buffered() {
    let all = rendered(&["--set", "limits.requestsPerSecond=20"]);
    let policies: Vec<_> = of_kind(&all, "BackendTrafficPolicy").collect();
    let limited = policies.iter().filter(|policy| policy["metadata"]["name"] != "computing-units");
    for policy in limited {
        let rules = policy["spec"]["rateLimit"]["local"]["rules"].as_array().expect("rules");
        let ranges: Vec<_> = rules.iter().map(|rule| &rule["clientSelectors"][0]["sourceCIDR"]).collect();
        let distinct = |value: &str| json!({"type": "Distinct", "value": value});
        assert_eq!(ranges, [&distinct("0.0.0.0/0"), &distinct("::/0")], "{}", policy["metadata"]["name"]);
        assert_eq!(rules[0]["limit"], json!({"requests": 20, "unit": "Second"}));
    }
    let order = &named(&all, "EnvoyProxy", "texera")["spec"]["filterOrder"][0];
    assert_eq!(order, &json!({"name": "envoy.filters.http.local_ratelimit", "before": "envoy.filters.http.buffer"}));
    let unlimited = rendered(&[]);
    assert!(of_kind(&unlimited, "BackendTrafficPolicy").all(|policy| policy["spec"].get("rateLimit").is_none()));
    assert!(named(&unlimited, "EnvoyProxy", "texera")["spec"].get("filterOrder").is_none());
}

/// The manager may change the catalog, and nothing else of it: neither its label nor the pool.
#[test]
fn a_writer_of_the_image_catalog_has_rights_on_it_alone() {
    assert!(of_kind(&rendered(&[]), "ConfigMap").next().is_none());
    let writers = r#"units.imageCatalog.writers=[{"name": "manager"}, {"name": "ci", "namespace": "registry"}]"#;
    let all = rendered(&["--set", "units.imageCatalog.enabled=true", "--set-json", writers]);
    let map = named(&all, "ConfigMap", "computing-unit-images");
    assert_eq!(map["metadata"]["labels"]["texera.apache.org/image-catalog"], "true");
    assert!(map.get("data").is_none(), "an upgrade would reset it");
    let pool = named(&all, "ComputingUnitPool", "default");
    assert_eq!(pool["spec"]["imageCatalog"]["configMapName"], "computing-unit-images");
    let rules = named(&all, "Role", "computing-unit-images-writer")["rules"].as_array().expect("rules");
    for rule in rules {
        assert_eq!(rule["resourceNames"], json!(["computing-unit-images"]), "{rule}");
    }
    assert_eq!(rules[0]["verbs"], json!(["get", "patch", "update"]));
    let subjects = &named(&all, "RoleBinding", "computing-unit-images-writer")["subjects"];
    assert_eq!([&subjects[0]["namespace"], &subjects[1]["namespace"]], ["texera", "registry"]);
}

/// A variable of a unit would override one from the Secret that the template refers to.
#[test]
fn units_set_only_the_variables_and_resources_that_the_pool_lists() {
    let all = rendered(&[]);
    let spec = &named(&all, "ComputingUnitPool", "default")["spec"];
    assert!(spec["template"]["spec"]["containers"][0]["envFrom"].is_array());
    assert_eq!(spec["env"], json!({"policy": "Listed", "names": ["JAVA_OPTS", "USER_JWT_TOKEN"]}));
    // A user who creates units chooses their names, so only the prefix keeps other Secrets from them.
    assert_eq!(spec["references"]["secrets"], json!(["environment-of-{unit}"]));
    assert_eq!(spec["resources"]["max"]["nvidia.com/gpu"], "5");
    assert_eq!(spec["routing"]["isolation"], "Sandbox");
}

#[test]
fn each_path_of_texera_is_routed_to_its_service() {
    let all = rendered(&[
        "--set",
        "objectStore.enabled=true,objectStore.hostname=s3.example.org,routes.notebook-migration.enabled=true",
    ]);
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
        ("s3.example.org/", "texera-rustfs-svc:9000 0s"),
    ];
    let expected = expected.map(|(path, to)| (path.to_owned(), to.to_owned()));
    assert_eq!(paths.into_iter().collect::<Vec<_>>(), expected);
    let store = named(&all, "HTTPRoute", "texera-object-store");
    assert_eq!(store["spec"]["rules"][0]["filters"][0]["type"], "CORS");
    // Uploads to the object store are not buffered.
    assert!(named(&all, "BackendTrafficPolicy", "texera-object-store")["spec"].get("requestBuffer").is_none());
    assert_eq!(named(&all, "BackendTrafficPolicy", "texera-config")["spec"]["requestBuffer"]["limit"], "64Ki");
}

/// Texera's chart at commit 16738855: the object store is named by the release. Its services of notebooks are optional.
#[test]
fn default_routes_lead_to_what_a_default_installation_of_texera_has() {
    let store = "objectStore.enabled=true,objectStore.hostname=s3.example.org";
    let backend = |more: &str| {
        let all = rendered(&["--set", &format!("{store}{more}")]);
        named(&all, "HTTPRoute", "texera-object-store")["spec"]["rules"][0]["backendRefs"][0]["name"].clone()
    };
    assert_eq!(backend(""), "texera-rustfs-svc");
    assert_eq!(backend(",objectStore.service.name=texera-minio"), "texera-minio");
    assert!(of_kind(&rendered(&[]), "HTTPRoute").all(|route| route["metadata"]["name"] != "texera-notebook-migration"));
}

/// Texera's agent-service-security-policy.yaml at commit b29e5be1. The listener removes headers with this prefix.
#[test]
fn requests_for_agents_are_authorized_and_carry_their_user() {
    let all = rendered(&[]);
    let policy = &named(&all, "SecurityPolicy", "texera-agents")["spec"];
    assert_eq!(policy["targetRefs"][0]["name"], named(&all, "HTTPRoute", "texera-agents")["metadata"]["name"]);
    let auth = &policy["extAuth"];
    assert_eq!(auth["http"]["headersToBackend"], json!(["x-user-id", "x-user-name", "x-user-email"]));
    assert_eq!((&auth["failOpen"], &auth["recomputeRoute"]), (&json!(false), &json!(false)));
    assert_eq!(auth["http"]["backendRefs"][0]["name"], "access-control-service-svc");
    let removed = &named(&all, "ClientTrafficPolicy", "texera")["spec"]["headers"]["earlyRequestHeaders"];
    assert_eq!(removed["removeOnMatch"][0]["value"], "x-user-");
    let open = rendered(&["--set", "routes.agents.authorize=null"]);
    assert!(of_kind(&open, "SecurityPolicy").all(|policy| policy["metadata"]["name"] != "texera-agents"));
    // The policy may refer to a service in another namespace.
    let elsewhere = rendered(&["--set", "authorization.service.namespace=auth"]);
    let grant = named(&elsewhere, "ReferenceGrant", "texera-authorization");
    let from: Vec<_> = grant["spec"]["from"].as_array().unwrap().iter().map(|from| &from["namespace"]).collect();
    assert_eq!(from, ["texera-workflow-computing-unit-pool", "texera"]);
}

/// Texera's agent service sends requests to the pod of a unit: `EXECUTION_ENDPOINT_TEMPLATE` in its
/// agent-service-deployment.yaml at commit 5d2c0e6c.
#[test]
fn network_policy_admits_the_agent_service() {
    let peers = |set: &[&str]| {
        let all = rendered(set);
        named(&all, "NetworkPolicy", "computing-units")["spec"]["ingress"][0]["from"].as_array().unwrap().clone()
    };
    let release = json!({"matchLabels": {"kubernetes.io/metadata.name": "texera"}});
    let all = peers(&[]);
    assert_eq!(all.len(), 2);
    assert_eq!(all[0]["namespaceSelector"]["matchExpressions"][0]["values"][0], "envoy-gateway-system");
    assert_eq!(all[1], json!({"namespaceSelector": release}));
    let labels = "units.networkPolicy.agentService.podLabels.app=texera-agent-service";
    let pods = json!({"matchLabels": {"app": "texera-agent-service"}});
    assert_eq!(peers(&["--set", labels])[1], json!({"namespaceSelector": release, "podSelector": pods}));
    assert_eq!(peers(&["--set", "units.networkPolicy.agentService.enabled=false"]).len(), 1);
}

/// Texera's manager marks units without a pod as terminated: `reconcileVanishedKubernetesUnits` of its `ComputingUnitHelpers`.
/// Its agent service uses units without the gateway.
#[test]
fn idle_units_are_suspended_only_if_texera_can_tell_and_running_executions_count() {
    let idle = "units.pool.spec.lifecycle.idleTimeout=24h";
    let backend = "units.backend=operator";
    let probe = "units.pool.spec.activity.busyProbes[0].path=/api/busy";
    let annotation = "units.pool.spec.activity.annotation=Enabled";
    for (values, message) in [
        (vec![idle], "set units.backend=operator"),
        (vec![idle, probe], "set units.backend=operator"),
        (vec![idle, backend], "Set units.pool.spec.activity.busyProbes"),
        (vec![idle, backend, "units.pool.spec.activity.interval=1m"], "Set units.pool.spec.activity.busyProbes"),
    ] {
        let error = helm(&["--set", &values.join(",")]).expect_err(&values.join(","));
        assert!(error.contains(message), "{values:?}: {error}");
    }
    for values in [vec![idle, backend, probe], vec![idle, backend, annotation], vec![idle, "units.pool.create=false"]] {
        assert!(helm(&["--set", &values.join(",")]).is_ok(), "{values:?}");
    }
    for file in ["values.yaml", "values-production.yaml", "values-laptop.yaml"].map(file) {
        let all = rendered(&["--values", &file, "--set", "gateway.hostname=texera.example.org"]);
        assert!(named(&all, "ComputingUnitPool", "default")["spec"].get("lifecycle").is_none(), "{file}");
    }
}

/// A limit range that only has a maximum gives it to every container without limits, and the quota counts it.
#[test]
fn pods_of_the_manager_in_the_namespace_of_units_get_small_limits() {
    let all = rendered(&[]);
    let limits = &named(&all, "LimitRange", "computing-units")["spec"]["limits"][0];
    assert_eq!((&limits["default"]["cpu"], &limits["default"]["memory"]), (&json!("500m"), &json!("512Mi")));
    assert_eq!(limits["max"]["cpu"], "16");
}

/// Paths of Texera's workflow-pve.service.ts whose requests have the number of the unit nowhere else.
#[test]
fn paths_with_the_number_of_a_unit_are_routed() {
    let all = rendered(&[]);
    let paths = &named(&all, "ComputingUnitPool", "default")["spec"]["routing"]["query"]["paths"];
    let keyed: Vec<_> =
        paths.as_array().unwrap().iter().filter(|path| path["value"].as_str().unwrap().contains("{key}")).collect();
    assert_eq!(keyed[0], &json!({"type": "Exact", "value": "/api/pve/pves/{key}"}));
    assert_eq!(keyed[1], &json!({"type": "RegularExpression", "value": "^/api/pve/{key}/[^/]+/packages/.+$"}));
}

/// Jupyter servers of users, and units that Texera has recorded elsewhere, are found by the host name that the authorization returns.
#[test]
fn resolver_routes_what_is_not_a_unit_of_the_pool() {
    assert_eq!(of_kind(&rendered(&[]), "Backend").count(), 0);
    let set = "resolver.enabled=true,resolver.paths={/jupyter},resolver.hostnames={*.gpu.example.org}";
    let all = rendered(&["--set", set]);
    assert_eq!(named(&all, "Backend", "texera-resolver")["spec"]["type"], "DynamicResolver");
    let resolver = &named(&all, "HTTPRoute", "texera-resolver")["spec"];
    assert_eq!(resolver["hostnames"], json!(["*.gpu.example.org"]));
    let matches = resolver["rules"][0]["matches"].as_array().unwrap();
    assert_eq!(matches.len(), 8);
    assert_eq!(matches[5]["path"], json!({"type": "RegularExpression", "value": "/api/pve/pves/[^/]+"}));
    assert_eq!(matches[6]["path"]["value"], "^/api/pve/[^/]+/[^/]+/packages/.+$");
    // A request that the authorization allows without one of these host names is forwarded nowhere.
    let paths = &named(&all, "HTTPRoute", "texera-resolver-paths")["spec"];
    assert_eq!(paths["rules"][0]["matches"], json!([{"path": {"type": "PathPrefix", "value": "/jupyter"}}]));
    assert!(paths["rules"][0].get("backendRefs").is_none());
    assert_eq!(of_kind(&all, "HTTPRouteFilter").next().unwrap()["spec"]["directResponse"]["statusCode"], 421);
    let policy = &named(&all, "SecurityPolicy", "texera-resolver")["spec"];
    let targets: Vec<_> = policy["targetRefs"].as_array().unwrap().iter().map(|target| &target["name"]).collect();
    assert_eq!(targets, ["texera-resolver", "texera-resolver-paths"]);
    assert_eq!(policy["extAuth"]["recomputeRoute"], true);
    assert!(policy["extAuth"]["http"]["headersToBackend"].as_array().unwrap().contains(&json!("host")));
    for (set, message) in [
        ("resolver.enabled=true,resolver.paths={/jupyter}", "resolver.enabled=true requires resolver.hostnames"),
        (
            "resolver.enabled=true,resolver.hostnames={a.org},units.pool.lookup=Linear",
            "resolver.enabled=true requires units.pool.lookup=Host",
        ),
    ] {
        let error = helm(&["--set", set]).expect_err(set);
        assert!(error.contains(message), "{set}: {error}");
    }
}

/// Of the routes with the host name of a request, or with none, proxies consider only the former.
#[test]
fn route_of_the_activator_has_the_host_name_of_static_routes() {
    for lookup in ["Host", "Linear"] {
        let host = format!("gateway.hostname=texera.example.org,units.pool.lookup={lookup}");
        let all = rendered(&["--set", &host]);
        assert_eq!(named(&all, "HTTPRoute", "texera-config")["spec"]["hostnames"], json!(["texera.example.org"]));
        let pool = &named(&all, "ComputingUnitPool", "default")["spec"];
        assert_eq!(pool["routing"]["baseURL"], "http://texera.example.org");
        // With Linear, the listener has it.
        let own = "computing-units.texera.svc";
        let units = "*.texera-workflow-computing-unit-svc.texera-workflow-computing-unit-pool.svc";
        let all = json!(["texera.example.org", own, format!("{own}.cluster.local"), units]);
        let expected = if lookup == "Host" { all } else { Value::Null };
        assert_eq!(pool["activator"]["hostnames"], expected, "{lookup}");
        assert_eq!(pool["activator"]["wake"], "Idle");
    }
    let all = rendered(&[]);
    assert!(named(&all, "ComputingUnitPool", "default")["spec"]["activator"].get("hostnames").is_none());
}

/// Clients inside the cluster use the Gateway under a name of the release namespace, with the policies of all other requests.
#[test]
fn gateway_has_an_address_inside_the_cluster() {
    let all = rendered(&[]);
    let service = &named(&all, "Service", "computing-units")["spec"];
    let proxies = &named(&all, "EnvoyProxy", "texera")["spec"]["provider"]["kubernetes"]["envoyService"]["name"];
    let target = format!("{}.envoy-gateway-system.svc.cluster.local", proxies.as_str().unwrap());
    assert_eq!(service, &json!({"type": "ExternalName", "externalName": target}));
    // Names of Services are limited to 63 characters, and those of different Gateways differ.
    let long = rendered(&["--set", &format!("gateway.name={}", "g".repeat(50))]);
    let gateway = of_kind(&long, "EnvoyProxy").next().unwrap();
    let name = gateway["spec"]["provider"]["kubernetes"]["envoyService"]["name"].as_str().unwrap();
    assert!(name.len() <= 63 && name != proxies, "{name}");
    let none = rendered(&["--set", "gateway.inCluster.enabled=false,gateway.hostname=texera.example.org"]);
    assert!(of_kind(&none, "Service").all(|service| service["metadata"]["name"] != "computing-units"));
    assert!(
        named(&none, "EnvoyProxy", "texera")["spec"]["provider"]["kubernetes"]["envoyService"].get("name").is_none()
    );
    let pool = &named(&none, "ComputingUnitPool", "default")["spec"];
    assert_eq!(pool["activator"]["hostnames"], json!(["texera.example.org"]));
}

/// A listener with a host name, or one that redirects, does not serve requests with the host names of the cluster.
#[test]
fn requests_from_inside_the_cluster_have_a_listener() {
    let linear = "gateway.hostname=texera.example.org,units.pool.lookup=Linear";
    let tls = "gateway.hostname=texera.example.org,gateway.https.enabled=true";
    let redirect = "gateway.hostname=texera.example.org,gateway.https.enabled=true,gateway.http.redirectToHttps=true";
    for (set, own) in [
        ("gateway.hostname=", false),
        ("gateway.hostname=texera.example.org", false),
        (tls, false),
        (linear, true),
        (redirect, true),
        ("gateway.https.enabled=true,gateway.http.enabled=false", true),
    ] {
        let all = rendered(&["--set", set]);
        let listeners = named(&all, "Gateway", "texera")["spec"]["listeners"].as_array().unwrap();
        let named_so = |name: &str| listeners.iter().find(|listener| listener["name"] == name);
        let hosts = ["in-cluster", "in-cluster-short"].map(|name| named_so(name).map(|it| &it["hostname"]));
        let expected = [json!("*.svc.cluster.local"), json!("*.svc")];
        assert_eq!(hosts, expected.each_ref().map(|host| own.then_some(host)), "{set}");
        assert!(listeners.iter().all(|listener| listener["port"] == 80 || listener["port"] == 443), "{set}");
        // Routes of units attach to all listeners that allow them, but not to the one that redirects.
        let gateway = &named(&all, "ComputingUnitPool", "default")["spec"]["gatewayRef"];
        assert!(gateway.get("sectionName").is_none(), "{set}");
        let from = named_so("http").map(|http| &http["allowedRoutes"]["namespaces"]["from"]);
        assert!(from.is_none_or(|from| from == if set == redirect { "Same" } else { "Selector" }), "{set}: {from:?}");
    }
    let off = format!("{redirect},gateway.inCluster.enabled=false");
    let all = rendered(&["--set", &off]);
    assert_eq!(named(&all, "ComputingUnitPool", "default")["spec"]["gatewayRef"]["sectionName"], "https");
}

#[test]
fn units_are_authorized_and_looked_up_by_the_host_name_in_the_response() {
    let all = rendered(&[]);
    let pool: ComputingUnitPool =
        serde_json::from_value(named(&all, "ComputingUnitPool", "default").clone()).expect("a pool");
    let query = pool.spec.routing.query.expect("Query mode");
    // The domain that Texera's authorization service returns.
    assert_eq!(
        query.lookup_domain.as_deref(),
        Some("texera-workflow-computing-unit-svc.texera-workflow-computing-unit-pool.svc.cluster.local")
    );
    assert_eq!(query.paths.len(), 7);
    let policy = named(&all, "SecurityPolicy", "computing-units");
    let selector = &policy["spec"]["targetSelectors"][0];
    assert_eq!(selector["matchLabels"], json!({"app.kubernetes.io/managed-by": "computing-unit-operator"}));
    let auth = &policy["spec"]["extAuth"];
    assert_eq!((&auth["failOpen"], &auth["recomputeRoute"]), (&json!(false), &json!(true)));
    let headers =
        json!(["x-user-computing-unit-access", "x-user-cu-access", "x-user-id", "x-user-name", "x-user-email", "host"]);
    assert_eq!(auth["http"]["headersToBackend"], headers);
    let grant = named(&all, "ReferenceGrant", "texera-authorization");
    assert_eq!(grant["spec"]["from"][0]["namespace"], policy["metadata"]["namespace"]);

    let by_name = rendered(&["--set", "authorization.byName=true"]);
    let auth = &named(&by_name, "SecurityPolicy", "computing-units")["spec"]["extAuth"]["http"]["backendRefs"][0];
    let backend = named(&by_name, "Backend", auth["name"].as_str().expect("a name"));
    let grant = named(&by_name, "ReferenceGrant", "texera-authorization");
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
fn the_access_log_contains_no_query_and_no_credentials() {
    for units in ["off", "sampled", "all"] {
        let all = rendered(&["--set", &format!("proxy.accessLog.units={units}")]);
        let log = &named(&all, "EnvoyProxy", "texera")["spec"]["telemetry"]["accessLog"]["settings"][0];
        let filter = log["matches"][0].as_str().expect("a filter");
        assert_eq!(filter.contains("request.id"), units == "sampled", "{filter}");
        assert!(filter.contains("'x-computing-unit-activator' in response.headers"), "{filter}");
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
fn in_production_proxies_are_autoscaled_and_serve_https() {
    let all = rendered(&["--values", &file("values-production.yaml"), "--set", "gateway.hostname=texera.example.org"]);
    let proxy = named(&all, "EnvoyProxy", "texera");
    let kubernetes = &proxy["spec"]["provider"]["kubernetes"];
    assert_eq!(kubernetes["envoyHpa"]["minReplicas"], 2);
    assert_eq!(kubernetes["envoyPDB"]["minAvailable"], 1);
    assert!(kubernetes["envoyDeployment"].get("replicas").is_none(), "set by the autoscaler");
    assert_eq!(proxy["spec"]["concurrency"], 2, "not one thread for each core of the node");
    let gateway = named(&all, "Gateway", "texera");
    let tls = &gateway["spec"]["listeners"][1];
    assert_eq!((&tls["protocol"], &tls["tls"]["certificateRefs"][0]["name"]), (&json!("HTTPS"), &json!("texera-tls")));
    // Units have their own host names, so the listener accepts any.
    assert!(tls.get("hostname").is_none());
    for route in of_kind(&all, "HTTPRoute") {
        let over_tls = route["spec"]["parentRefs"][0]["sectionName"] == "https";
        assert!(over_tls || route["metadata"]["name"] == "texera-to-https", "{route}");
        assert!(!over_tls || route["spec"]["hostnames"] == json!(["texera.example.org"]), "{route}");
    }
    let pool = named(&all, "ComputingUnitPool", "default");
    assert_eq!(pool["spec"]["routing"]["baseURL"], "https://texera.example.org");
}

#[test]
fn each_listener_has_a_certificate() {
    let tls = "gateway.https.enabled=true,gateway.hostname=texera.example.org,gateway.https.clusterIssuer=letsencrypt";
    let store = "objectStore.enabled=true,objectStore.hostname=store.example.org";
    // A listener without a host name serves both host names with one certificate.
    let all = rendered(&["--set", tls, "--set", store]);
    let certificate = named(&all, "Certificate", "texera-tls");
    assert_eq!(certificate["spec"]["dnsNames"], json!(["texera.example.org", "store.example.org"]));
    assert_eq!(certificate["spec"]["issuerRef"], json!({"kind": "ClusterIssuer", "name": "letsencrypt"}));
    let listeners = named(&all, "Gateway", "texera")["spec"]["listeners"].as_array().unwrap().len();
    assert_eq!(listeners, 2, "shared with the object store and with requests from inside the cluster");
    // Each listener has its own host name and certificate.
    let separate = ["--set", tls, "--set", store, "--set", "units.pool.lookup=Linear,objectStore.secretName=store-tls"];
    let all = rendered(&separate);
    let gateway = named(&all, "Gateway", "texera");
    assert_eq!(gateway["metadata"]["annotations"]["cert-manager.io/cluster-issuer"], "letsencrypt");
    let names: Vec<_> = gateway["spec"]["listeners"].as_array().unwrap().iter().map(|one| &one["hostname"]).collect();
    let stores = ["store.example.org", "store.example.org", "*.svc.cluster.local", "*.svc"];
    assert_eq!(names, [&["texera.example.org", "texera.example.org"][..], &stores].concat());
    assert_eq!(of_kind(&all, "Certificate").count(), 0);
}

#[test]
fn the_environment_of_units_comes_from_a_secret() {
    let values = ["--set", "units.environment.values.STORAGE_JDBC_PASSWORD=hunter2"];
    let all = rendered(&values);
    let secret = named(&all, "Secret", "computing-unit-environment");
    assert_eq!(secret["stringData"]["STORAGE_JDBC_PASSWORD"], "hunter2");
    let others: Vec<_> = all.iter().filter(|object| object["kind"] != "Secret").map(Value::to_string).collect();
    assert!(!others.concat().contains("hunter2"));
    let engine = &named(&all, "ComputingUnitPool", "default")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(engine["envFrom"], json!([{"secretRef": {"name": "computing-unit-environment"}}]));
    assert_eq!(of_kind(&rendered(&[]), "Secret").count(), 0, "created only from values");
}

/// The only path of units.
const KEYED: &str = "units.pool.paths[0].type=PathPrefix,units.pool.paths[0].value=/envs/{key}";

#[test]
fn values_that_would_misroute_requests_are_rejected() {
    let route = |path: &str, kind: &str| {
        format!(
            "routes.extra.paths[0].value={path},routes.extra.paths[0].type={kind},routes.extra.service.name=x,\
             routes.extra.service.port=1"
        )
    };
    for (set, message) in [
        ("gatway.name=x".to_owned(), "'gatway' not allowed"),
        ("routes.file.prot=1".to_owned(), "'prot' not allowed"),
        ("routes.file.timeout=never".to_owned(), "'never' does not match"),
        ("routes.config.body=lots".to_owned(), "'lots' does not match"),
        (route("/rtc", "PathPrefix"), "routes.extra and routes.shared-editing have the same path /rtc"),
        (route("/rtc/", "PathPrefix"), "routes.extra and routes.shared-editing have the same path /rtc"),
        (route("/wsapi", "PathPrefix"), "routes.extra has the path /wsapi, which is within the unit path /wsapi"),
        (route("/wsapi/new", "Exact"), "routes.extra has the path /wsapi/new, which is within the unit path /wsapi"),
        (route("/api/executions/1/stats/2", "Exact"), "which is within the unit path ^/api/executions"),
        (format!("{},{}", route("/envs/7", "Exact"), KEYED), "which is within the unit path /envs/{key}"),
        (format!("{},{}", route("/envs/7/a", "Exact"), KEYED), "which is within the unit path /envs/{key}"),
        ("objectStore.enabled=true".to_owned(), "objectStore.hostname is required"),
        (
            "units.pool.lookup=Linear,gateway.https.enabled=true,gateway.hostname=a.example.org,objectStore.enabled=true,\
             objectStore.hostname=b.example.org"
                .to_owned(),
            "objectStore.secretName: the object store requires its own certificate",
        ),
        ("authorization.enabled=false".to_owned(), "units.pool.lookup=Host requires an authorization service"),
        ("gateway.http.enabled=false".to_owned(), "the Gateway has no listeners"),
        ("gateway.http.redirectToHttps=true".to_owned(), "redirectToHttps=true requires gateway.https.enabled=true"),
        (
            "gateway.http.redirectToHttps=true,gateway.https.enabled=true,units.namespace.name=texera".to_owned(),
            "units in the release namespace would be reachable without TLS",
        ),
        ("gateway.https.issuer=a,gateway.https.clusterIssuer=b".to_owned(), "mutually exclusive"),
        ("routes.extra.paths[0].value=/x".to_owned(), "routes.extra.service"),
    ] {
        let error = helm(&["--set", &set]).expect_err(&set);
        assert!(error.contains(message), "{set}: {error}");
    }
    for set in [
        route("/api/executions/other", "PathPrefix"),
        route("/api/rtc", "PathPrefix"),
        format!("{},{}", route("/envs", "PathPrefix"), KEYED),
        format!("{},{}", route("/envs/7x", "PathPrefix"), KEYED),
        "routes.file.enabled=false".to_owned(),
        format!("{},routes.shared-editing.enabled=false", route("/rtc", "PathPrefix")),
        "routes.webserver=null".to_owned(),
    ] {
        assert!(helm(&["--set", &set]).is_ok(), "{set}");
    }
}
