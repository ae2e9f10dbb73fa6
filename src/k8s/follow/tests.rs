//! What a watch does with objects that cannot be read, and where the resource is missing. A real API server stores no
//! object that its schema refuses, so a scripted one stands in.

use std::sync::{Arc, Mutex};

use computing_unit_api::ComputingUnit;
use futures::channel::mpsc::UnboundedReceiver;
use http::{Request, Response, StatusCode};
use kube::{
    Api, Client, ResourceExt,
    client::Body,
    runtime::reflector::{ObjectRef, Store, store},
};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    k8s::{
        prune,
        waker::{Units, Waker},
    },
    testing,
};

/// What the API server answers, one after another; after the last it is silent.
type Script = Vec<(StatusCode, String)>;

/// A watch of units, and what came of it.
struct Followed {
    store: Store<ComputingUnit>,
    progress: watch::Receiver<Progress>,
    woken: UnboundedReceiver<ObjectRef<ComputingUnit>>,
    told: Arc<Mutex<Vec<String>>>,
    asked: Arc<Mutex<Vec<Instant>>>,
    task: JoinHandle<()>,
}

fn follow(script: Script) -> Followed {
    let asked = Arc::<Mutex<Vec<Instant>>>::default();
    let (times, script) = (asked.clone(), Arc::new(Mutex::new(script.into_iter())));
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
    let (reader, writer) = store();
    let (waker, mut wakes) = Waker::new(&[None]);
    let told = Arc::<Mutex<Vec<String>>>::default();
    let (failures, unreadables) = (told.clone(), told.clone());
    let (progress, seen) = watch::channel(Progress::default());
    let follow = Follow::<ComputingUnit> {
        api: Api::all(Client::new(server, "default")),
        config: watcher::Config::default(),
        writer,
        heard: Box::new(|_| ()),
        kept: Box::new(|_| ()),
        prune: prune::managed_fields,
        concerns: Box::new(|_, event| match event {
            Event::Apply(unit) | Event::InitApply(unit) | Event::Delete(unit) => vec![ObjectRef::from_obj(unit)],
            Event::Init | Event::InitDone => Units::new(),
        }),
        waker,
        progress,
        failed: Box::new(move |failure| failures.lock().unwrap().push(format!("{failure:?}"))),
        unreadable: Box::new(move |invalid| {
            unreadables.lock().unwrap().push(format!("{:?}: {}", invalid.metadata.name.as_deref(), invalid.error));
        }),
    };
    let woken = wakes.remove(0);
    Followed { store: reader, progress: seen, woken, told, asked, task: tokio::spawn(follow.run()) }
}

impl Followed {
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.store.state().iter().map(|unit| unit.name_any()).collect();
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

impl Drop for Followed {
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

/// As the API server says that it does not have a resource: not in JSON.
fn not_served() -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, "404 page not found\n".to_owned())
}

/// As the API server ends a watch that has to list again.
fn too_old() -> (StatusCode, String) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "message": "too old",
        "reason": "Expired",
    });
    events(&[("ERROR", status)])
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_object_is_told_of_and_stops_no_other() {
    let bad = json!("not a number");
    let mut followed =
        follow(vec![list(&[object("a", 1, &json!(1)), object("b", 2, &bad), object("c", 3, &json!(3))])]);
    assert_eq!(followed.woken(2).await, ["a", "c"]);
    assert_eq!(*followed.progress.borrow(), Progress::Synced);
    assert_eq!(followed.names(), ["a", "c"]);
    let told = followed.told.lock().unwrap().join("\n");
    assert!(told.starts_with("Some(\"b\"): ") && told.contains("not a number"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_becomes_unreadable_stays_as_it_was_until_it_goes() {
    let bad = json!("not a number");
    let mut followed = follow(vec![
        list(&[object("a", 1, &json!(1)), object("b", 2, &json!(2))]),
        events(&[("MODIFIED", object("a", 11, &bad)), ("MODIFIED", object("b", 12, &json!(22)))]),
        events(&[("DELETED", object("a", 13, &bad)), ("ADDED", object("c", 14, &json!(3)))]),
    ]);
    assert_eq!(followed.woken(2).await, ["a", "b"]);
    assert_eq!(followed.woken(1).await, ["b"]);
    let a = followed.store.get(&ObjectRef::new("a").within("units"));
    assert!(a.is_none_or(|a| a.spec.cuid == Some(1)), "as it was, or gone by now");
    assert_eq!(followed.woken(2).await, ["a", "c"], "its end is no secret");
    assert_eq!(followed.names(), ["b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_unreadable_in_a_new_list_stays_as_it_was() {
    let bad = json!("not a number");
    let mut followed = follow(vec![
        list(&[object("a", 1, &json!(1)), object("b", 2, &json!(2))]),
        too_old(),
        list(&[object("a", 11, &bad)]),
    ]);
    assert_eq!(followed.woken(2).await, ["a", "b"]);
    followed.woken(2).await;
    assert_eq!(followed.names(), ["a"]);
    assert_eq!(followed.store.state()[0].spec.cuid, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_missing_resource_is_told_of_once_and_taken_up_when_it_is_there() {
    let mut script = vec![not_served(); 8];
    script.push(list(&[object("a", 1, &json!(1))]));
    let mut followed = follow(script);
    followed.progress.wait_for(|progress| *progress == Progress::Missing).await.unwrap();
    assert_eq!(followed.woken(1).await, ["a"]);
    assert_eq!(*followed.progress.borrow(), Progress::Synced);
    assert_eq!(*followed.told.lock().unwrap(), ["Missing"], "once, however often it was asked for");
    let asked = followed.asked.lock().unwrap().clone();
    let gaps: Vec<Duration> = asked.windows(2).take(8).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[0] <= FIRST_RETRY && gaps[7] >= LAST_RETRY / 2 && gaps[7] <= LAST_RETRY, "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_goes_missing_wakes_those_whom_its_objects_concerned() {
    let mut followed = follow(vec![list(&[object("a", 1, &json!(1))]), too_old(), not_served()]);
    assert_eq!(followed.woken(1).await, ["a"]);
    followed.progress.wait_for(|progress| *progress == Progress::Missing).await.unwrap();
    assert_eq!(followed.woken(1).await, ["a"]);
    assert_eq!(followed.names(), ["a"], "what was known stays known");
}
