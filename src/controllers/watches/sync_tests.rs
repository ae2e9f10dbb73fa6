//! Scopes that cannot be listed, against a mocked API server.

use std::{collections::HashMap, convert::Infallible};

use computing_unit_api::ComputingUnitStatus;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Duration, Instant, timeout},
};

use super::*;
use crate::{
    controllers::watches,
    k8s::{caches::GRACE, watch::WatchReporter},
    routing::keys::Holder,
    testing,
};

/// How the API server answers requests in a namespace.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Lists,
    Forbidden,
    /// Only units are listed. Everything else is forbidden: the Role in the namespace is deleted.
    UnitsOnly,
    Hangs,
    NotServed,
}

/// Objects by namespace and resource.
type Objects = HashMap<(String, String), Vec<Value>>;

/// The answers by namespace, and the objects.
#[derive(Clone, Default)]
struct Server {
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    objects: Arc<Mutex<Objects>>,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                if request.method() == Method::POST && request.uri().path().ends_with("/events") {
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    server.events.lock().push(serde_json::from_slice(&body).unwrap());
                    return Ok(Response::new(Body::from(body.to_vec())));
                }
                let answer = server.answer(&request);
                match answer {
                    Some((status, body)) => {
                        let body = Body::from(body.to_string().into_bytes());
                        Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
                    }
                    None => std::future::pending().await,
                }
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, request: &Request<Body>) -> Option<(StatusCode, Value)> {
        let path: Vec<_> = request.uri().path().split('/').collect();
        let resource = (*path.last().unwrap()).to_owned();
        let namespace = path.iter().position(|part| *part == "namespaces").map_or("", |at| path[at + 1]).to_owned();
        let failure = |status: StatusCode| json!({"kind": "Status", "status": "Failure", "code": status.as_u16(), "message": "no", "reason": "Forbidden"});
        match self.answers.lock().get(&namespace).copied().unwrap_or(Answer::Lists) {
            Answer::Hangs => return None,
            Answer::UnitsOnly if resource == "computingunits" => {}
            Answer::Forbidden | Answer::UnitsOnly => {
                return Some((StatusCode::FORBIDDEN, failure(StatusCode::FORBIDDEN)));
            }
            Answer::NotServed => return Some((StatusCode::NOT_FOUND, failure(StatusCode::NOT_FOUND))),
            Answer::Lists => {}
        }
        if request.uri().query().is_some_and(|query| query.contains("watch=true")) {
            return None;
        }
        let items = self.objects.lock().get(&(namespace, resource)).cloned().unwrap_or_default();
        Some((StatusCode::OK, json!({"kind": "List", "metadata": {"resourceVersion": "1"}, "items": items})))
    }

    fn set(&self, namespace: &str, answer: Answer) {
        self.answers.lock().insert(namespace.to_owned(), answer);
    }

    fn put(&self, resource: &str, object: Value) {
        let namespace = object["metadata"]["namespace"].as_str().unwrap().to_owned();
        self.objects.lock().entry((namespace, resource.to_owned())).or_default().push(object);
    }

    /// A unit of a pool on the Gateway in `gateways`.
    fn unit(&self, namespace: &str, gateways: &str) {
        let mut pool = json!(pool(namespace));
        pool["spec"]["gatewayRef"]["namespace"] = json!(gateways);
        self.put("computingunitpools", pool);
        self.put("computingunits", json!(unit(namespace)));
    }
}

/// A unit that holds its key.
fn unit(namespace: &str) -> ComputingUnit {
    let cuid = namespace.bytes().map(i64::from).sum();
    let mut unit = testing::unit("ada", Some(cuid), "2026-01-01T00:00:00Z");
    unit.metadata.namespace = Some(namespace.to_owned());
    unit.metadata.uid = Some(format!("{namespace}-uid"));
    let held_key = Some(RoutingKey::new(&unit, &pool(namespace)).to_string());
    unit.status = Some(ComputingUnitStatus { held_key, ..ComputingUnitStatus::default() });
    unit
}

