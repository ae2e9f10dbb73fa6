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

use axum::body::Body;
use http::{HeaderValue, StatusCode};

use super::*;
use crate::{
    activator::state::tests::unit,
    testing::{self, host_routing, lookup_routing, path_routing, query_routing},
};

/// An activator whose API server answers each write with `status` and counts the writes.
struct Scenario {
    activator: Arc<Activator>,
    writes: Arc<AtomicUsize>,
}

impl Scenario {
    fn new(routing: Routing, spec: &Value, status: u16) -> Self {
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
        pool.spec.activator = Some(serde_json::from_value(spec.clone()).unwrap());
        index.apply_pool(pool);
        let activator = Arc::new(Activator {
            index,
            waker: UnitWaker::new(Client::new(server, "default"), metrics.clone()),
            held_requests: HeldRequests::new(metrics.clone(), CancellationToken::new()),
            metrics,
        });
        Self { activator, writes }
    }

    fn with_unit(self, mode: OperatingMode, phase: Phase) -> Self {
        self.set_unit(mode, phase);
        self
    }

    fn set_unit(&self, mode: OperatingMode, phase: Phase) {
        self.activator.index.apply_unit(unit(mode, Some(phase), 2));
    }

    async fn send(&self, uri: &str, headers: &[(&str, &str)]) -> Response {
        send(&self.activator, "GET", uri, headers).await
    }

    fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    fn count(&self, outcome: &str) -> usize {
        let text = self.activator.metrics.encode().unwrap();
        let line = format!("computing_unit_operator_activator_requests_total{{outcome=\"{outcome}\"}} ");
        text.lines().find_map(|found| found.strip_prefix(&line)).unwrap().parse().unwrap()
    }

    async fn until_started(&self) {
        let mut ticks = tokio::time::interval(Duration::from_millis(1));
        while self.writes() == 0 {
            ticks.tick().await;
        }
    }

    async fn until_held(&self, count: usize) {
        let line = format!("computing_unit_operator_activator_held_requests {count}");
        let mut ticks = tokio::time::interval(Duration::from_millis(1));
        while !self.activator.metrics.encode().unwrap().contains(&line) {
            ticks.tick().await;
        }
    }
}

