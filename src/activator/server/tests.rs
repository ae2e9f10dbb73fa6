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

use http::{HeaderValue, StatusCode};

use super::*;
use crate::{
    activator::state::tests::{suspended, unit},
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
            background: BackgroundRequests::new(tokio::time::Instant::now()),
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
        self.counter(&format!("activator_requests_total{{outcome=\"{outcome}\"}} "))
    }

    fn not_started(&self, reason: &str) -> usize {
        self.counter(&format!("activator_not_started_total{{reason=\"{reason}\"}} "))
    }

    fn counter(&self, series: &str) -> usize {
        let text = self.activator.metrics.encode().unwrap();
        let line = format!("computing_unit_operator_{series}");
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

const WAKES: fn() -> Value = || json!({"wake": "Always", "hold": "20s"});
const HANDSHAKE: [(&str, &str); 2] = [("upgrade", "websocket"), ("connection", "Upgrade")];

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
    tokio::time::advance(QUIET).await;
    let response = socket.send("/wsapi?cuid=42", &HANDSHAKE).await;
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
        let scenario = Scenario::new(query_routing(), &json!({"wake": "Always", "hold": "0s"}), status)
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

/// The default quiet period.
const QUIET: Duration = Duration::from_mins(10);

impl Scenario {
    /// A pool with this activator, and a unit whose condition `Suspended` has this reason.
    fn suspended(spec: &Value, reason: &str) -> Self {
        let scenario = Self::new(query_routing(), spec, 200);
        scenario.activator.index.apply_unit(suspended(reason));
        scenario
    }

    /// Sends a request that does not start the unit. Returns the reason in the header, after comparing it with the body.
    async fn refused(&self, method: &str, headers: &[(&str, &str)]) -> String {
        let response = send(&self.activator, method, "/wsapi?cuid=42", headers).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{method} {headers:?}");
        let reason = response.headers()["x-computing-unit-not-started"].to_str().unwrap().to_owned();
        // The response to HEAD has no body.
        if method != "HEAD" {
            let details = problem(response).await;
            assert_eq!((&details["notStarted"], &details["state"]), (&json!(reason), &json!("suspended")));
        }
        assert!(self.not_started(&reason) > 0);
        reason
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_suspended_is_not_started_by_a_request() {
    for (spec, reason, expected) in [
        (json!({}), "Suspended", "not_idle"),
        (json!({"wake": "Idle"}), "Suspended", "not_idle"),
        (json!({"wake": "Never"}), "Idle", "never"),
    ] {
        let scenario = Scenario::suspended(&spec, reason);
        for headers in [&[][..], &HANDSHAKE, &[("sec-fetch-mode", "cors")]] {
            assert_eq!(scenario.refused("GET", headers).await, expected, "{spec} {headers:?}");
        }
        let page = scenario.send("/wsapi?cuid=42", &[("accept", "text/html")]).await;
        let body = page.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains("kubectl cu resume ada -n "), "{spec}");
        assert_eq!(scenario.writes(), 0, "{spec}");
    }
    for (spec, reason) in [(json!({"hold": "0s"}), "Idle"), (json!({"wake": "Always", "hold": "0s"}), "Suspended")] {
        let scenario = Scenario::suspended(&spec, reason);
        let response = scenario.send("/wsapi?cuid=42", &[]).await;
        assert_eq!(response.headers().get("x-computing-unit-not-started"), None);
        assert_eq!(problem(response).await["state"], "starting");
        scenario.until_started().await;
    }
}

#[tokio::test(start_paused = true)]
async fn request_that_nobody_meant_is_not_held_and_starts_nothing() {
    let scenario = Scenario::suspended(&json!({}), "Idle");
    for (method, headers, expected) in [
        ("HEAD", &[][..], "head"),
        ("OPTIONS", &[], "options"),
        ("GET", &[("sec-purpose", "prefetch")], "prefetch"),
        ("GET", &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], "cross_site"),
        ("GET", &[("x-computing-unit-page", "1")], "page"),
    ] {
        assert_eq!(scenario.refused(method, headers).await, expected);
    }
    assert_eq!(scenario.writes(), 0);
}

/// The unit is suspended while a tab is open, which reconnects every half minute. Somebody comes back after an hour.
#[tokio::test(start_paused = true)]
async fn tab_that_reconnects_does_not_start_a_unit_and_a_user_who_opens_it_does() {
    let poll = [("sec-fetch-mode", "cors"), ("sec-fetch-site", "same-origin"), ("accept", "*/*")];
    for own in [&HANDSHAKE[..], &poll] {
        let scenario = Scenario::suspended(&json!({"hold": "0s"}), "Idle");
        for _ in 0..120 {
            tokio::time::advance(Duration::from_secs(30)).await;
            let response = scenario.send("/wsapi?cuid=42", own).await;
            assert_eq!(response.headers()["x-computing-unit-not-started"], "quiet_period");
            assert_eq!(response.headers()["retry-after"], "600");
        }
        assert_eq!((scenario.writes(), scenario.not_started("quiet_period")), (0, 120));
        let opened = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("accept", "text/html")];
        let page = scenario.send("/wsapi?cuid=42", &opened).await;
        assert_eq!(page.headers().get("x-computing-unit-not-started"), None);
        scenario.until_started().await;
    }
    // The tab was closed, and the page that is opened later connects at once.
    let scenario = Scenario::suspended(&json!({"hold": "0s"}), "Idle");
    scenario.send("/wsapi?cuid=42", &HANDSHAKE).await;
    tokio::time::advance(QUIET).await;
    assert_eq!(problem(scenario.send("/wsapi?cuid=42", &HANDSHAKE).await).await["state"], "starting");
    scenario.until_started().await;
}

