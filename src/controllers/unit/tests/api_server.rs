//! A mocked API server: it keeps objects in memory, carries out what the operator writes, and fails where a test wants.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::Arc,
};

use computing_unit_api::names::FINALIZER;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use k8s_openapi::jiff::Timestamp;
use kube::{Client, client::Body, core::Status};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::call::{
    Answer, Call, DRY_RUN, EVENTS, Received, UNITS, already_exists, error, failed_test, failure, missing,
};

/// Shared by the client and the test.
#[derive(Clone, Default)]
pub struct ApiServer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By path.
    objects: BTreeMap<String, Value>,
    version: u64,
    admission: Option<fn(&str, &mut Value)>,
    /// The requests to come. If there are none, every request is accepted.
    script: Option<VecDeque<Call>>,
    /// Requests that were not expected.
    unexpected: Vec<String>,
    /// Answers to every request of a kind.
    faults: Vec<Call>,
    received: Vec<Received>,
}

impl ApiServer {
    pub fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { server.serve(request).await }
        });
        Client::new(service, "default")
    }

    /// Expects those requests, in this order, and no others.
    pub fn expect(&self, calls: Vec<Call>) {
        self.0.lock().script = Some(calls.into());
    }

    /// Fails if a request was not expected, or an expected one did not come. Accepts every request from now on.
    pub fn verify(&self) {
        let mut state = self.0.lock();
        let missing = state.script.take().unwrap_or_default();
        let unexpected = std::mem::take(&mut state.unexpected);
        assert!(missing.is_empty() && unexpected.is_empty(), "unexpected: {unexpected:#?}\nmissing: {missing:#?}");
    }

    /// Answers every request of a kind like this.
    pub fn fault(&self, call: Call) {
        self.0.lock().faults.push(call);
    }

    /// A policy that changes each object that is created or patched. It gets the path of the object.
    pub fn admission(&self, policy: fn(&str, &mut Value)) {
        self.0.lock().admission = Some(policy);
    }

    pub fn no_faults(&self) {
        self.0.lock().faults.clear();
    }

    /// How many requests of a kind were received.
    pub fn count(&self, call: &Call) -> usize {
        self.0.lock().received.iter().filter(|received| call.matches(received)).count()
    }

    /// How many writes were received, without Events.
    pub fn writes(&self) -> usize {
        let state = self.0.lock();
        state
            .received
            .iter()
            .filter(|received| received.method != Method::GET && !received.path.starts_with(EVENTS))
            .count()
    }

    /// Stores an object as a new version.
    pub fn put(&self, collection: &str, object: Value) {
        self.0.lock().store(&path(collection, &object), object);
    }

    /// The latest version of any object.
    pub fn version(&self) -> u64 {
        self.0.lock().version
    }

    pub fn remove(&self, collection: &str, name: &str) {
        let mut state = self.0.lock();
        state.version += 1;
        state.objects.remove(&format!("{collection}/{name}"));
    }

    pub fn get(&self, collection: &str, name: &str) -> Option<Value> {
        self.0.lock().objects.get(&format!("{collection}/{name}")).cloned()
    }

    /// Changes an object.
    pub fn edit(&self, collection: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(collection, "ada").unwrap();
        change(&mut object);
        self.put(collection, object);
    }

    pub fn list(&self, collection: &str) -> Vec<Value> {
        let prefix = format!("{collection}/");
        let state = self.0.lock();
        state.objects.iter().filter(|(path, _)| path.starts_with(&prefix)).map(|(_, object)| object.clone()).collect()
    }

    async fn serve(self, request: Request<Body>) -> io::Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let content_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok());
        let received = Received {
            method: parts.method,
            path: received_path(&parts.uri),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            content_type: content_type.unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        };
        let (code, body) = match self.answer(&received) {
            Answer::Hangs => std::future::pending().await,
            Answer::Disconnects => return Err(io::ErrorKind::ConnectionReset.into()),
            Answer::Fails(status) => failure(&status),
            Answer::Returns(object) => (StatusCode::OK, object),
            Answer::Done => match self.0.lock().carry_out(&received) {
                Ok(object) => (StatusCode::OK, object),
                Err(status) => failure(&status),
            },
        };
        Ok(Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap())
    }

    fn answer(&self, received: &Received) -> Answer {
        let mut state = self.0.lock();
        state.received.push(received.clone());
        if let Some(fault) = state.faults.iter().find(|fault| fault.matches(received)) {
            return fault.answer.clone();
        }
        let Some(script) = &mut state.script else { return Answer::Done };
        if script.front().is_some_and(|next| next.matches(received)) {
            return script.pop_front().unwrap().answer;
        }
        let Received { method, path, content_type, body, .. } = received;
        state.unexpected.push(format!("{method} {path} ({content_type}) {body}"));
        error(500)
    }
}

type Result<T> = std::result::Result<T, Box<Status>>;

fn refused(answer: Answer) -> Box<Status> {
    let Answer::Fails(status) = answer else { unreachable!("only errors are refusals") };
    status
}

