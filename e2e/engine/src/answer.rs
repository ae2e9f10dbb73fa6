//! The JSON body of a response, which describes its request. Pure: no I/O and no clock.

use std::collections::BTreeMap;

use axum::http::header::{AUTHORIZATION, COOKIE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use serde::Serialize;

/// The part of the engine that a path belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// `/api/healthcheck`: whether the engine takes new work.
    Health,
    /// `/wsapi` and below: the workflow's WebSocket.
    Workflow,
    /// `/api/executions/<n>/stats/<n>`: runtime statistics.
    Stats,
    /// `/api/executions/result/export` and below: long answers.
    Export,
    /// `/api/pve` and below: Python virtual environments.
    Pve,
    /// `/busy`: whether work is running.
    Busy,
    /// Any other path.
    Other,
}

impl Part {
    /// The part that `path` belongs to. A prefix that a gateway did not strip is ignored.
    pub fn of(path: &str) -> Self {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        (0..segments.len()).find_map(|start| Self::at_start(&segments[start..])).unwrap_or(Self::Other)
    }

    fn at_start(segments: &[&str]) -> Option<Self> {
        match segments {
            ["api", "healthcheck"] => Some(Self::Health),
            ["busy"] => Some(Self::Busy),
            ["wsapi", ..] => Some(Self::Workflow),
            ["api", "executions", execution, "stats", operator] if number(execution) && number(operator) => {
                Some(Self::Stats)
            }
            ["api", "executions", "result", "export", ..] => Some(Self::Export),
            ["api", "pve", ..] => Some(Self::Pve),
            _ => None,
        }
    }
}

fn number(segment: &str) -> bool {
    segment.bytes().all(|byte| byte.is_ascii_digit())
}

/// The body of a request.
#[derive(Debug, Default, Eq, PartialEq, Serialize)]
pub struct Received {
    /// Number of bytes.
    #[serde(rename = "received")]
    pub bytes: u64,
    /// SHA-256 in hexadecimal digits, of a body that is not empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The JSON response to every request except WebSockets and exports.
#[derive(Debug, Serialize)]
pub struct Answer<'a> {
    unit: &'a str,
    healthy: bool,
    part: Part,
    method: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    #[serde(flatten)]
    body: Received,
    /// The `host` header, credentials, and every header that starts with `x-`: those that a gateway adds or must remove.
    headers: BTreeMap<&'a str, String>,
}

impl<'a> Answer<'a> {
    /// The answer of `unit` to `request` with `body`.
    pub fn new(unit: &'a str, healthy: bool, request: &'a Parts, body: Received) -> Self {
        Self {
            unit,
            healthy,
            part: Part::of(request.uri.path()),
            method: request.method.as_str(),
            path: request.uri.path(),
            query: request.uri.query(),
            body,
            headers: repeated(&request.headers),
        }
    }
}

fn repeated(headers: &HeaderMap) -> BTreeMap<&str, String> {
    let values = |name| {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        values.collect::<Vec<_>>().join(", ")
    };
    let wanted =
        headers.keys().filter(|name| [HOST, AUTHORIZATION, COOKIE].contains(name) || name.as_str().starts_with("x-"));
    wanted.map(HeaderName::as_str).map(|name| (name, values(name))).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_belong_to_parts() {
        for (path, part) in [
            ("/api/healthcheck", Part::Health),
            ("/busy", Part::Busy),
            ("/wsapi", Part::Workflow),
            ("/wsapi/workflow-websocket", Part::Workflow),
            ("/api/executions/1/stats/22", Part::Stats),
            ("/api/executions/1/stats/x", Part::Other),
            ("/api/executions/result/export", Part::Export),
            ("/api/executions/result/export/csv", Part::Export),
            ("/api/pve", Part::Pve),
            ("/api/pve/list", Part::Pve),
            ("/", Part::Other),
            ("/wsapiary", Part::Other),
        ] {
            assert_eq!(Part::of(path), part, "{path}");
            assert_eq!(Part::of(&format!("/units/ada{path}")), part, "{path} behind a prefix");
        }
    }

    #[test]
    fn an_answer_repeats_the_request() {
        let (request, ()) = Request::get("/wsapi?cuid=42")
            .header("host", "texera.local")
            .header("x-forwarded-for", "192.0.2.1")
            .header("x-forwarded-for", "192.0.2.2")
            .header("accept", "*/*")
            .body(())
            .unwrap()
            .into_parts();
        let body = Received { bytes: 5, sha256: Some("00ff".to_owned()) };
        assert_eq!(
            serde_json::to_value(Answer::new("ada", true, &request, body)).unwrap(),
            json!({
                "unit": "ada",
                "healthy": true,
                "part": "workflow",
                "method": "GET",
                "path": "/wsapi",
                "query": "cuid=42",
                "received": 5,
                "sha256": "00ff",
                "headers": {"host": "texera.local", "x-forwarded-for": "192.0.2.1, 192.0.2.2"},
            })
        );
    }
}
