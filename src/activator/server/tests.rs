use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use computing_unit_api::{ComputingUnit, OperatingMode, Phase, Routing};
use http_body_util::BodyExt;
use kube::client::Body as ClientBody;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::{ServiceExt, service_fn};

use super::*;
use crate::{
    activator::situation::tests::unit,
    testing::{self, host_routing, lookup_routing, path_routing, query_routing},
};

/// An entry whose API server answers each write with `status`, and counts them.
struct Scene {
    entries: Arc<Entries>,
    writes: Arc<AtomicUsize>,
}

impl Scene {
    fn new(routing: Routing, entry: &Value, status: u16) -> Self {
        let writes = Arc::<AtomicUsize>::default();
        let count = writes.clone();
        let server = service_fn(move |request: http::Request<ClientBody>| {
            if request.method() == http::Method::PATCH {
                count.fetch_add(1, Ordering::Relaxed);
            }
            let body = match status {
                200 => serde_json::to_value(testing::unit("ada", Some(42), "2026-01-01T00:00:00Z")).unwrap(),
                code => json!({"kind": "Status", "status": "Failure", "code": code, "message": "", "reason": ""}),
            };
            let response =
                http::Response::builder().status(status).body(ClientBody::from(body.to_string().into_bytes()));
            async move { Ok::<_, tower::BoxError>(response.unwrap()) }
        });
        let metrics = Arc::new(Metrics::new());
        let index = Arc::new(Index::default());
        let mut pool = testing::pool(routing);
        pool.spec.activator = Some(serde_json::from_value(entry.clone()).unwrap());
        index.add_pool(pool);
        index.completed();
        let entries = Arc::new(Entries {
            index,
            wakes: Wakes::new(Client::new(server, "default"), metrics.clone()),
            room: Room::new(metrics.clone(), CancellationToken::new()),
            metrics,
        });
        Self { entries, writes }
    }

    fn has(self, mode: OperatingMode, phase: Phase) -> Self {
        self.becomes(mode, phase);
        self
    }

    fn becomes(&self, mode: OperatingMode, phase: Phase) {
        self.entries.index.unit(unit(mode, Some(phase), 2));
    }

    async fn ask(&self, uri: &str, headers: &[(&str, &str)]) -> Response {
        ask(&self.entries, "GET", uri, headers).await
    }

    fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    fn count(&self, outcome: &str) -> usize {
        let text = self.entries.metrics.encode().unwrap();
        let line = format!("computing_unit_operator_activator_requests_total{{outcome=\"{outcome}\"}} ");
        text.lines().find_map(|found| found.strip_prefix(&line)).unwrap().parse().unwrap()
    }

    /// Waits until the unit was started.
    async fn started(&self) {
        let mut look = tokio::time::interval(Duration::from_millis(1));
        while self.writes() == 0 {
            look.tick().await;
        }
    }

    /// Waits until as many requests are held.
    async fn held(&self, count: usize) {
        let line = format!("computing_unit_operator_activator_held_requests {count}");
        let mut look = tokio::time::interval(Duration::from_millis(1));
        while !self.entries.metrics.encode().unwrap().contains(&line) {
            look.tick().await;
        }
    }
}