fn pool(namespace: &str) -> ComputingUnitPool {
    let mut pool = testing::pool(testing::query_routing());
    pool.metadata.namespace = Some(namespace.to_owned());
    pool.spec.gateway_ref.namespace = "g".to_owned();
    pool
}

/// Lets the paused clock advance, with everything that is due until then.
async fn pass(time: Duration) {
    tokio::time::sleep_until(Instant::now() + time).await;
}

/// Running watches of the namespaces `a` and `b`, and of the Gateways in `g` and `h`.
struct Fixture {
    context: Arc<UnitContext>,
    gates: Gates,
    started: Instant,
    _tasks: JoinSet<()>,
}

impl Fixture {
    fn start(server: &Server) -> Self {
        let names = |names: [&str; 2]| names.map(|name| Some(name.to_owned()));
        let client = server.client();
        let (context, _) = testing::context(client.clone(), &names(["a", "b"]), &names(["g", "h"]));
        let (context, gates, mut tasks) = (Arc::new(context), Gates::default(), JoinSet::new());
        let reporter = WatchReporter { metrics: context.metrics.clone(), gates: gates.clone() };
        let running = watches::start(&client, &context, &reporter, &mut tasks);
        tasks.spawn(sync(context.clone(), running, gates.clone()));
        Self { context, gates, started: Instant::now(), _tasks: tasks }
    }

    /// Waits until a namespace is listed. Returns how long that took.
    async fn synced(&self, namespace: &str) -> Duration {
        let mut synced = self.context.caches.scope(namespace).unwrap().synced.subscribe();
        let waiting = timeout(10 * GRACE, synced.wait_for(|synced| *synced));
        assert!(waiting.await.is_ok(), "{namespace}: {:?}", self.gates);
        self.started.elapsed()
    }

    /// Whether the unit of a namespace holds its key.
    fn holds(&self, namespace: &str) -> bool {
        let unit = unit(namespace);
        let key = RoutingKey::new(&unit, &pool(namespace));
        self.context.keys.reservation(&unit, key).holder == Holder::Unit
    }

    fn problems(&self) -> String {
        self.gates.problems().join("\n")
    }

    fn metric(&self, line: &str) -> bool {
        self.context.metrics.encode().unwrap().lines().any(|found| found == line)
    }
}

#[tokio::test(start_paused = true)]
async fn scopes_that_can_be_listed_are_admitted_at_once() {
    let server = Server::default();
    server.unit("b", "g");
    let fixture = Fixture::start(&server);
    assert!(fixture.synced("a").await < GRACE && fixture.synced("b").await < GRACE);
    assert!(fixture.gates.closed().is_empty() && fixture.problems().is_empty(), "{:?}", fixture.gates);
    assert!(fixture.context.synced(&unit("b")));
    assert!(fixture.holds("b"), "restored");
}

#[tokio::test(start_paused = true)]
async fn scope_that_cannot_be_listed_holds_up_its_own_units_only() {
    for answer in [Answer::Forbidden, Answer::Hangs] {
        let server = Server::default();
        server.unit("a", "g");
        server.unit("b", "g");
        server.set("b", answer);
        let fixture = Fixture::start(&server);
        assert!(fixture.synced("a").await >= GRACE, "{answer:?}: its units may hold keys");
        assert!(fixture.context.synced(&unit("a")) && !fixture.context.synced(&unit("b")), "{answer:?}");
        pass(Duration::from_millis(1)).await;
        assert!(fixture.gates.closed().is_empty(), "{answer:?}");
        assert!(fixture.problems().contains("units of namespace b: not listed: computingunits, "), "{answer:?}");
        assert!(!fixture.problems().contains("namespace a"), "{answer:?}: {}", fixture.problems());
        assert!(fixture.metric("computing_unit_operator_namespace_synced{namespace=\"a\",scope=\"units\"} 1"));
        assert!(fixture.metric("computing_unit_operator_namespace_synced{namespace=\"b\",scope=\"units\"} 0"));
        let failing = u8::from(answer == Answer::Forbidden);
        let failing = format!("computing_unit_operator_watches_failing{{namespace=\"b\",resource=\"pods\"}} {failing}");
        assert!(fixture.metric(&failing), "{failing}");
        if answer == Answer::Hangs {
            continue;
        }

        // Its keys are known before its units are reconciled.
        server.set("b", Answer::Lists);
        fixture.synced("b").await;
        assert!(fixture.holds("b"));
        assert!(fixture.problems().is_empty(), "{}", fixture.problems());
        assert!(fixture.metric("computing_unit_operator_watches_failing{namespace=\"b\",resource=\"pods\"} 0"));
    }
}

