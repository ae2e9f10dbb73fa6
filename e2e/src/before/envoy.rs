//! The second of the two former proxies: Envoy with a Lua script that derives a host name from the number of a unit,
//! and resolves that name by DNS, as in Texera's deployments.
//!
//! Pure: it builds the configuration.

use serde_json::{Value, json};

use super::Plan;

/// The listener port.
pub(super) const PORT: u16 = 10000;

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
    let manager = json!({
        "@type": format!("{API}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "ingress_http",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "access_log": if plan.access_log { log } else { json!([]) },
        "route_config": {"name": "local_route", "virtual_hosts": [
            {"name": "local_service", "domains": ["*"], "routes": routes},
        ]},
        "http_filters": [
            filter("lua", json!({
                "@type": format!("{API}.filters.http.lua.v3.Lua"),
                "default_source_code": {"inline_string": lua(&plan.unit_host)},
            })),
            filter("dynamic_forward_proxy", json!({
                "@type": format!("{API}.filters.http.dynamic_forward_proxy.v3.FilterConfig"),
                "dns_cache_config": cache,
            })),
            filter("router", json!({"@type": format!("{API}.filters.http.router.v3.Router")})),
        ],
    });
    json!({
        "static_resources": {
            "listeners": [{
                "name": "listener_0",
                "address": {"socket_address": {"address": "0.0.0.0", "port_value": PORT}},
                "filter_chains": [{"filters": [
                    {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager},
                ]}],
            }],
            "clusters": [{
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
            }],
        },
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
