//! The second of the two former proxies: Envoy with a Lua script that derives a host name from the number of a unit,
//! and resolves that name by DNS, as in Texera's deployments.
//!
//! Pure: it builds the configuration.

use serde_json::{Value, json};

use super::Plan;

/// The listener port.
pub(super) const PORT: u16 = 10000;

/// The name of the cluster of the authorization service.
const AUTHORIZATION: &str = "authorization";

const API: &str = "type.googleapis.com/envoy.extensions";

/// The configuration.
pub(super) fn config(plan: &Plan) -> Value {
    let routes: Vec<Value> = plan
        .units
        .iter()
        .map(|prefix| json!({"match": {"prefix": prefix}, "route": {"cluster": "dynamic_service", "timeout": "0s"}}))
        .collect();
    let cache = json!({"name": "dynamic_dns_cache", "dns_lookup_family": "V4_ONLY", "dns_refresh_rate": "1s"});
    let log = json!([{
        "name": "envoy.access_loggers.stdout",
        "typed_config": {"@type": format!("{API}.access_loggers.stream.v3.StdoutAccessLog")},
    }]);
    let filter =
        |name: &str, config: Value| json!({"name": format!("envoy.filters.http.{name}"), "typed_config": config});
    let authorization = plan.authorization.as_ref();
    let mut filters: Vec<Value> =
        authorization.map(|(host, port)| filter("ext_authz", ext_authz(host, *port))).into_iter().collect();
    filters.extend([
        filter(
            "lua",
            json!({
                "@type": format!("{API}.filters.http.lua.v3.Lua"),
                "default_source_code": {"inline_string": lua(&plan.unit_host)},
            }),
        ),
        filter(
            "dynamic_forward_proxy",
            json!({
                "@type": format!("{API}.filters.http.dynamic_forward_proxy.v3.FilterConfig"),
                "dns_cache_config": cache,
            }),
        ),
        filter("router", json!({"@type": format!("{API}.filters.http.router.v3.Router")})),
    ]);
    let manager = json!({
        "@type": format!("{API}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "ingress_http",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "access_log": if plan.access_log { log } else { json!([]) },
        "route_config": {"name": "local_route", "virtual_hosts": [
            {"name": "local_service", "domains": ["*"], "routes": routes},
        ]},
        "http_filters": filters,
    });
    let mut clusters = vec![json!({
        "name": "dynamic_service",
        "connect_timeout": "0.25s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.dynamic_forward_proxy",
            "typed_config": {
                "@type": format!("{API}.clusters.dynamic_forward_proxy.v3.ClusterConfig"),
                "dns_cache_config": cache,
            },
        },
    })];
    clusters.extend(authorization.map(|(host, port)| dns_cluster(AUTHORIZATION, host, *port)));
    json!({
        "static_resources": {
            "listeners": [listener(&manager)],
            "clusters": clusters,
        },
    })
}

/// Asks the service about each request, with its path, as Texera's present gateway does.
fn ext_authz(host: &str, port: u16) -> Value {
    let headers = |exact: &[&str], prefix: &[&str]| {
        let exact = exact.iter().map(|name| json!({"exact": name, "ignore_case": true}));
        let prefix = prefix.iter().map(|name| json!({"prefix": name, "ignore_case": true}));
        json!({"patterns": exact.chain(prefix).collect::<Vec<_>>()})
    };
    json!({
        "@type": format!("{API}.filters.http.ext_authz.v3.ExtAuthz"),
        "http_service": {
            "server_uri": {"uri": format!("http://{host}:{port}"), "cluster": AUTHORIZATION, "timeout": "5s"},
            "path_prefix": "/api/auth",
            "authorization_response": {"allowed_upstream_headers": headers(&[], &["x-user-"])},
        },
        "allowed_headers": headers(&["authorization"], &[]),
    })
}

fn dns_cluster(name: &str, host: &str, port: u16) -> Value {
    json!({
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": "0.25s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}},
        ]}]},
    })
}

/// A configuration that forwards all requests to one service and does nothing else: what Envoy itself costs.
pub(super) fn minimal(host: &str, port: u16) -> Value {
    let manager = json!({
        "@type": format!("{API}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "ingress_http",
        "route_config": {"name": "local_route", "virtual_hosts": [{
            "name": "service",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "service", "timeout": "0s"}}],
        }]},
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": format!("{API}.filters.http.router.v3.Router")},
        }],
    });
    json!({"static_resources": {"listeners": [listener(&manager)], "clusters": [dns_cluster("service", host, port)]}})
}

fn listener(manager: &Value) -> Value {
    json!({
        "name": "listener_0",
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": PORT}},
        "filter_chains": [{"filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager},
        ]}],
    })
}

fn lua(unit_host: &str) -> String {
    let host = unit_host.replace("{cuid}", "\" .. cuid .. \"");
    format!(
        "function envoy_on_request(request)
  local cuid = string.match(request:headers():get(\":path\"), \"cuid=(%d+)\")
  if cuid then
    request:headers():replace(\":authority\", \"{host}\")
  end
end
"
    )
}