#[tokio::test(start_paused = true)]
async fn preflight_starts_nothing_and_lets_a_page_read_the_answer() {
    let scenario = Scenario::suspended(&json!({}), "Idle");
    let preflight = [
        ("origin", "https://app.example.org"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization, content-type"),
    ];
    let response = send(&scenario.activator, "OPTIONS", "/wsapi?cuid=42", &preflight).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "authorization, content-type"),
        // A cached permission would also be for the unit.
        ("access-control-max-age", "0"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
    assert!(response.headers().get("access-control-allow-credentials").is_none());
    assert_eq!((scenario.writes(), scenario.not_started("options")), (0, 1));
    // The request that follows is held, and both of its answers can be read.
    let request = [("origin", "https://app.example.org"), ("prefer", "wait=0")];
    let response = send(&scenario.activator, "POST", "/wsapi?cuid=42", &request).await;
    assert_eq!(
        (response.status(), &response.headers()["access-control-allow-origin"]),
        (StatusCode::SERVICE_UNAVAILABLE, &HeaderValue::from_static("*"))
    );
    assert!(response.headers()["access-control-expose-headers"].to_str().unwrap().contains("retry-after"));
    // While the unit starts, it could get a request that it has not agreed to.
    scenario.set_unit(OperatingMode::Running, Phase::Starting);
    let response = send(&scenario.activator, "OPTIONS", "/wsapi?cuid=42", &preflight).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().get("access-control-allow-methods").is_none());
    let safe = [preflight[0], ("access-control-request-method", "GET")];
    let response = send(&scenario.activator, "OPTIONS", "/wsapi?cuid=42", &safe).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
}

/// A person suspends the unit between the decision and the write, which is a conflict.
#[tokio::test(start_paused = true)]
async fn unit_that_somebody_suspends_meanwhile_stays_suspended() {
    let scenario = Scenario::new(query_routing(), &json!({"hold": "0s"}), 409);
    scenario.activator.index.apply_unit(suspended("Idle"));
    scenario.send("/wsapi?cuid=42", &[]).await;
    scenario.until_started().await;
    scenario.activator.index.apply_unit(suspended("Suspended"));
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    while scenario.activator.waker.waking("ada-uid") {
        ticks.tick().await;
    }
    assert_eq!(scenario.writes(), 1);
    assert_eq!(scenario.refused("GET", &[]).await, "not_idle");
}

/// Otherwise the connection would be reset, and the proxy would lose the response.
#[tokio::test(start_paused = true)]
async fn body_is_received_before_the_response() {
    let scenario = Scenario::suspended(&json!({"wake": "Never"}), "Idle");
    let (sent, mut received) = tokio::sync::mpsc::unbounded_channel();
    let chunks = futures::stream::iter(0..100).map(move |number| {
        sent.send(number).unwrap();
        Ok::<_, std::convert::Infallible>(vec![b'x'; 100_000])
    });
    let request = Request::post("/wsapi?cuid=42").header("host", "x").header("x-computing-unit-pool", "pool-uid");
    let request = request.body(Body::from_stream(chunks)).unwrap();
    let response = router(scenario.activator.clone()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(std::iter::from_fn(|| received.try_recv().ok()).count(), 100);
    // A body that never ends does not hold up the response forever.
    let request = Request::post("/wsapi?cuid=42").header("host", "x").header("x-computing-unit-pool", "pool-uid");
    let endless = futures::stream::pending::<Result<Vec<u8>, std::convert::Infallible>>();
    let request = request.body(Body::from_stream(endless)).unwrap();
    let began = tokio::time::Instant::now();
    router(scenario.activator.clone()).oneshot(request).await.unwrap();
    assert_eq!(began.elapsed(), DISCARD_TIMEOUT);
}
