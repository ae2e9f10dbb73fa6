//! A stand-in for Texera's agent service, which runs workflows in units without the gateway: its `executeWorkflowHttp`
//! sends `POST /api/execution/<workflow>/<cuid>/run` to the address that `EXECUTION_ENDPOINT_TEMPLATE` has for the unit.
//!
//! `POST /<cuid>` sends such a request. The response is that of the unit, or 502 with the error.
//!
//! | variable | meaning |
//! |---|---|
//! | `PORT` | TCP port, default 3001 |
//! | `EXECUTION_ENDPOINT_TEMPLATE` | host and port of a unit, with `{cuid}` as the placeholder for its number |

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use clap::Parser;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Parser)]
struct Settings {
    #[arg(long, env = "PORT", default_value_t = 3001)]
    port: u16,
    #[arg(long, env = "EXECUTION_ENDPOINT_TEMPLATE")]
    template: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    let port = settings.port;
    engine::serve(port, Router::new().fallback(run).with_state(Arc::new(settings))).await
}

async fn run(State(settings): State<Arc<Settings>>, request: Request) -> Response {
    let cuid = request.uri().path().trim_start_matches('/');
    let host = settings.template.replace("{cuid}", cuid);
    match timeout(LIMIT, execute(&host, cuid)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
        Err(_) => (StatusCode::BAD_GATEWAY, format!("{host}: no response")).into_response(),
    }
}

async fn execute(host: &str, cuid: &str) -> anyhow::Result<Response> {
    let mut connection = TcpStream::connect(host).await.with_context(|| host.to_owned())?;
    let request = format!(
        "POST /api/execution/1/{cuid}/run HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    );
    connection.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    connection.read_to_string(&mut response).await?;
    let (head, body) = response.split_once("\r\n\r\n").context("a response")?;
    let status = head.split(' ').nth(1).context("a status")?.parse::<u16>()?;
    Ok((StatusCode::from_u16(status)?, body.to_owned()).into_response())
}
