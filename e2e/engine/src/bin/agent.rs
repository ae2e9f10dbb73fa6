//! A stand-in for Texera's agent service, which runs workflows in units: its `executeWorkflowHttp` sends `POST
//! /api/execution/<workflow>/<cuid>/run` with the token of the user to the address that `EXECUTION_ENDPOINT_TEMPLATE` has
//! for the unit. Like `fetch`, it follows redirects. Unlike Texera's, it also sends `cuid` as a parameter, by which a gateway
//! finds the unit.
//!
//! `POST /<cuid>` sends such a request, with the body and the header `Authorization` of this one, to the URL in `x-endpoint`
//! if there is one, and with the host name in `x-host`. The response is that of the unit, or 502 with the error.
//!
//! | variable | meaning |
//! |---|---|
//! | `PORT` | TCP port, default 3001 |
//! | `EXECUTION_ENDPOINT_TEMPLATE` | URL of a unit without a path, with `{cuid}` as the placeholder for its number |

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use clap::Parser;
use reqwest::Client;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than a unit takes to start.
const TIMEOUT: Duration = Duration::from_mins(1);
const MAX_BODY: usize = 16 << 20;
const ENDPOINT: HeaderName = HeaderName::from_static("x-endpoint");
/// Headers that are copied to the request for the unit, and their names there.
const COPIED: [(HeaderName, HeaderName); 2] =
    [(header::AUTHORIZATION, header::AUTHORIZATION), (HeaderName::from_static("x-host"), header::HOST)];

#[derive(Debug, clap::Parser)]
struct Settings {
    #[arg(long, env = "PORT", default_value_t = 3001)]
    port: u16,
    #[arg(long, env = "EXECUTION_ENDPOINT_TEMPLATE")]
    template: String,
}

struct Agent {
    template: String,
    client: Client,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Settings { port, template } = Settings::parse();
    let client = Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT).build()?;
    engine::serve(port, Router::new().fallback(run).with_state(Arc::new(Agent { template, client }))).await
}

async fn run(State(agent): State<Arc<Agent>>, request: Request) -> Response {
    match agent.execute(request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

impl Agent {
    async fn execute(&self, request: Request) -> anyhow::Result<Response> {
        let (parts, body) = request.into_parts();
        let cuid = parts.uri.path().trim_start_matches('/');
        let endpoint = parts.headers.get(ENDPOINT).map_or(Ok(self.template.as_str()), HeaderValue::to_str)?;
        let url = format!("{}/api/execution/1/{cuid}/run?cuid={cuid}", endpoint.replace("{cuid}", cuid));
        // The body is sent again after a redirect, so it is not a stream.
        let mut execution = self.client.post(url).body(to_bytes(body, MAX_BODY).await?);
        for (from, to) in COPIED {
            if let Some(value) = parts.headers.get(from) {
                execution = execution.header(to, value);
            }
        }
        let response = execution.send().await?;
        Ok((response.status(), response.bytes().await?).into_response())
    }
}
