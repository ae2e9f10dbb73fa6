//! The first of the two proxies: nginx, as ingress-nginx would set it up, for static paths and on to the second.
//!
//! Pure: it decides the configuration and starts nothing.

use std::fmt::Write;

use super::Plan;

/// The port that it listens on.
pub(super) const PORT: u16 = 8080;

/// What units of a table are found by: lines of a number and an address, which nginx reads when it starts and when it is
/// told to read anew.
pub(super) const TABLE: &str = "/tmp/units.map";

/// The configuration of one that hands requests for units to the second proxy.
pub(super) fn config(plan: &Plan) -> String {
    with(plan, plan.locations(), "", "")
}

/// The configuration of one that finds units in its own table, and needs no second proxy.
pub(super) fn with_table(plan: &Plan) -> String {
    let mut units = String::new();
    for path in &plan.units {
        let _ = writeln!(units, "    location {path} {{ proxy_pass http://$unit; }}");
    }
    // No file is as good as an empty one.
    let map = format!("  map $arg_cuid $unit {{ default 127.0.0.1:9; include {TABLE}*; }}\n");
    with(plan, plan.statics(), &map, &units)
}

fn with<'a>(plan: &Plan, ways: impl Iterator<Item = (&'a str, String)>, map: &str, units: &str) -> String {
    let log = if plan.access_log { "/dev/stdout" } else { "off" };
    let mut upstreams = String::new();
    let mut locations = String::new();
    for (number, (path, server)) in ways.enumerate() {
        let _ =
            writeln!(upstreams, "  upstream u{number} {{ server {server}; keepalive 320; keepalive_requests 10000; }}");
        let _ = writeln!(locations, "    location {path} {{ proxy_pass http://u{number}; }}");
    }
    format!(
        "worker_processes {workers};
error_log stderr warn;
pid /tmp/nginx.pid;
# As ingress-nginx has it: what old workers still hold open is cut then.
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
  # No header of a connection where there is no upgrade, which keeps connections to the upstream.
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
