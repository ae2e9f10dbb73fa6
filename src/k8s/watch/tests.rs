//! How a watch handles objects that cannot be deserialized, and a resource that is not served. A real API server stores no
//! object that violates its schema, so these tests use a scripted one.

use std::sync::{Arc, Mutex};

use computing_unit_api::ComputingUnit;
use futures::{StreamExt, channel::mpsc::UnboundedReceiver};
use http::{Request, Response, StatusCode};
use kube::{Api, Client, ResourceExt, client::Body, runtime::reflector::ObjectRef};
use serde_json::{Value, json};
use tokio::{
    task::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    super::progress::ProgressReceiver,
    run::{FIRST_RETRY, Health, LAST_RETRY},
    *,
};
use crate::{
    k8s::{affected::resolve, caches::Caches, waker::Waker},
    testing,
};

/// The responses of the API server, in order; after the last it does not respond.
type Script = Vec<(StatusCode, String)>;

/// A running watch of units, and its effects.
struct Running {
    cache: Cached<ComputingUnit>,
    progress: ProgressReceiver,
    woken: UnboundedReceiver<ObjectRef<ComputingUnit>>,
    reports: Arc<Mutex<Vec<String>>>,
    requests: Arc<Mutex<Vec<Instant>>>,
    task: JoinHandle<()>,
}

fn run(script: Script) -> Running {
    let requests = Arc::<Mutex<Vec<Instant>>>::default();
    let (times, script) = (requests.clone(), Arc::new(Mutex::new(script.into_iter())));
    let server = tower::service_fn(move |_: Request<Body>| {
        times.lock().unwrap().push(Instant::now());
        let answer = script.lock().unwrap().next();
        async move {
            match answer {
                Some((status, body)) => Ok::<_, std::convert::Infallible>(
                    Response::builder().status(status).body(Body::from(body.into_bytes())).unwrap(),
                ),
                None => std::future::pending().await,
            }
        }
    });
    let cache = Cached::default();
    let (waker, mut wakes) = Waker::new(&[None]);
    let caches = Caches::new(&[None], &[None], "envoy-gateway-system");
    let wake: Wake = Box::new(move |affected| {
        for unit in resolve(&caches, affected) {
            waker.wake(unit);
        }
    });
    let reports = Arc::<Mutex<Vec<String>>>::default();
    let (failures, invalid_objects) = (reports.clone(), reports.clone());
    let watch = Watch::new(Label::ComputingUnits, Api::all(Client::new(server, "default")), &cache)
        .affected_units(|_, unit| vec![Affected::Unit(ObjectRef::from_obj(unit))])
        .on_invalid(move |_, invalid| {
            let report = format!("{:?}: {}", invalid.metadata.name.as_deref(), invalid.error);
            invalid_objects.lock().unwrap().push(report);
        });
    let (progress, woken) = (watch.progress.subscribe(), wakes.remove(0));
    let report = Box::new(move |health: &Health| {
        let report = match health {
            Health::Failed { failure, .. } => format!("{failure:?}"),
            Health::Recovered => "recovered".to_owned(),
        };
        failures.lock().unwrap().push(report);
    });
    Running { cache, progress, woken, reports, requests, task: tokio::spawn(watch.run(wake, report)) }
}

impl Running {
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.cache.all().iter().map(|unit| unit.name_any()).collect();
        names.sort();
        names
    }

    async fn woken(&mut self, count: usize) -> Vec<String> {
        let mut names = vec![];
        while names.len() < count {
            names.push(self.woken.next().await.unwrap().name);
        }
        names.sort();
        names
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn object(name: &str, version: u64, cuid: &Value) -> Value {
    let mut object = serde_json::to_value(testing::unit(name, Some(1), "2026-01-01T00:00:00Z")).unwrap();
    object["metadata"]["resourceVersion"] = version.to_string().into();
    object["spec"]["cuid"] = cuid.clone();
    object
}

fn list(objects: &[Value]) -> (StatusCode, String) {
    let list = json!({
        "apiVersion": "texera.apache.org/v1alpha1", "kind": "ComputingUnitList",
        "metadata": {"resourceVersion": "10"}, "items": objects,
    });
    (StatusCode::OK, list.to_string())
}

fn events(events: &[(&str, Value)]) -> (StatusCode, String) {
    let lines = events.iter().map(|(what, object)| format!("{}\n", json!({"type": what, "object": object})));
    (StatusCode::OK, lines.collect())
}

/// The response for a resource that is not served, which is not JSON.
fn not_served() -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, "404 page not found\n".to_owned())
}