async fn send(activator: &Arc<Activator>, method: &str, uri: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri(uri).header("host", "x");
    for (name, value) in [("x-computing-unit-pool", "pool-uid")].iter().chain(headers) {
        request.headers_mut().unwrap().insert(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    router(activator.clone()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn problem(response: Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

const WAKES: fn() -> Value = || json!({"wakeOnRequest": true, "hold": "20s"});

#[tokio::test(start_paused = true)]
async fn unknown_key_or_pool_is_not_found_in_every_mode() {
    for (routing, uri, host) in [
        (query_routing(), "/wsapi?cuid=43", "x"),
        (query_routing(), "/wsapi", "x"),
        (path_routing(), "/units/bob/x", "x"),
        (host_routing(), "/", "bob.units.example.org"),
    ] {
        let scenario = Scenario::new(routing, &WAKES(), 200).with_unit(OperatingMode::Suspended, Phase::Suspended);
        let response = scenario.send(uri, &[("host", host)]).await;
        assert_eq!((response.status(), response.headers().get("x-computing-unit")), (StatusCode::NOT_FOUND, None));
        assert_eq!(problem(response).await["title"], "Unit not found");
        assert_eq!((scenario.writes(), scenario.count("unknown")), (0, 1));
    }
    let scenario = Scenario::new(query_routing(), &WAKES(), 200).with_unit(OperatingMode::Suspended, Phase::Suspended);
    for pool in ["", "other-uid", "units/default"] {
        let response = scenario.send("/wsapi?cuid=42", &[("x-computing-unit-pool", pool)]).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{pool}");
    }
    assert_eq!(scenario.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn request_without_authorization_for_the_unit_of_its_key_starts_nothing() {
    for (uri, host, status) in [
        ("/wsapi?cuid=42", "ada.units.internal", StatusCode::TEMPORARY_REDIRECT),
        ("/wsapi?cuid=42", "Ada.units.internal:8085", StatusCode::TEMPORARY_REDIRECT),
        ("/wsapi?cuid=42", "bob.units.internal", StatusCode::MISDIRECTED_REQUEST),
        ("/wsapi?cuid=42", "texera.example.org", StatusCode::MISDIRECTED_REQUEST),
        ("/wsapi?cuid=43&cuid=42", "ada.units.internal", StatusCode::NOT_FOUND),
        ("/wsapi?%63uid=42", "ada.units.internal", StatusCode::NOT_FOUND),
    ] {
        let scenario =
            Scenario::new(lookup_routing(), &WAKES(), 200).with_unit(OperatingMode::Suspended, Phase::Suspended);
        let changes = async {
            if status == StatusCode::TEMPORARY_REDIRECT {
                scenario.until_started().await;
                scenario.set_unit(OperatingMode::Running, Phase::Ready);
            }
        };
        let headers = [("host", host)];
        let (response, ()) = tokio::join!(scenario.send(uri, &headers), changes);
        assert_eq!(response.status(), status, "{uri} {host}");
        assert_eq!(scenario.writes(), usize::from(status == StatusCode::TEMPORARY_REDIRECT), "{uri} {host}");
        assert_eq!(scenario.count("misdirected"), usize::from(status == StatusCode::MISDIRECTED_REQUEST));
    }
}

/// A key in the path starts a unit as one in the parameter does, and the authorization must have been for the same unit.
#[tokio::test(start_paused = true)]
async fn unit_is_started_by_the_key_in_the_path() {
    for (lookup, uri, host, status) in [
        (false, "/envs/42", "x", StatusCode::TEMPORARY_REDIRECT),
        (false, "/envs/42?cuid=42", "x", StatusCode::TEMPORARY_REDIRECT),
        (false, "/envs/42?cuid=43", "x", StatusCode::NOT_FOUND),
        (false, "/envs/43?cuid=42", "x", StatusCode::NOT_FOUND),
        (false, "/envs/042", "x", StatusCode::NOT_FOUND),
        (false, "/envs/%34%32", "x", StatusCode::NOT_FOUND),
        (false, "/envs/42/more", "x", StatusCode::NOT_FOUND),
        (true, "/envs/42", "ada.units.internal:8085", StatusCode::TEMPORARY_REDIRECT),
        (true, "/envs/42", "bob.units.internal", StatusCode::MISDIRECTED_REQUEST),
        (true, "/envs/42", "texera.example.org", StatusCode::MISDIRECTED_REQUEST),
        (true, "/envs/43?cuid=42", "ada.units.internal", StatusCode::NOT_FOUND),
    ] {
        let mut routing = if lookup { lookup_routing() } else { query_routing() };
        let path = json!({"type": "Exact", "value": "/envs/{key}"});
        routing.query.as_mut().unwrap().paths.push(serde_json::from_value(path).unwrap());
        let scenario = Scenario::new(routing, &WAKES(), 200).with_unit(OperatingMode::Suspended, Phase::Suspended);
        let wakes = status == StatusCode::TEMPORARY_REDIRECT;
        let changes = async {
            if wakes {
                scenario.until_started().await;
                scenario.set_unit(OperatingMode::Running, Phase::Ready);
            }
        };
        let headers = [("host", host)];
        let (response, ()) = tokio::join!(scenario.send(uri, &headers), changes);
        assert_eq!(response.status(), status, "{uri} {host}");
        assert_eq!(scenario.writes(), usize::from(wakes), "{uri} {host}");
    }
}

#[tokio::test(start_paused = true)]
async fn probe_is_not_found_and_starts_nothing() {
    let scenario = Scenario::new(query_routing(), &WAKES(), 200).with_unit(OperatingMode::Suspended, Phase::Suspended);
    for uri in ["/wsapi?cuid=42", "/wsapi?cuid=43"] {
        let response = scenario.send(uri, &[("x-computing-unit-probe", "1"), ("accept", "text/html")]).await;
        assert_eq!((response.status(), response.headers().get("x-computing-unit")), (StatusCode::NOT_FOUND, None));
    }
    assert_eq!((scenario.writes(), scenario.count("probe")), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_start_a_unit_with_one_write_and_are_redirected_when_it_is_ready() {
    let scenario = Scenario::new(query_routing(), &WAKES(), 200).with_unit(OperatingMode::Suspended, Phase::Suspended);
    let mut requests = JoinSet::new();
    for number in 0..20 {
        let activator = scenario.activator.clone();
        let method = if number % 2 == 0 { "GET" } else { "POST" };
        requests.spawn(async move { send(&activator, method, "/wsapi?cuid=42&more=%20", &[]).await });
    }
    scenario.until_held(20).await;
    for phase in [Phase::Suspended, Phase::Pending, Phase::Starting] {
        scenario.set_unit(OperatingMode::Running, phase);
    }
    // Requests during the start are held as well.
    let activator = scenario.activator.clone();
    requests.spawn(async move { send(&activator, "GET", "/wsapi?cuid=42&more=%20", &[]).await });
    scenario.until_held(21).await;
    scenario.set_unit(OperatingMode::Running, Phase::Ready);
    for response in requests.join_all().await {
        assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(response.headers()["location"], "/wsapi?cuid=42&more=%20");
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
    assert_eq!((scenario.writes(), scenario.count("redirected")), (1, 21));
}

#[tokio::test(start_paused = true)]
async fn request_is_not_held_longer_than_the_pool_or_the_client_allows() {
    let scenario = Scenario::new(query_routing(), &WAKES(), 200).with_unit(OperatingMode::Suspended, Phase::Suspended);
    for (prefer, seconds) in [("", 20), ("wait=3", 3), ("wait=3600", 20), ("wait=0", 0)] {
        let start = tokio::time::Instant::now();
        let response = scenario.send("/wsapi?cuid=42", &[("prefer", prefer)]).await;
        assert_eq!(start.elapsed().as_secs(), seconds, "{prefer}");
        assert_eq!(
            (response.status(), &response.headers()["retry-after"]),
            (StatusCode::SERVICE_UNAVAILABLE, &HeaderValue::from(2))
        );
        assert_eq!(problem(response).await["state"], "starting");
    }
    assert_eq!(scenario.count("expired"), 4);
}

#[tokio::test(start_paused = true)]
async fn websocket_and_browser_requests_start_a_unit_and_are_answered_immediately() {
    let scenario =
        || Scenario::new(query_routing(), &WAKES(), 200).with_unit(OperatingMode::Suspended, Phase::Suspended);
    let socket = scenario();
    let response = socket.send("/wsapi?cuid=42", &[("upgrade", "websocket"), ("connection", "Upgrade")]).await;
    assert_eq!(
        (response.status(), &response.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &HeaderValue::from(2))
    );
    socket.until_started().await;
    let browser = scenario();
    let response = browser.send("/wsapi?cuid=42", &[("accept", "text/html,*/*;q=0.8")]).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    browser.until_started().await;
    // The page starts nothing, but reports a start by another request.
    let details = problem(browser.send("/wsapi?cuid=42", &[("x-computing-unit-page", "1")]).await).await;
    assert_eq!(details["state"], "starting");
    let page_only = scenario();
    let details = problem(page_only.send("/wsapi?cuid=42", &[("x-computing-unit-page", "1")]).await).await;
    assert_eq!((details["state"].as_str(), page_only.writes()), (Some("suspended"), 0));
}

#[tokio::test(start_paused = true)]
async fn unit_that_is_not_suspended_is_not_started() {
    let running = OperatingMode::Running;
    for (spec, mode, phase, status, state) in [
        (json!({}), OperatingMode::Suspended, Phase::Suspended, 503, "suspended"),
        (WAKES(), OperatingMode::Suspended, Phase::Suspending, 503, "suspending"),
        (WAKES(), running, Phase::Starting, 503, "starting"),
        (WAKES(), running, Phase::NotReady, 503, "starting"),
        (WAKES(), running, Phase::Ready, 503, "ready"),
        (WAKES(), running, Phase::Failed, 503, "failed"),
        (WAKES(), running, Phase::Finished, 410, "finished"),
        (WAKES(), running, Phase::Terminating, 404, "unknown"),
    ] {
        let scenario = Scenario::new(query_routing(), &spec, 200).with_unit(mode, phase);
        let response = scenario.send("/wsapi?cuid=42", &[]).await;
        assert_eq!(response.status().as_u16(), status, "{phase:?}");
        assert_eq!(problem(response).await["state"], state);
        assert_eq!(scenario.writes(), 0, "{phase:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn failed_start_is_retried_at_a_limited_rate() {
    for status in [403, 409, 500] {
        let scenario = Scenario::new(query_routing(), &json!({"wakeOnRequest": true, "hold": "0s"}), status)
            .with_unit(OperatingMode::Suspended, Phase::Suspended);
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        for _ in 0..6000 {
            ticks.tick().await;
            assert_eq!(scenario.send("/wsapi?cuid=42", &[]).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        // 100 requests per second for a minute.
        assert!((5..=25).contains(&scenario.writes()), "{status}: {} writes", scenario.writes());
    }
}

#[tokio::test(start_paused = true)]
async fn deletion_of_the_unit_ends_the_hold() {
    let scenario = Scenario::new(query_routing(), &WAKES(), 200).with_unit(OperatingMode::Suspended, Phase::Suspended);
    let changes = async {
        scenario.until_held(1).await;
        scenario.activator.index.delete_unit("ada-uid");
    };
    let (response, ()) = tokio::join!(scenario.send("/wsapi?cuid=42", &[]), changes);
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn requests_with_unknown_keys_are_answered_from_memory() {
    let scenario = Scenario::new(query_routing(), &WAKES(), 200);
    let numbered: fn(i64) -> ComputingUnit =
        |number| testing::unit(&format!("u{number}"), Some(number), "2026-01-01T00:00:00Z");
    (0..1000).for_each(|number| scenario.activator.index.apply_unit(numbered(number)));
    for number in 1000..6000 {
        let response = scenario.send(&format!("/wsapi?cuid={number}"), &[]).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
    }
    assert_eq!((scenario.writes(), scenario.count("unknown")), (0, 5000));
}
