//! The first of the two former proxies: nginx, configured like ingress-nginx. It serves static paths and forwards
//! requests for units to the second proxy.
//!
//! Pure: it builds the configuration.

use std::fmt::Write;

use super::Plan;

/// The listener port.
pub(super) const PORT: u16 = 8080;

/// The routing table: one line per unit, with its number and address. nginx reads it at start and at each reload.
pub(super) const TABLE: &str = "/tmp/units.map";

/// The configuration that forwards requests for units to the second proxy.
pub(super) fn config(plan: &Plan) -> String {
    with(plan, plan.locations(), "", "")
}

/// The configuration that finds units in the routing table, without a second proxy.
pub(super) fn with_table(plan: &Plan) -> String {
    let mut units = String::new();
    for path in &plan.units {
        let _ = writeln!(units, "    location {path} {{ proxy_pass http://$unit; }}");
    }
    // The glob makes a missing file equivalent to an empty one.
    let map = format!("  map $arg_cuid $unit {{ default 127.0.0.1:9; include {TABLE}*; }}\n");
    with(plan, plan.statics(), &map, &units)
}

fn with<'a>(plan: &Plan, upstreams_by_path: impl Iterator<Item = (&'a str, String)>, map: &str, units: &str) -> String {
    let log = if plan.access_log { "/dev/stdout" } else { "off" };
    let mut upstreams = String::new();
    let mut locations = String::new();
    for (number, (path, server)) in upstreams_by_path.enumerate() {
        let _ =
            writeln!(upstreams, "  upstream u{number} {{ server {server}; keepalive 320; keepalive_requests 10000; }}");
        let _ = writeln!(locations, "    location {path} {{ proxy_pass http://u{number}; }}");
    }
    format!(
        "worker_processes {workers};
error_log stderr warn;
pid /tmp/nginx.pid;
# As in ingress-nginx: connections of old workers are closed after this time.
worker_shutdown_timeout 240s;
daemon off;
events {{ worker_connections 16384; }}
http {{
  access_log {log};
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  client_max_body_size 0;
  keepalive_requests 10000;
  # No Connection header without an upgrade, so that connections to the upstream are reused.
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  proxy_http_version 1.1;
  proxy_set_header Host $http_host;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_buffering off;
  proxy_request_buffering off;
  proxy_read_timeout 1h;
  proxy_send_timeout 1h;
{upstreams}{map}  server {{
    listen {PORT};
{locations}{units}  }}
}}
",
        workers = plan.workers,
    )
}
