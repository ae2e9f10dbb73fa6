//! Which request gets which answer. The content of an answer is decided in `answer` and `export`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Query, Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use futures::future::ready;
use futures::{SinkExt, StreamExt, TryStreamExt};
use serde::Deserialize;

use crate::answer::{Answer, Part};
use crate::busy::{Busy, Told};
use crate::export::{Export, Wanted};

/// The response header that says which unit has answered.
const ENGINE: HeaderName = HeaderName::from_static("x-engine");

/// What the answers depend on besides their requests.
pub struct Engine {
    unit: String,
    export: Export,
    page: Option<String>,
    healthy: AtomicBool,
    busy: Mutex<Busy>,
    draining: AtomicBool,
}

impl Engine {
    /// A healthy engine of that name, with its usual export, and with a page for whatever is no part of an engine.
    pub fn new(unit: String, export: Export, page: Option<String>) -> Self {
        let (healthy, draining) = (AtomicBool::new(true), AtomicBool::new(false));
        Self { unit, export, page, healthy, busy: Mutex::default(), draining }
    }

    /// The name that every answer carries.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Sets what health checks say from now on.
    pub fn set_healthy(&self, healthy: bool) {
        println!("{}: health checks {}", self.unit, if healthy { "succeed" } else { "fail" });
        self.healthy.store(healthy, Ordering::Relaxed);
    }

    /// From now on health checks fail, and connections end with their next answer.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    fn healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed) && !self.draining()
    }

    fn json(&self, request: &Parts, received: u64) -> Response {
        axum::Json(Answer::new(&self.unit, self.healthy(), request, received)).into_response()
    }
}

/// Answers every path: a gateway decides what arrives here, and tests want to see what did.
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
        (Part::Other, _)
            if let Some(page) = &engine.page
                && request.method == Method::GET =>
        {
            Html(page.clone()).into_response()
        }
        _ => match received(body).await {
            Ok(bytes) => engine.json(&request, bytes),
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

/// How many bytes a body has, however many they are: none is kept.
async fn received(body: Body) -> Result<u64, axum::Error> {
    let chunks = body.into_data_stream();
    chunks.try_fold(0, |sum, chunk| ready(Ok(sum + chunk.len() as u64))).await
}

/// What a POST to the health check says in its query.
#[derive(Deserialize)]
struct Health {
    healthy: bool,
}

fn health(engine: &Engine, request: &Parts) -> Response {
    if request.method == Method::POST {
        return match Query::<Health>::try_from_uri(&request.uri) {
            Ok(Query(health)) => {
                engine.set_healthy(health.healthy);
                engine.json(request, 0)
            }
            Err(rejection) => rejection.into_response(),
        };
    }
    let status = if engine.healthy() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, engine.json(request, 0)).into_response()
}

async fn busy(engine: &Engine, request: &Parts) -> Response {
    if request.method == Method::PUT {
        return match Query::<Told>::try_from_uri(&request.uri) {
            Ok(Query(told)) => {
                println!("{}: busy is answered with {:?}", engine.unit, told.answer);
                *engine.busy.lock().unwrap_or_else(PoisonError::into_inner) = told.answer;
                engine.json(request, 0)
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

/// Sends text and binary messages back until either side ends the connection.
async fn echo(socket: WebSocket, unit: String) {
    println!("{unit}: a WebSocket opens");
    let (mut outgoing, mut incoming) = socket.split();
    let mut echoed = 0_u64;
    while let Some(Ok(message)) = incoming.next().await {
        // Pings and close frames are answered by the connection itself.
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            if outgoing.send(message).await.is_err() {
                break;
            }
            echoed += 1;
        }
    }
    println!("{unit}: a WebSocket ends after {echoed} messages");
}
