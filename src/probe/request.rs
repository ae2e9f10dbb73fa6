//! Sends one probe: a request on a connection of its own.

use std::{error::Error, io, time::Duration};

use computing_unit_api::{ProbeMethod, names::headers};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::Empty;
use hyper::body::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::{
    Request,
    outcome::{Inconclusive, Outcome, outcome},
    pacing::{CONNECT_TIMEOUT, PROBE_TIMEOUT},
    question::Question,
    tls,
};
use crate::{
    gateway::proxies::Proxy,
    http1::{self, Connection, describe},
};

#[derive(Clone)]
pub(super) struct ProbeClient {
    tls: TlsConnector,
}

impl ProbeClient {
    pub(super) fn new() -> Self {
        Self { tls: tls::connector() }
    }

    /// Probes `proxy` for the unit `uid`.
    pub(super) async fn probe(&self, proxy: &Proxy, uid: &str, request: &Request, question: Question<'_>) -> Outcome {
        let exchange = timeout(PROBE_TIMEOUT, self.exchange(proxy, uid, request, question)).await;
        exchange
            .unwrap_or_else(|_| Err(Inconclusive::NoResponse(timed_out(PROBE_TIMEOUT))))
            .unwrap_or_else(Outcome::Inconclusive)
    }

    async fn exchange(
        &self,
        proxy: &Proxy,
        uid: &str,
        request: &Request,
        question: Question<'_>,
    ) -> Result<Outcome, Inconclusive> {
        let message =
            message(proxy, uid, request, question).map_err(|error| Inconclusive::NoResponse(error.to_string()))?;
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect((proxy.address.as_str(), proxy.port)))
            .await
            .map_err(|_| Inconclusive::NoConnection(timed_out(CONNECT_TIMEOUT)))?
            .map_err(|error| Inconclusive::NoConnection(describe(&error)))?;
        // Nothing is read after the head of the response. A reset leaves no connection in TIME_WAIT; those of all probes
        // could use up the ports of the operator. If the option cannot be set, they accumulate.
        let _ = stream.set_zero_linger();
        let response = if proxy.tls {
            let name = proxy.name.as_deref().unwrap_or(&proxy.address).to_owned();
            let name = ServerName::try_from(name).map_err(|error| Inconclusive::NoResponse(error.to_string()))?;
            let stream = self.tls.connect(name, stream).await;
            send(stream.map_err(|error| Inconclusive::Closed(describe(&error)))?, message).await
        } else {
            send(stream, message).await
        };
        let (status, headers) = response.map_err(|error| failure(&error))?;
        Ok(outcome(question, uid, status, &headers))
    }
}

fn failure(error: &hyper::Error) -> Inconclusive {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let text = io.map_or_else(|| error.to_string(), describe);
    // With TLS 1.3 a missing client certificate is reported after the handshake.
    if error.is_incomplete_message() || io.is_some() {
        Inconclusive::Closed(text)
    } else {
        Inconclusive::NoResponse(text)
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    message: http::Request<Empty<Bytes>>,
) -> hyper::Result<(StatusCode, HeaderMap)> {
    let (head, _) = Connection::over(stream).await?.send(message).await?.into_parts();
    Ok((head.status, head.headers))
}

/// The request of a probe. Only a probe of a guarded route has the guard header.
fn message(
    proxy: &Proxy,
    uid: &str,
    request: &Request,
    question: Question<'_>,
) -> http::Result<http::Request<Empty<Bytes>>> {
    let method = match request.method {
        ProbeMethod::Head => Method::HEAD,
        ProbeMethod::Get => Method::GET,
        ProbeMethod::Options => Method::OPTIONS,
    };
    let host = proxy.name.clone().unwrap_or_else(|| proxy.to_string());
    let mut message = http1::request(method, &request.path_and_query, &host).header(headers::PROBE, uid);
    if question != Question::Open {
        message = message.header(headers::GUARD, uid);
    }
    message.body(Empty::new())
}

fn timed_out(limit: Duration) -> String {
    format!("timed out after {} ms", limit.as_millis())
}
