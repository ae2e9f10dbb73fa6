//! What an answer says about the request it answers. Pure: no connection and no clock here.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::http::request::Parts;
use serde::Serialize;

/// Starts of the names of the request headers that answers repeat: what a gateway adds, and what it must not let through.
const REPEATED: [&str; 3] = ["x-computing-unit", "x-forwarded-", "x-user-"];

/// The part of the engine that a path belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// `/healthz`: whether the engine takes new work.
    Health,
    /// `/wsapi` and below: the workflow's WebSocket.
    Workflow,
    /// `/api/executions/<n>/stats/<n>`: runtime statistics.
    Stats,
    /// `/api/executions/result/export` and below: long answers.
    Export,
    /// `/api/pve` and below: Python virtual environments.
    Pve,
    /// Any other path.
    Other,
}

impl Part {
    /// The part that `path` belongs to, whatever prefix a gateway has left in front of it.
    pub fn of(path: &str) -> Self {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        if segments == ["healthz"] {
            return Self::Health;
        }
        (0..segments.len()).find_map(|start| Self::at_start(&segments[start..])).unwrap_or(Self::Other)
    }

    fn at_start(segments: &[&str]) -> Option<Self> {
        match segments {
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

/// The JSON that every request but a WebSocket's and an export's is answered with.
#[derive(Debug, Serialize)]
pub struct Answer<'a> {
    unit: &'a str,
    part: Part,
    method: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    headers: BTreeMap<&'a str, String>,
}

impl<'a> Answer<'a> {
    /// What `unit` has to say about `request`.
    pub fn new(unit: &'a str, request: &'a Parts) -> Self {
        let mut headers = repeated(&request.headers);
        if let Some(authority) = request.uri.authority() {
            // HTTP/2 carries the host in the URI.
            headers.insert(HOST.as_str(), authority.to_string());
        }
        Self {
            unit,
            part: Part::of(request.uri.path()),
            method: request.method.as_str(),
            path: request.uri.path(),
            query: request.uri.query(),
            headers,
        }
    }
}

fn repeated(headers: &HeaderMap) -> BTreeMap<&str, String> {
    let wanted = |name: &str| name == HOST.as_str() || REPEATED.iter().any(|start| name.starts_with(start));
    headers
        .keys()
        .map(axum::http::HeaderName::as_str)
        .filter(|name| wanted(name))
        .map(|name| {
            let values: Vec<_> =
                headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            (name, values.join(", "))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_belong_to_parts() {
        for (path, part) in [
            ("/healthz", Part::Health),
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
        }
    }

    #[test]
    fn a_prefix_that_a_gateway_leaves_changes_nothing_but_health() {
        assert_eq!(Part::of("/cu/computing-unit-42/wsapi/workflow-websocket"), Part::Workflow);
        assert_eq!(Part::of("/cu/computing-unit-42/api/executions/result/export"), Part::Export);
        assert_eq!(Part::of("/cu/computing-unit-42/healthz"), Part::Other);
    }

    #[test]
    fn an_answer_repeats_the_request() {
        let (request, ()) = Request::get("/wsapi?cuid=42")
            .header("host", "texera.local")
            .header("x-forwarded-for", "192.0.2.1")
            .header("x-forwarded-for", "192.0.2.2")
            .header("x-computing-unit-probe", "1")
            .header("accept", "*/*")
            .body(())
            .unwrap()
            .into_parts();
        let answer = serde_json::to_value(Answer::new("unit-1", &request)).unwrap();
        assert_eq!(
            answer,
            json!({
                "unit": "unit-1",
                "part": "workflow",
                "method": "GET",
                "path": "/wsapi",
                "query": "cuid=42",
                "headers": {
                    "host": "texera.local",
                    "x-computing-unit-probe": "1",
                    "x-forwarded-for": "192.0.2.1, 192.0.2.2",
                },
            })
        );
    }

    #[test]
    fn the_host_of_http2_is_in_the_uri() {
        let (request, ()) = Request::get("http://texera.local/wsapi").body(()).unwrap().into_parts();
        let answer = serde_json::to_value(Answer::new("unit-1", &request)).unwrap();
        assert_eq!(answer["headers"]["host"], "texera.local");
        assert_eq!(answer["path"], "/wsapi");
    }
}
