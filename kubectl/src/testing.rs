//! Units, and an API server that answers what a test says.

use std::{future::Future, time::Duration};

use http::{Request, Response};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower_test::mock::{Handle, SendResponse, pair};

use crate::{connection::Connection, refusal::Asked};

/// What the tests ask for.
pub const ASKED: Asked<'_> = Asked { name: "ada", namespace: "team", server: "https://k:6443" };

/// The unit `ada`, just created, with that status.
pub fn unit(status: Value) -> Value {
    let mut unit = json!({
        "apiVersion": "texera.apache.org/v1alpha1", "kind": "ComputingUnit",
        "metadata": {"name": "ada", "namespace": "team", "uid": "u1", "resourceVersion": "1", "generation": 1},
        "spec": {"poolName": "default"},
    });
    if !status.is_null() {
        unit["status"] = status;
    }
    unit
}

/// A condition of the first generation.
pub fn condition(type_: &str, status: &str, reason: &str) -> Value {
    json!({
        "type": type_, "status": status, "reason": reason, "message": format!("about {reason}"),
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
    })
}

/// An API server that answers as it is told.
pub struct Server(Handle<Request<Body>, Response<Body>>);

/// A way to the units of the namespace `team`, and the server that has them.
pub fn server() -> (Connection, Server) {
    let (service, handle) = pair();
    let client = Client::new(service, "team");
    let connection = Connection {
        client,
        namespace: ASKED.namespace.to_owned(),
        server: ASKED.server.to_owned(),
        limit: Duration::ZERO,
    };
    (connection, Server(handle))
}

impl Server {
    /// The next request, as method and path with its query, and a way to answer it.
    pub async fn asked(&mut self) -> (String, SendResponse<Response<Body>>) {
        let (request, answer) = self.0.next_request().await.expect("a request");
        (format!("{} {}", request.method(), request.uri()), answer)
    }

    /// Answers the next request, which has to begin like that.
    pub async fn answer(&mut self, request: &str, code: u16, body: &str) {
        let (asked, answer) = self.asked().await;
        assert!(asked.starts_with(request), "{asked} instead of {request}");
        let body = Body::from(body.as_bytes().to_vec());
        answer.send_response(Response::builder().status(code).body(body).unwrap());
    }

    /// Answers the list that begins a watch.
    pub async fn list(&mut self, units: &[Value]) {
        let list = json!({
            "apiVersion": "texera.apache.org/v1alpha1", "kind": "ComputingUnitList",
            "metadata": {"resourceVersion": "1"}, "items": units,
        });
        let request =
            "GET /apis/texera.apache.org/v1alpha1/namespaces/team/computingunits?&fieldSelector=metadata.name";
        self.answer(request, 200, &list.to_string()).await;
    }

    /// Answers a watch with these events, and ends it.
    pub async fn watch(&mut self, events: &[(&str, Value)]) {
        let lines: Vec<_> =
            events.iter().map(|(type_, object)| json!({"type": type_, "object": object}).to_string() + "\n").collect();
        let request = "GET /apis/texera.apache.org/v1alpha1/namespaces/team/computingunits?&watch=true";
        self.answer(request, 200, &lines.concat()).await;
    }
}

/// Runs both to their ends; neither may hang.
pub async fn together<T>(client: impl Future<Output = T>, server: impl Future<Output = ()>) -> T {
    let both = async { tokio::join!(client, server).0 };
    tokio::time::timeout(Duration::from_hours(1), both).await.expect("both end")
}