/// The end of a watch that has to list again.
fn too_old() -> (StatusCode, String) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "message": "too old",
        "reason": "Expired",
    });
    events(&[("ERROR", status)])
}

#[tokio::test(start_paused = true)]
async fn invalid_object_is_reported_and_does_not_affect_others() {
    let bad = json!("not a number");
    let mut watch = run(vec![list(&[object("a", 1, &json!(1)), object("b", 2, &bad), object("c", 3, &json!(3))])]);
    assert_eq!(watch.woken(2).await, ["a", "c"]);
    assert_eq!(*watch.progress.borrow(), Progress::Synced);
    assert_eq!(watch.names(), ["a", "c"]);
    let reports = watch.reports.lock().unwrap().join("\n");
    assert!(reports.starts_with("Some(\"b\"): ") && reports.contains("not a number"), "{reports}");
}

#[tokio::test(start_paused = true)]
async fn object_that_becomes_invalid_stays_cached_until_its_deletion() {
    let bad = json!("not a number");
    let mut watch = run(vec![
        list(&[object("a", 1, &json!(1)), object("b", 2, &json!(2))]),
        events(&[("MODIFIED", object("a", 11, &bad)), ("MODIFIED", object("b", 12, &json!(22)))]),
        events(&[("DELETED", object("a", 13, &bad)), ("ADDED", object("c", 14, &json!(3)))]),
    ]);
    assert_eq!(watch.woken(2).await, ["a", "b"]);
    assert_eq!(watch.woken(1).await, ["b"]);
    let a = watch.cache.get("units", "a");
    assert!(a.is_none_or(|a| a.spec.cuid == Some(1)), "unchanged, or deleted already");
    assert_eq!(watch.woken(2).await, ["a", "c"], "its deletion is reported");
    assert_eq!(watch.names(), ["b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn object_that_is_invalid_in_a_new_list_stays_cached() {
    let bad = json!("not a number");
    let mut watch = run(vec![
        list(&[object("a", 1, &json!(1)), object("b", 2, &json!(2))]),
        too_old(),
        list(&[object("a", 11, &bad)]),
    ]);
    assert_eq!(watch.woken(2).await, ["a", "b"]);
    watch.woken(2).await;
    assert_eq!(watch.names(), ["a"]);
    assert_eq!(watch.cache.all()[0].spec.cuid, Some(1));
}

#[tokio::test(start_paused = true)]
async fn resource_that_is_not_served_is_reported_once_and_retried() {
    let mut script = vec![not_served(); 8];
    script.push(list(&[object("a", 1, &json!(1))]));
    let mut watch = run(script);
    watch.progress.wait_for(|progress| *progress == Progress::NotServed).await.unwrap();
    assert_eq!(watch.woken(1).await, ["a"]);
    assert_eq!(*watch.progress.borrow(), Progress::Synced);
    assert_eq!(*watch.reports.lock().unwrap(), ["NotServed", "recovered"], "once for all attempts");
    let requests = watch.requests.lock().unwrap().clone();
    let gaps: Vec<Duration> = requests.windows(2).take(8).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[0] <= FIRST_RETRY && gaps[7] >= LAST_RETRY / 2 && gaps[7] <= LAST_RETRY, "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn failing_watch_has_recovered_when_it_lists_or_is_quiet() {
    let forbidden = || {
        let status =
            json!({"kind": "Status", "status": "Failure", "code": 403, "message": "no", "reason": "Forbidden"});
        (StatusCode::FORBIDDEN, status.to_string())
    };
    // The second watch request is accepted, and sends nothing.
    let watch = run(vec![forbidden(), forbidden(), list(&[]), forbidden()]);
    let reports =
        || -> Vec<bool> { watch.reports.lock().unwrap().iter().map(|report| report == "recovered").collect() };
    let expected = [false, false, true, false, true];
    while reports().len() < expected.len() {
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(reports(), expected, "{:?}", watch.reports.lock().unwrap());
}

#[tokio::test(start_paused = true)]
async fn resource_that_is_removed_wakes_the_units_that_its_objects_affect() {
    let mut watch = run(vec![list(&[object("a", 1, &json!(1))]), too_old(), not_served()]);
    assert_eq!(watch.woken(1).await, ["a"]);
    watch.progress.wait_for(|progress| *progress == Progress::NotServed).await.unwrap();
    assert_eq!(watch.woken(1).await, ["a"]);
    assert_eq!(watch.names(), ["a"], "cached objects stay cached");
}