async fn ask(entries: &Arc<Entries>, method: &str, uri: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri(uri).header("host", "x");
    for (name, value) in [("x-computing-unit-pool", "pool-uid")].iter().chain(headers) {
        request.headers_mut().unwrap().insert(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    router(entries.clone()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn problem(response: Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

const WAKES: fn() -> Value = || json!({"wakeOnRequest": true, "hold": "20s"});

#[tokio::test(start_paused = true)]
async fn an_unknown_key_or_pool_is_not_found_in_every_mode() {
    for (routing, uri, host) in [
        (query_routing(), "/wsapi?cuid=43", "x"),
        (query_routing(), "/wsapi", "x"),
        (path_routing(), "/units/bob/x", "x"),
        (host_routing(), "/", "bob.units.example.org"),
    ] {
        let scene = Scene::new(routing, &WAKES(), 200).has(OperatingMode::Suspended, Phase::Suspended);
        let response = scene.ask(uri, &[("host", host)]).await;
        assert_eq!((response.status(), response.headers().get("x-computing-unit")), (StatusCode::NOT_FOUND, None));
        assert_eq!(problem(response).await["title"], "No such unit");
        assert_eq!((scene.writes(), scene.count("unknown")), (0, 1));
    }
    let scene = Scene::new(query_routing(), &WAKES(), 200).has(OperatingMode::Suspended, Phase::Suspended);
    for pool in ["", "other-uid", "units/default"] {
        let response = scene.ask("/wsapi?cuid=42", &[("x-computing-unit-pool", pool)]).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{pool}");
    }
    assert_eq!(scene.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_authorized_for_the_unit_that_it_asks_for_starts_nothing() {
    for (uri, host, status) in [
        ("/wsapi?cuid=42", "ada.units.internal", StatusCode::TEMPORARY_REDIRECT),
        ("/wsapi?cuid=42", "Ada.units.internal:8085", StatusCode::TEMPORARY_REDIRECT),
        ("/wsapi?cuid=42", "bob.units.internal", StatusCode::MISDIRECTED_REQUEST),
        ("/wsapi?cuid=42", "texera.example.org", StatusCode::MISDIRECTED_REQUEST),
        ("/wsapi?cuid=43&cuid=42", "ada.units.internal", StatusCode::NOT_FOUND),
        ("/wsapi?%63uid=42", "ada.units.internal", StatusCode::NOT_FOUND),
    ] {
        let scene = Scene::new(lookup_routing(), &WAKES(), 200).has(OperatingMode::Suspended, Phase::Suspended);
        let story = async {
            if status == StatusCode::TEMPORARY_REDIRECT {
                scene.started().await;
                scene.becomes(OperatingMode::Running, Phase::Ready);
            }
        };
        let headers = [("host", host)];
        let (response, ()) = tokio::join!(scene.ask(uri, &headers), story);
        assert_eq!(response.status(), status, "{uri} {host}");
        assert_eq!(scene.writes(), usize::from(status == StatusCode::TEMPORARY_REDIRECT), "{uri} {host}");
        assert_eq!(scene.count("misdirected"), usize::from(status == StatusCode::MISDIRECTED_REQUEST));
    }
}

#[tokio::test(start_paused = true)]
async fn the_operators_own_probe_finds_nothing_and_starts_nothing() {
    let scene = Scene::new(query_routing(), &WAKES(), 200).has(OperatingMode::Suspended, Phase::Suspended);
    for uri in ["/wsapi?cuid=42", "/wsapi?cuid=43"] {
        let response = scene.ask(uri, &[("x-computing-unit-probe", "1"), ("accept", "text/html")]).await;
        assert_eq!((response.status(), response.headers().get("x-computing-unit")), (StatusCode::NOT_FOUND, None));
    }
    assert_eq!((scene.writes(), scene.count("probe")), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn many_requests_start_a_unit_by_one_write_and_are_sent_there_once_it_is_ready() {
    let scene = Scene::new(query_routing(), &WAKES(), 200).has(OperatingMode::Suspended, Phase::Suspended);
    let mut asking = JoinSet::new();
    for number in 0..20 {
        let entries = scene.entries.clone();
        let method = if number % 2 == 0 { "GET" } else { "POST" };
        asking.spawn(async move { ask(&entries, method, "/wsapi?cuid=42&more=%20", &[]).await });
    }
    scene.held(20).await;
    for phase in [Phase::Suspended, Phase::Pending, Phase::Starting] {
        scene.becomes(OperatingMode::Running, phase);
    }
    // Whoever comes now is held as well.
    let entries = scene.entries.clone();
    asking.spawn(async move { ask(&entries, "GET", "/wsapi?cuid=42&more=%20", &[]).await });
    scene.held(21).await;
    scene.becomes(OperatingMode::Running, Phase::Ready);
    for response in asking.join_all().await {
        assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(response.headers()["location"], "/wsapi?cuid=42&more=%20");
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
    assert_eq!((scene.writes(), scene.count("redirected")), (1, 21));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_not_held_longer_than_its_pool_or_its_sender_wants() {
    let scene = Scene::new(query_routing(), &WAKES(), 200).has(OperatingMode::Suspended, Phase::Suspended);
    for (prefer, seconds) in [("", 20), ("wait=3", 3), ("wait=3600", 20), ("wait=0", 0)] {
        let begun = tokio::time::Instant::now();
        let response = scene.ask("/wsapi?cuid=42", &[("prefer", prefer)]).await;
        assert_eq!(begun.elapsed().as_secs(), seconds, "{prefer}");
        assert_eq!(
            (response.status(), &response.headers()["retry-after"]),
            (StatusCode::SERVICE_UNAVAILABLE, &HeaderValue::from(2))
        );
        assert_eq!(problem(response).await["state"], "starting");
    }
    assert_eq!(scene.count("expired"), 4);
}

#[tokio::test(start_paused = true)]
async fn a_websocket_and_a_browser_start_a_unit_and_are_answered_at_once() {
    let scene = || Scene::new(query_routing(), &WAKES(), 200).has(OperatingMode::Suspended, Phase::Suspended);
    let socket = scene();
    let response = socket.ask("/wsapi?cuid=42", &[("upgrade", "websocket"), ("connection", "Upgrade")]).await;
    assert_eq!(
        (response.status(), &response.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &HeaderValue::from(2))
    );
    socket.started().await;
    let browser = scene();
    let response = browser.ask("/wsapi?cuid=42", &[("accept", "text/html,*/*;q=0.8")]).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    browser.started().await;
    // The page itself starts nothing, and is told that somebody has.
    let said = problem(browser.ask("/wsapi?cuid=42", &[("x-computing-unit-page", "1")]).await).await;
    assert_eq!(said["state"], "starting");
    let silent = scene();
    let said = problem(silent.ask("/wsapi?cuid=42", &[("x-computing-unit-page", "1")]).await).await;
    assert_eq!((said["state"].as_str(), silent.writes()), (Some("suspended"), 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_else_is_started() {
    let running = OperatingMode::Running;
    for (entry, mode, phase, status, state) in [
        (json!({}), OperatingMode::Suspended, Phase::Suspended, 503, "suspended"),
        (WAKES(), OperatingMode::Suspended, Phase::Suspending, 503, "suspending"),
        (WAKES(), running, Phase::Starting, 503, "starting"),
        (WAKES(), running, Phase::NotReady, 503, "starting"),
        (WAKES(), running, Phase::Ready, 503, "ready"),
        (WAKES(), running, Phase::Failed, 503, "failed"),
        (WAKES(), running, Phase::Finished, 410, "finished"),
        (WAKES(), running, Phase::Terminating, 404, "unknown"),
    ] {
        let scene = Scene::new(query_routing(), &entry, 200).has(mode, phase);
        let response = scene.ask("/wsapi?cuid=42", &[]).await;
        assert_eq!(response.status().as_u16(), status, "{phase:?}");
        assert_eq!(problem(response).await["state"], state);
        assert_eq!(scene.writes(), 0, "{phase:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_is_tried_again_at_a_limited_rate_however_many_ask() {
    for status in [403, 409, 500] {
        let scene = Scene::new(query_routing(), &json!({"wakeOnRequest": true, "hold": "0s"}), status)
            .has(OperatingMode::Suspended, Phase::Suspended);
        let mut asks = tokio::time::interval(Duration::from_millis(10));
        for _ in 0..6000 {
            asks.tick().await;
            assert_eq!(scene.ask("/wsapi?cuid=42", &[]).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        // A minute of a hundred requests a second.
        assert!((5..=25).contains(&scene.writes()), "{status}: {} writes", scene.writes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_is_gone_lets_go_whoever_waits() {
    let scene = Scene::new(query_routing(), &WAKES(), 200).has(OperatingMode::Suspended, Phase::Suspended);
    let story = async {
        scene.held(1).await;
        scene.entries.index.no_unit("ada-uid");
    };
    let (response, ()) = tokio::join!(scene.ask("/wsapi?cuid=42", &[]), story);
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_made_up_keys_is_answered_from_memory() {
    let scene = Scene::new(query_routing(), &WAKES(), 200);
    let crowd: fn(i64) -> ComputingUnit =
        |number| testing::unit(&format!("u{number}"), Some(number), "2026-01-01T00:00:00Z");
    (0..1000).for_each(|number| scene.entries.index.unit(crowd(number)));
    for number in 1000..6000 {
        let response = scene.ask(&format!("/wsapi?cuid={number}"), &[]).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
    }
    assert_eq!((scene.writes(), scene.count("unknown")), (0, 5000));
}
