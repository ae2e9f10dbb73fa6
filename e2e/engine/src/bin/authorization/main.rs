//! A stand-in for Texera's access-control-service, which a gateway calls to authorize requests. It follows
//! AccessControlResource.scala in the version of 2026-07, which authorizes `/api/pve` by the path and `/api/agents`; the host
//! name is what Texera has recorded for the unit (pull request 5629 of Texera).
//!
//! The gateway sends the request's method, path and query under `/api/auth`. The token is taken from the parameter
//! `access-token`, or else from the header `Authorization: Bearer`:
//!
//! | token | answer for a unit | answer for agents |
//! |---|---|---|
//! | none | 401, with Texera's rules 403 | 401 |
//! | `for-42` | 200 if the routing key is 42, else 403 | 200 |
//! | `for-all` | 200 if the request has a routing key, else 403 | 200 |
//! | `slow` | same as `for-all`, after `SLOW` seconds | 200 |
//! | any other | 403 | 403 |
//!
//! A 200 response has the headers `x-user-id`, `x-user-name` and `x-user-email`; for a unit also `x-user-cu-access`, and the
//! unit's `Host` if `UNIT_HOST` is set. Jupyter servers are not authorized: they check a token of their own. Other paths are
//! answered with 200 and the request line, like a static service.
//!
//! | variable | meaning |
//! |---|---|
//! | `PORT` | TCP port, default 9096 |
//! | `PARSER` | `strict` or `first-decoded`: how the routing key is parsed, see `key` |
//! | `RULES` | `any`, `texera` or `texera-with-execution`: paths and methods, see `rules` |
//! | `UNIT_HOST` | `Host` of units without a recorded one, with `{cuid}` as the placeholder for the routing key |
//! | `RECORDED` | recorded addresses of units, as `43=remote.example.org:8085`, separated by commas |
//! | `JUPYTER_HOST` | `Host` of Jupyter servers, with the placeholder `{uid}` |
//! | `SLOW` | delay in seconds for the token `slow`, default 60 |

mod key;
mod rules;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use clap::Parser as _;

use key::Parser;
use rules::{Rule, Rules};

/// The path prefix of authorization requests.
const PREFIX: &str = "/api/auth";

#[derive(Debug, clap::Parser)]
struct Settings {
    #[arg(long, env = "PORT", default_value_t = 9096)]
    port: u16,
    #[arg(long, env = "PARSER", value_enum, default_value_t = Parser::Strict)]
    parser: Parser,
    #[arg(long, env = "RULES", value_enum, default_value_t = Rules::Any)]
    rules: Rules,
    #[arg(long, env = "UNIT_HOST")]
    unit_host: Option<String>,
    #[arg(long, env = "RECORDED", value_delimiter = ',', value_parser = recorded)]
    recorded: Vec<(String, String)>,
    #[arg(long, env = "JUPYTER_HOST")]
    jupyter_host: Option<String>,
    #[arg(long, env = "SLOW", default_value_t = 60)]
    slow: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    let port = settings.port;
    engine::serve(port, Router::new().fallback(answer).with_state(Arc::new(settings))).await
}

fn recorded(text: &str) -> Result<(String, String), String> {
    let (key, host) = text.split_once('=').ok_or("not key=host")?;
    Ok((key.to_owned(), host.to_owned()))
}

async fn answer(State(settings): State<Arc<Settings>>, request: Request) -> Response {
    let Some(path) = request.uri().path().strip_prefix(PREFIX) else {
        let asked = format!("{} {}", request.method(), request.uri().path());
        return ([(HeaderName::from_static("x-engine"), "access-control-service")], asked).into_response();
    };
    let query = request.uri().query().unwrap_or_default();
    let token = token(query, &request);
    if token == "slow" {
        tokio::time::timeout(Duration::from_secs(settings.slow), std::future::pending::<()>()).await.ok();
    }
    match rules::rule(settings.rules, request.method().as_str(), path) {
        Rule::Unit { refusal } if token.is_empty() => status(refusal),
        Rule::Unit { .. } => {
            let key = key::key(settings.parser, path, query).filter(|key| match token.as_str() {
                "for-all" | "slow" => true,
                token => token.strip_prefix("for-") == Some(key),
            });
            key.map_or_else(|| status(403), |key| passed(&WRITER, settings.host(&key)))
        }
        Rule::Agents if token.is_empty() => status(401),
        Rule::Agents if token.starts_with("for-") || token == "slow" => passed(&USER, None),
        Rule::Jupyter => {
            let uid = path.split('/').nth(2).unwrap_or_default();
            passed(&[], settings.jupyter_host.as_ref().map(|host| host.replace("{uid}", uid)))
        }
        Rule::Options => status(200),
        Rule::MethodNotAllowed => status(405),
        Rule::Agents | Rule::Denied => status(403),
    }
}

fn token(query: &str, request: &Request) -> String {
    let bearer = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = || bearer.and_then(|value| value.strip_prefix("Bearer ")).map(Into::into);
    key::parameter(query, "access-token").or_else(bearer).unwrap_or_default().into_owned()
}

fn status(code: u16) -> Response {
    StatusCode::from_u16(code).unwrap_or(StatusCode::FORBIDDEN).into_response()
}

const USER: [(&str, &str); 3] = [("x-user-id", "7"), ("x-user-name", "Ada"), ("x-user-email", "ada@example.org")];
const WRITER: [(&str, &str); 4] = [("x-user-cu-access", "WRITE"), USER[0], USER[1], USER[2]];

impl Settings {
    /// The address of a unit in Texera's database, or else the name that Texera builds.
    fn host(&self, key: &str) -> Option<String> {
        let recorded = self.recorded.iter().find(|(own, _)| own == key).map(|(_, host)| host.clone());
        recorded.or_else(|| self.unit_host.as_ref().map(|host| host.replace("{cuid}", key)))
    }
}

fn passed(user: &[(&'static str, &'static str)], host: Option<String>) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.extend(user.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))));
    if let Some(host) = host.and_then(|host| HeaderValue::try_from(host).ok()) {
        headers.insert(header::HOST, host);
    }
    response
}
