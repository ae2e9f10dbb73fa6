//! Health and metrics over HTTP: `/livez`, `/readyz`, `/metrics`.
//!
//! A process is ready while all its readiness gates are open. The components open and close them. Problems that do not make
//! it unready, such as those of one namespace, are details of `/readyz`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    http_server::{self, Limits},
    metrics::Metrics,
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The readiness gates and the problems of this process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Gates(Arc<Mutex<Health>>);

#[derive(Debug, Default)]
struct Health {
    closed: BTreeSet<&'static str>,
    problems: BTreeMap<String, String>,
}

impl Gates {
    /// Makes the process not ready until the gate is opened. `/readyz` shows the name.
    pub fn close(&self, name: &'static str) {
        self.0.lock().closed.insert(name);
    }

    pub fn open(&self, name: &'static str) {
        self.0.lock().closed.remove(name);
    }

    /// Reports a problem of `subject` in the details of `/readyz`, or that it has none any more.
    pub fn report(&self, subject: &str, problem: Option<String>) {
        let problems = &mut self.0.lock().problems;
        match problem {
            Some(problem) => drop(problems.insert(subject.to_owned(), problem)),
            None => drop(problems.remove(subject)),
        }
    }

    /// Sorted by name.
    pub fn closed(&self) -> Vec<&'static str> {
        self.0.lock().closed.iter().copied().collect()
    }

    /// Sorted by subject, a line each.
    pub fn problems(&self) -> Vec<String> {
        self.0.lock().problems.iter().map(|(subject, problem)| format!("{subject}: {problem}")).collect()
    }
}

/// The kubelet and Prometheus need few connections. The limits keep other clients from delaying them.
const LIMITS: Limits = Limits {
    connections: 64,
    connections_per_address: 8,
    header_timeout: Duration::from_secs(5),
    lifetime: Some(Duration::from_secs(30)),
};

/// Serves requests until `stop`.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>, gates: Gates, stop: CancellationToken) {
    let routes = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready).with_state(gates))
        .route("/metrics", get(text).with_state(metrics));
    http_server::serve(listener, routes, LIMITS, stop).await;
}

async fn ready(State(gates): State<Gates>) -> (StatusCode, String) {
    let (status, line) = match gates.closed() {
        closed if closed.is_empty() => (StatusCode::OK, "ok".to_owned()),
        closed => (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for: {}", closed.join(", "))),
    };
    let lines = [line].into_iter().chain(gates.problems());
    (status, lines.map(|line| line + "\n").collect())
}

async fn text(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;
    use crate::listen::bind;

    async fn answer(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn process_is_ready_when_every_gate_is_open() {
        let listener = bind("--http-address", (Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (gates, stop) = (Gates::default(), CancellationToken::new());
        gates.close("caches");
        gates.close("crds");
        let serving = tokio::spawn(serve(listener, Arc::default(), gates.clone(), stop.clone()));

        let refused = answer(address, "/readyz").await;
        assert!(refused.starts_with("HTTP/1.1 503") && refused.ends_with("waiting for: caches, crds\n"), "{refused}");
        gates.open("crds");
        assert!(answer(address, "/readyz").await.ends_with("waiting for: caches\n"));
        gates.open("caches");
        assert!(answer(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(answer(address, "/livez").await.starts_with("HTTP/1.1 200"));
        gates.report("units of namespace a", Some("not listed: pods".to_owned()));
        let ready = answer(address, "/readyz").await;
        assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
        assert!(ready.ends_with("\r\n\r\nok\nunits of namespace a: not listed: pods\n"), "{ready}");
        gates.report("units of namespace a", None);
        assert!(answer(address, "/readyz").await.ends_with("ok\n"));
        let metrics = answer(address, "/metrics").await;
        assert!(metrics.contains(OPEN_METRICS) && metrics.contains("computing_unit_operator_leader 0"), "{metrics}");

        stop.cancel();
        serving.await.unwrap();
    }
}
