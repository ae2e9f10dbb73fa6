//! Which request gets which answer. The content of an answer is decided in `answer` and `export`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Query, Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use futures::{SinkExt, StreamExt};

use crate::answer::{Answer, Part};
use crate::export::Export;

/// The response header that says which unit has answered.
const ENGINE: HeaderName = HeaderName::from_static("x-engine");

/// What the answers depend on besides their requests.
pub struct Engine {
    unit: String,
    draining: AtomicBool,
}

impl Engine {
    /// An engine of that name, which takes work.
    pub fn new(unit: String) -> Self {
        Self { unit, draining: AtomicBool::new(false) }
    }

    /// The name that every answer carries.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// From now on health checks fail, and HTTP/1.1 connections end with their next answer.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// Answers every path: a gateway decides what arrives here, and tests want to see what did.
pub fn router(engine: Arc<Engine>) -> Router {
    Router::new().fallback(respond).with_state(engine)
}

async fn respond(State(engine): State<Arc<Engine>>, request: Request) -> Response {
    let (mut request, _) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut request, &()).await;
    let mut response = match (Part::of(request.uri.path()), upgrade) {
        (Part::Health, _) if engine.draining() => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        (Part::Workflow, Ok(upgrade)) => {
            let unit = engine.unit.clone();
            upgrade.on_upgrade(move |socket| echo(socket, unit))
        }
        (Part::Export, _) => export(&engine, &request),
        _ => json(&engine, &request),
    };
    if let Ok(unit) = HeaderValue::from_str(&engine.unit) {
        response.headers_mut().insert(ENGINE, unit);
    }
    if engine.draining() && request.version == Version::HTTP_11 && response.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn json(engine: &Engine, request: &Parts) -> Response {
    axum::Json(Answer::new(&engine.unit, request)).into_response()
}

fn export(engine: &Engine, request: &Parts) -> Response {
    match Query::<Export>::try_from_uri(&request.uri) {
        Ok(Query(export)) => ([(CONTENT_TYPE, "text/plain")], export.body(&engine.unit)).into_response(),
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
