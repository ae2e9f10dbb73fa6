//! Maps requests to responses. `answer` and `export` build their content.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Query, Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::future::ready;
use futures::{SinkExt, StreamExt, TryStreamExt};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::answer::{Answer, Part, Received};
use crate::busy::{Busy, BusyQuery};
use crate::export::{Export, Wanted};
use crate::files;
use crate::site::Site;

/// The response header with the name of the unit.
const ENGINE: HeaderName = HeaderName::from_static("x-engine");

/// The state that responses depend on besides the request.
pub struct Engine {
    unit: String,
    export: Export,
    site: Site,
    healthy: AtomicBool,
    busy: Mutex<Busy>,
    draining: AtomicBool,
}

impl Engine {
    /// A healthy engine with this name, its default export, and a site on paths that are not part of the engine.
    pub fn new(unit: String, export: Export, site: Site) -> Self {
        let (healthy, draining) = (AtomicBool::new(true), AtomicBool::new(false));
        Self { unit, export, site, healthy, busy: Mutex::default(), draining }
    }

    /// The name of the unit, which is in every response.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Sets the result of health checks.
    pub fn set_healthy(&self, healthy: bool) {
        println!("{}: health checks {}", self.unit, if healthy { "succeed" } else { "fail" });
        self.healthy.store(healthy, Ordering::Relaxed);
    }

    /// Fails health checks and closes each connection after its next response.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    fn healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed) && !self.draining()
    }

    fn json(&self, request: &Parts, body: Received) -> Response {
        axum::Json(Answer::new(&self.unit, self.healthy(), request, body)).into_response()
    }
}

/// Answers every path, so that tests can see all requests that a gateway forwards.
pub fn router(engine: Arc<Engine>) -> Router {
    Router::new().fallback(respond).with_state(engine)
}

async fn respond(State(engine): State<Arc<Engine>>, request: Request) -> Response {
    let (mut request, body) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut request, &()).await;
    let mut response = match (Part::of(request.uri.path()), upgrade) {
        (Part::Health, _) => health(&engine, &request),
        (Part::Workflow | Part::Pve | Part::Other, Ok(upgrade)) => {
            let unit = engine.unit.clone();
            upgrade.on_upgrade(move |socket| echo(socket, unit))
        }
        (Part::Export, _) => export(&engine, &request),
        (Part::Busy, _) => busy(&engine, &request).await,
        (Part::Other, _) if let Some(file) = files::of(engine.site.files.as_deref(), request.uri.path()) => {
            files::respond(&file, &request.method, body).await
        }
        (Part::Other, _) if let Some(response) = engine.site.response(&request) => response,
        _ => match received(body).await {
            Ok(received) => engine.json(&request, received),
            Err(_) => StatusCode::BAD_REQUEST.into_response(),
        },
    };
    if let Ok(unit) = HeaderValue::from_str(&engine.unit) {
        response.headers_mut().insert(ENGINE, unit);
    }
    if engine.draining() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Receives a body. It is not buffered, so any length is accepted.
async fn received(body: Body) -> Result<Received, axum::Error> {
    let chunks = body.into_data_stream();
    let add =
        |(sum, hash): (u64, Sha256), chunk: Bytes| ready(Ok((sum + chunk.len() as u64, hash.chain_update(chunk))));
    let (bytes, hash) = chunks.try_fold((0, Sha256::new()), add).await?;
    Ok(Received { bytes, sha256: (bytes > 0).then(|| format!("{:x}", hash.finalize())) })
}

/// The query of a POST to the health check.
#[derive(Deserialize)]
struct Health {
    healthy: bool,
}

fn health(engine: &Engine, request: &Parts) -> Response {
    if request.method == Method::POST {
        return match Query::<Health>::try_from_uri(&request.uri) {
            Ok(Query(health)) => {
                engine.set_healthy(health.healthy);
                engine.json(request, Received::default())
            }
            Err(rejection) => rejection.into_response(),
        };
    }
    let status = if engine.healthy() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, engine.json(request, Received::default())).into_response()
}

async fn busy(engine: &Engine, request: &Parts) -> Response {
    if request.method == Method::PUT {
        return match Query::<BusyQuery>::try_from_uri(&request.uri) {
            Ok(Query(query)) => {
                println!("{}: set the answer of /busy to {:?}", engine.unit, query.answer);
                *engine.busy.lock().unwrap_or_else(PoisonError::into_inner) = query.answer;
                engine.json(request, Received::default())
            }
            Err(rejection) => rejection.into_response(),
        };
    }
    let busy = *engine.busy.lock().unwrap_or_else(PoisonError::into_inner);
    busy.respond().await
}

fn export(engine: &Engine, request: &Parts) -> Response {
    match Query::<Wanted>::try_from_uri(&request.uri) {
        Ok(Query(wanted)) => {
            ([(CONTENT_TYPE, "text/plain")], engine.export.or(&wanted).body(&engine.unit)).into_response()
        }
        Err(rejection) => rejection.into_response(),
    }
}

/// Echoes text and binary messages until either side closes the connection.
async fn echo(socket: WebSocket, unit: String) {
    println!("{unit}: WebSocket opened");
    let (mut outgoing, mut incoming) = socket.split();
    let mut echoed = 0_u64;
    while let Some(Ok(message)) = incoming.next().await {
        // The library answers pings and close frames.
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            if outgoing.send(message).await.is_err() {
                break;
            }
            echoed += 1;
        }
    }
    println!("{unit}: WebSocket closed after {echoed} messages");
}
