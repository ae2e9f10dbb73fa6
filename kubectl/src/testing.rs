//! Test objects, and a mocked API server.

use std::{future::Future, time::Duration};

use http::{Request, Response};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower_test::mock::{Handle, SendResponse, pair};

use crate::{connection::Connection, explain::Target};

/// Target of the tests.
pub const TARGET: Target<'_> = Target { name: "ada", namespace: "team", server: "https://k:6443", flags: "" };

/// A new unit `ada` with that status.
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

/// A new unit of that name.
pub fn named(name: &str, status: Value) -> Value {
    let mut unit = unit(status);
    unit["metadata"]["name"] = json!(name);
    unit["metadata"]["uid"] = json!(format!("uid-{name}"));
    unit
}

/// A condition of the first generation.
pub fn condition(type_: &str, status: &str, reason: &str) -> Value {
    json!({
        "type": type_, "status": status, "reason": reason, "message": format!("about {reason}"),
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
    })
}

/// A mocked API server.
pub struct Server(Handle<Request<Body>, Response<Body>>);

/// A connection for the namespace `team`, and its server.
pub fn server() -> (Connection, Server) {
    let (service, handle) = pair();
    let client = Client::new(service, "team");
    let connection = Connection {
        client,
        namespace: TARGET.namespace.to_owned(),
        server: TARGET.server.to_owned(),
        flags: String::new(),
        request_timeout: Duration::ZERO,
    };
    (connection, Server(handle))
}

impl Server {
    /// The next request as method and URI, and the handle for its response.
    pub async fn next(&mut self) -> (String, SendResponse<Response<Body>>) {
        let (request, response) = self.0.next_request().await.expect("a request");
        (format!("{} {}", request.method(), request.uri()), response)
    }

    /// Responds to the next request, which must start with `expected`.
    pub async fn answer(&mut self, expected: &str, code: u16, body: &str) {
        let (request, response) = self.next().await;
        assert!(request.starts_with(expected), "{request} instead of {expected}");
        let body = Body::from(body.as_bytes().to_vec());
        response.send_response(Response::builder().status(code).body(body).unwrap());
    }

    /// Responds to the list request of a watch.
    pub async fn list(&mut self, units: &[Value]) {
        let list = json!({
            "apiVersion": "texera.apache.org/v1alpha1", "kind": "ComputingUnitList",
            "metadata": {"resourceVersion": "1"}, "items": units,
        });
        let request =
            "GET /apis/texera.apache.org/v1alpha1/namespaces/team/computingunits?&fieldSelector=metadata.name";
        self.answer(request, 200, &list.to_string()).await;
    }

    /// Responds to the list request of a watch of all units.
    pub async fn list_all(&mut self, units: &[Value]) {
        let list = json!({
            "apiVersion": "texera.apache.org/v1alpha1", "kind": "ComputingUnitList",
            "metadata": {"resourceVersion": "1"}, "items": units,
        });
        let request = "GET /apis/texera.apache.org/v1alpha1/namespaces/team/computingunits?";
        self.answer(request, 200, &list.to_string()).await;
    }

    /// Responds to a watch with these events, and ends it.
    pub async fn watch(&mut self, events: &[(&str, Value)]) {
        let lines: Vec<_> =
            events.iter().map(|(type_, object)| json!({"type": type_, "object": object}).to_string() + "\n").collect();
        let request = "GET /apis/texera.apache.org/v1alpha1/namespaces/team/computingunits?&watch=true";
        self.answer(request, 200, &lines.concat()).await;
    }
}

/// Runs the client and the server to completion.
pub async fn together<T>(client: impl Future<Output = T>, server: impl Future<Output = ()>) -> T {
    let both = async { tokio::join!(client, server).0 };
    tokio::time::timeout(Duration::from_hours(1), both).await.expect("both complete")
}
