//! A stand-in for Texera's access-control-service, which a gateway calls to authorize requests.
//!
//! The gateway sends the request's method, path and query under `/api/auth`. The token is taken from the header
//! `Authorization: Bearer`, or else from the parameter `access-token`:
//!
//! | token | answer |
//! |---|---|
//! | none | 401 |
//! | `for-42` | 200 if the routing key is 42, else 403 |
//! | `for-all` | 200 if the request has a routing key, else 403 |
//! | `slow` | same as `for-all`, after `SLOW` seconds |
//! | any other | 403 |
//!
//! A 200 response has the headers `x-user-cu-access`, `x-user-id`, `x-user-name` and `x-user-email`, and also the
//! unit's `Host` if `UNIT_HOST` is set. Other paths are answered with 200 and the request line, like a static service.
//!
//! | variable | meaning |
//! |---|---|
//! | `PORT` | TCP port, default 9096 |
//! | `PARSER` | `strict` or `first-decoded`: how the routing key is parsed, see `key` |
//! | `UNIT_HOST` | host name of a unit, with `{cuid}` as the placeholder for its routing key |
//! | `SLOW` | delay in seconds for the token `slow`, default 60 |

mod key;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use clap::Parser as _;
use tokio::net::TcpListener;

use key::Parser;

/// The path prefix of authorization requests.
const PREFIX: &str = "/api/auth";

#[derive(Debug, clap::Parser)]
struct Settings {
    #[arg(long, env = "PORT", default_value_t = 9096)]
    port: u16,
    #[arg(long, env = "PARSER", value_enum, default_value_t = Parser::Strict)]
    parser: Parser,
    #[arg(long, env = "UNIT_HOST")]
    unit_host: Option<String>,
    #[arg(long, env = "SLOW", default_value_t = 60)]
    slow: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    let port = settings.port;
    let listener = TcpListener::bind(("0.0.0.0", port)).await.with_context(|| format!("listen on port {port}"))?;
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    println!("listens on port {port}");
    let router = Router::new().fallback(answer).with_state(Arc::new(settings));
    let served = axum::serve(listener, router).with_graceful_shutdown(async move {
        terminated.recv().await;
    });
    Ok(served.await?)
}

async fn answer(State(settings): State<Arc<Settings>>, request: Request) -> Response {
    if !request.uri().path().starts_with(PREFIX) {
        let asked = format!("{} {}", request.method(), request.uri().path());
        return ([(HeaderName::from_static("x-engine"), "access-control-service")], asked).into_response();
    }
    let query = request.uri().query().unwrap_or_default();
    let bearer = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(Into::into)
        .or_else(|| key::parameter(query, "access-token"))
        .unwrap_or_default()
        .into_owned();
    if token == "slow" {
        tokio::time::timeout(Duration::from_secs(settings.slow), std::future::pending::<()>()).await.ok();
    }
    let allowed = key::key(settings.parser, query).filter(|key| match token.as_str() {
        "for-all" | "slow" => true,
        token => token.strip_prefix("for-") == Some(key),
    });
    match allowed {
        _ if token.is_empty() => StatusCode::UNAUTHORIZED.into_response(),
        None => StatusCode::FORBIDDEN.into_response(),
        Some(key) => passed(&settings, &key),
    }
}

fn passed(settings: &Settings, key: &str) -> Response {
    let user = [
        ("x-user-cu-access", "WRITE"),
        ("x-user-id", "7"),
        ("x-user-name", "Ada"),
        ("x-user-email", "ada@example.org"),
    ];
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.extend(user.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))));
    let host = settings.unit_host.as_ref().map(|host| host.replace("{cuid}", key));
    if let Some(host) = host.and_then(|host| HeaderValue::try_from(host).ok()) {
        headers.insert(header::HOST, host);
    }
    response
}
