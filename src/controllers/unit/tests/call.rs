//! A request that the mocked API server receives, and how a test describes one.

use http::{Method, StatusCode};
use kube::core::Status;
use serde_json::{Value, json};

pub const PODS: &str = "/api/v1/namespaces/units/pods";
pub const SERVICES: &str = "/api/v1/namespaces/units/services";
pub const PVCS: &str = "/api/v1/namespaces/units/persistentvolumeclaims";
pub const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/units/httproutes";
pub const UNITS: &str = "/apis/texera.apache.org/v1alpha1/namespaces/units/computingunits";
pub const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/units/events";

pub const DRY_RUN: &str = "?dryRun=All";

const JSON: &str = "application/json";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// What the API server answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It carries the request out.
    Done,
    Fails(Box<Status>),
    /// The connection stays open, without a response.
    Hangs,
    /// The connection breaks.
    Disconnects,
    /// It returns this object, whatever the request.
    Returns(Value),
}

/// A request that was received.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub content_type: String,
    pub body: Value,
}

/// A request that a test expects.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    path: String,
    content_type: Option<&'static str>,
    /// The essential part of the body.
    body: Value,
    pub answer: Answer,
}

impl Call {
    fn new(method: Method, path: String, content_type: Option<&'static str>) -> Self {
        Self { method, path, content_type, body: Value::Null, answer: Answer::Done }
    }

    /// The body contains that.
    pub fn with(mut self, body: Value) -> Self {
        self.body = body;
        self
    }

    pub fn answered(mut self, answer: Answer) -> Self {
        self.answer = answer;
        self
    }

    pub fn matches(&self, received: &Received) -> bool {
        // An Event that repeats is a patch of the first.
        let repeated = self.path == EVENTS
            && self.method == Method::POST
            && received.method == Method::PATCH
            && received.path.starts_with(EVENTS);
        let target = self.method == received.method && self.path == received.path;
        (target || repeated) && contains(&received.body, &self.body) && self.is_of_type(received)
    }

    fn is_of_type(&self, received: &Received) -> bool {
        self.content_type.is_none_or(|wanted| received.content_type == wanted)
    }
}

pub fn create(collection: &str) -> Call {
    Call::new(Method::POST, collection.to_owned(), Some(JSON))
}

/// A create that stores nothing.
pub fn dry_run(collection: &str) -> Call {
    Call::new(Method::POST, format!("{collection}{DRY_RUN}"), Some(JSON))
}

pub fn read(collection: &str) -> Call {
    Call::new(Method::GET, format!("{collection}/ada"), None)
}

/// A JSON patch.
pub fn patch(collection: &str) -> Call {
    Call::new(Method::PATCH, format!("{collection}/ada"), Some(JSON_PATCH))
}

/// A JSON patch of the pod's subresource `resize`.
pub fn resize() -> Call {
    Call::new(Method::PATCH, format!("{PODS}/ada/resize"), Some(JSON_PATCH))
}

pub fn delete(collection: &str) -> Call {
    Call::new(Method::DELETE, format!("{collection}/ada"), Some(JSON))
}

/// A delete of the object with that UID.
pub fn delete_only(collection: &str, uid: &str) -> Call {
    delete(collection).with(json!({"preconditions": {"uid": uid}}))
}

/// A merge patch of the unit.
pub fn merge() -> Call {
    Call::new(Method::PATCH, format!("{UNITS}/ada"), Some(MERGE_PATCH))
}

/// A merge patch that sets the finalizers of the unit.
pub fn finalizers(wanted: &[&str]) -> Call {
    merge().with(json!({"metadata": {"uid": "ada-uid", "finalizers": wanted}}))
}

/// A status of the unit with that phase.
pub fn status(phase: &str) -> Call {
    publication().with(json!({"metadata": {"uid": "ada-uid"}, "status": {"phase": phase}}))
}

/// Any status of the unit.
pub fn publication() -> Call {
    Call::new(Method::PATCH, format!("{UNITS}/ada/status"), Some(APPLY_PATCH))
}

/// An Event about the unit.
pub fn event(reason: &str) -> Call {
    events().with(json!({"reason": reason, "regarding": {"kind": "ComputingUnit", "name": "ada"}}))
}

/// A list of Events.
pub fn list_events() -> Call {
    Call::new(Method::GET, EVENTS.to_owned(), None)
}

/// Any Event.
pub fn events() -> Call {
    Call::new(Method::POST, EVENTS.to_owned(), None)
}

/// An error of the API server, as it words them.
pub fn error(code: u16) -> Answer {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        422 => "Invalid",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    Answer::Fails(Box::new(Status::failure(&format!("the words of the API server: {code}"), reason).with_code(code)))
}

pub fn already_exists() -> Answer {
    Answer::Fails(Box::new(Status::failure("\"ada\" already exists", "AlreadyExists").with_code(409)))
}

/// The response to a request for an object that does not exist. That for a resource that is not served names none.
pub fn missing(path: &str) -> Status {
    let name = path.rsplit('/').next().unwrap_or_default();
    let details = serde_json::from_value(json!({"name": name})).unwrap();
    Status::failure(&format!("{name:?} not found"), "NotFound").with_code(404).with_details(details)
}

/// The response to a JSON patch whose `test` fails. It names no object.
pub fn failed_test() -> Status {
    let message = "the server rejected our request due to an error in our request";
    Status::failure(message, "Invalid").with_code(422)
}

/// Status code and body of an error.
pub fn failure(status: &Status) -> (StatusCode, Value) {
    (StatusCode::from_u16(status.code).unwrap(), json!(status))
}

/// Whether `whole` has everything that `part` has. In a JSON patch that is each of the operations.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (_, Value::Null) => true,
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) if part.first().is_some_and(Value::is_object) => {
            part.iter().all(|part| whole.iter().any(|whole| contains(whole, part)))
        }
        _ => whole == part,
    }
}