#[tokio::test(start_paused = true)]
async fn namespace_without_a_role_delays_nobody() {
    let server = Server::default();
    server.unit("b", "g");
    server.set("b", Answer::UnitsOnly);
    let fixture = Fixture::start(&server);
    assert!(fixture.synced("a").await < GRACE);
    assert!(fixture.holds("b"), "its units keep their keys");
    assert!(!*fixture.context.caches.scope("b").unwrap().synced.borrow());
}

#[tokio::test(start_paused = true)]
async fn resource_that_is_not_served_delays_nobody() {
    let server = Server::default();
    server.set("b", Answer::NotServed);
    let fixture = Fixture::start(&server);
    assert!(fixture.synced("a").await < GRACE && fixture.synced("b").await < GRACE);
}

#[tokio::test(start_paused = true)]
async fn gateways_that_cannot_be_listed_hold_up_their_own_units_only() {
    let server = Server::default();
    server.unit("a", "g");
    server.unit("b", "h");
    server.set("h", Answer::Forbidden);
    let fixture = Fixture::start(&server);
    assert!(fixture.synced("b").await < GRACE);
    let gateways =
        |fixture: &Fixture| (fixture.context.caches.gateways_synced("g"), fixture.context.caches.gateways_synced("h"));
    let listed = async {
        while !gateways(&fixture).0 {
            tokio::task::yield_now().await;
        }
    };
    listed.await;
    assert_eq!(gateways(&fixture), (true, false));
    assert!(fixture.context.synced(&unit("a")) && !fixture.context.synced(&unit("b")));
    assert!(fixture.gates.closed().is_empty());
    pass(GRACE + Duration::from_millis(1)).await;
    assert!(fixture.problems().contains("gateways of namespace h: not listed: gateways, "), "{}", fixture.problems());
    server.set("h", Answer::Lists);
    let mut synced = fixture.context.caches.gateways[1].synced.subscribe();
    timeout(10 * GRACE, synced.wait_for(|synced| *synced)).await.unwrap().unwrap();
    assert!(fixture.context.synced(&unit("b")));
}

#[tokio::test(start_paused = true)]
async fn operator_is_not_ready_while_no_scope_can_be_listed() {
    let server = Server::default();
    server.set("a", Answer::Forbidden);
    server.set("b", Answer::Hangs);
    let fixture = Fixture::start(&server);
    pass(2 * GRACE).await;
    assert_eq!(fixture.gates.closed(), [GATE]);
    server.set("a", Answer::Lists);
    fixture.synced("a").await;
    assert!(fixture.gates.closed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn object_that_cannot_be_deserialized_gets_an_event() {
    let server = Server::default();
    server.unit("a", "g");
    let mut unreadable = json!(unit("a"));
    unreadable["metadata"]["name"] = json!("bob");
    unreadable["metadata"]["uid"] = json!("bob-uid");
    unreadable["spec"]["cuid"] = json!("not a number");
    server.put("computingunits", unreadable);
    let fixture = Fixture::start(&server);
    assert!(fixture.synced("a").await < GRACE, "the others go on");
    while server.events.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    let event = server.events.lock()[0].clone();
    assert_eq!((&event["reason"], &event["type"]), (&json!("Unreadable"), &json!("Warning")));
    let regarding = &event["regarding"];
    assert_eq!((&regarding["kind"], &regarding["name"]), (&json!("ComputingUnit"), &json!("bob")));
    assert_eq!(regarding["uid"], json!("bob-uid"));
    assert!(event["note"].as_str().unwrap().contains("not a number"), "{event}");
    assert!(fixture.metric("computing_unit_operator_invalid_objects_total{resource=\"computingunits\"} 1"));
}