impl State {
    fn carry_out(&mut self, received: &Received) -> Result<Value> {
        let Received { method, path, query, content_type, body } = received;
        if path == EVENTS && *method == Method::GET {
            return Ok(self.list_events(query));
        }
        if path.starts_with(EVENTS) {
            return Ok(body.clone());
        }
        if path.ends_with(DRY_RUN) {
            return Ok(body.clone());
        }
        if *method == Method::POST {
            return self.create(path, body.clone());
        }
        let name = path.strip_suffix("/status").or_else(|| path.strip_suffix("/resize")).unwrap_or(path);
        let mut object = self.objects.get(name).cloned().ok_or_else(|| Box::new(missing(name)))?;
        match (method, content_type.as_str()) {
            (&Method::GET, _) => return Ok(object),
            (&Method::DELETE, _) => return self.delete(path, object, &body["preconditions"]),
            (_, "application/json-patch+json") => {
                let patch: json_patch::Patch = serde_json::from_value(body.clone()).unwrap();
                json_patch::patch(&mut object, &patch).map_err(|_| Box::new(failed_test()))?;
            }
            (_, "application/merge-patch+json") => {
                check(&object, &body["metadata"])?;
                json_patch::merge(&mut object, body);
            }
            _ => {
                check(&object, &body["metadata"])?;
                object["status"] = body["status"].clone();
            }
        }
        if !path.ends_with("/status") {
            self.admit(name, &mut object);
        }
        self.store(name, object.clone());
        let finalizers = object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty());
        if path.starts_with(UNITS) && !object["metadata"]["deletionTimestamp"].is_null() && !finalizers {
            self.version += 1;
            self.objects.remove(name);
        }
        Ok(self.objects.get(name).cloned().unwrap_or(object))
    }

    fn create(&mut self, collection: &str, mut object: Value) -> Result<Value> {
        let path = path(collection, &object);
        if self.objects.contains_key(&path) {
            return Err(refused(already_exists()));
        }
        let plural = collection.rsplit('/').next().unwrap();
        object["metadata"]["uid"] = json!(format!("{plural}-{}", self.version + 1));
        object["metadata"]["creationTimestamp"] = json!(now());
        self.admit(&path, &mut object);
        self.store(&path, object);
        Ok(self.objects[&path].clone())
    }

    /// The Events about the object whose UID is selected.
    fn list_events(&self, query: &str) -> Value {
        let all = self.objects.iter().filter(|(path, _)| path.starts_with(EVENTS)).map(|(_, event)| event);
        let selected = |event: &&Value| {
            let uid = event["regarding"]["uid"].as_str().unwrap_or_default();
            query.split('&').any(|parameter| parameter == format!("fieldSelector=regarding.uid%3D{uid}"))
        };
        let items: Vec<_> = all.filter(selected).collect();
        json!({"apiVersion": "events.k8s.io/v1", "kind": "EventList", "metadata": {}, "items": items})
    }

    /// A pod goes when its kubelet has stopped it, and a unit when its finalizer is removed.
    fn delete(&mut self, path: &str, mut object: Value, only: &Value) -> Result<Value> {
        check(&object, only)?;
        let held = object["metadata"]["finalizers"].as_array().is_some_and(|all| all.contains(&json!(FINALIZER)));
        if held || object["kind"] == "Pod" {
            object["metadata"]["deletionTimestamp"] = json!(now());
            self.store(path, object);
            return Ok(self.objects[path].clone());
        }
        self.version += 1;
        self.objects.remove(path);
        Ok(json!({"apiVersion": "v1", "kind": "Status", "status": "Success"}))
    }

    fn admit(&self, path: &str, object: &mut Value) {
        if let Some(policy) = self.admission {
            policy(path, object);
        }
    }

    fn store(&mut self, path: &str, mut object: Value) {
        self.version += 1;
        let generation = object["metadata"]["generation"].as_i64().unwrap_or(1);
        let changed = self.objects.get(path).is_some_and(|before| before["spec"] != object["spec"]);
        object["metadata"]["generation"] = json!(generation + i64::from(changed));
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(path.to_owned(), object);
    }
}

/// Checks the UID and the version that a request requires, if any.
fn check(object: &Value, required: &Value) -> Result<()> {
    let same = |field: &str| required[field].is_null() || required[field] == object["metadata"][field];
    if same("uid") && same("resourceVersion") { Ok(()) } else { Err(refused(error(409))) }
}

fn path(collection: &str, object: &Value) -> String {
    format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap_or_default())
}

/// The path of a request, marked if the request is a dry run.
fn received_path(uri: &http::Uri) -> String {
    let dry_run = uri.query().is_some_and(|query| query.contains(&DRY_RUN[1..]));
    format!("{}{}", uri.path(), if dry_run { DRY_RUN } else { "" })
}

/// In the resolution of the API server.
pub fn now() -> String {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap().to_string()
}
