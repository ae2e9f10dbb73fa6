//! The prober against real connections to small servers that answer as proxies do.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use computing_unit_api::names::headers;
use futures::{Stream, StreamExt};
use kube::runtime::reflector::ObjectRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    time::{Instant, timeout},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

/// What a proxy has of the unit `ada`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Route {
    Absent,
    Guarded,
    Open,
    /// The route is there and what it leads to is not.
    Empty,
    /// Another unit has the request.
    Taken,
}

/// A server that answers as a proxy in some state does.
struct Envoy {
    proxy: Proxy,
    route: Arc<Mutex<Route>>,
    /// Requests so far, as they came.
    requests: Arc<Mutex<Vec<String>>>,
    /// The route from the n-th request on.
    turns: Arc<Mutex<Option<(usize, Route)>>>,
    /// The most requests at a time that were not answered yet.
    most: Arc<AtomicUsize>,
}

impl Envoy {
    async fn with(route: Route) -> Self {
        Self::start(route, None).await
    }

    async fn start(route: Route, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy {
            address: "127.0.0.1".into(),
            port: listener.local_addr().unwrap().port(),
            tls: tls.is_some(),
            name: tls.as_ref().map(|_| "ada.units.example.org".to_owned()),
            draining: false,
        };
        let envoy = Self {
            proxy,
            route: Arc::new(Mutex::new(route)),
            requests: Arc::default(),
            turns: Arc::default(),
            most: Arc::default(),
        };
        let (route, requests, turns, most) =
            (envoy.route.clone(), envoy.requests.clone(), envoy.turns.clone(), envoy.most.clone());
        let now = Arc::new(AtomicUsize::new(0));
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (route, requests, turns, tls) = (route.clone(), requests.clone(), turns.clone(), tls.clone());
                let (most, now) = (most.clone(), now.clone());
                tokio::spawn(async move {
                    let answer = async move |request: String| {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        for _ in 0..10 {
                            tokio::task::yield_now().await;
                        }
                        now.fetch_sub(1, Ordering::SeqCst);
                        let mut requests = requests.lock().unwrap();
                        requests.push(request.clone());
                        if let Some((from, next)) = *turns.lock().unwrap()
                            && requests.len() > from
                        {
                            *route.lock().unwrap() = next;
                        }
                        answer(*route.lock().unwrap(), &request)
                    };
                    match tls {
                        None => serve(stream, answer).await,
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            let name = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
                            serve(stream, async |request| answer(format!("{request}sni: {name}\r\n")).await).await;
                        }
                    }
                });
            }
        });
        envoy
    }

    fn set(&self, route: Route) {
        *self.route.lock().unwrap() = route;
    }

    /// Rollouts to another route with the request after so many.
    fn turns_after(self, requests: usize, route: Route) -> Self {
        *self.turns.lock().unwrap() = Some((requests, route));
        self
    }

    fn asked(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: impl AsyncFnOnce(String) -> String) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        request.push(byte);
    }
    let _ = stream.write_all(answer(String::from_utf8(request).unwrap()).await.as_bytes()).await;
    let _ = stream.shutdown().await;
    // The prober resets the connection, which is how it ends.
    let _ = stream.read_u8().await;
}

fn answer(route: Route, request: &str) -> String {
    let guarded = request.contains(&format!("{}: ada-uid\r\n", headers::GUARD));
    let (status, unit) = match route {
        Route::Open => (200, Some("ada-uid")),
        Route::Guarded if guarded => (200, Some("ada-uid")),
        Route::Empty => (503, Some("ada-uid")),
        Route::Taken => (200, Some("bob-uid")),
        Route::Guarded | Route::Absent => (404, None),
    };
    let unit = unit.map(|uid| format!("{}: {uid}\r\n", headers::UNIT)).unwrap_or_default();
    format!("HTTP/1.1 {status} Answer\r\n{unit}content-length: 0\r\n\r\n")
}

/// Proxies that the test decides about.
#[derive(Clone)]
struct Told(Arc<Mutex<Result<Vec<Proxy>, String>>>);

impl Told {
    fn of<'a>(envoys: impl IntoIterator<Item = &'a Envoy>) -> Self {
        Self(Arc::new(Mutex::new(Ok(envoys.into_iter().map(|envoy| envoy.proxy.clone()).collect()))))
    }
}

impl Proxies for Told {
    fn of(&self, _: &GatewayRef, _: Option<&str>) -> Result<Vec<Proxy>, String> {
        self.0.lock().unwrap().clone()
    }
}

fn target(unit: &str) -> Target {
    Target {
        unit: ObjectRef::new(unit).within("units"),
        uid: format!("{unit}-uid"),
        route: VerifiedRoute { uid: "route-uid".into(), generation: 1 },
        gateway: GatewayRef { name: "shared".into(), namespace: "gateways".into(), section_name: None },
        request: Request { method: ProbeMethod::Head, host: None, path_and_query: "/wsapi?cuid=42".into() },
    }
}

/// Starts a probe unless it runs already, and reads how far it has come.
fn want(prober: &Prober, target: Target, goal: Goal) -> Progress {
    let current = |report: &Report| report.goal == goal && report.target == target;
    if let Some(report) = prober.report(&target.uid).filter(current) {
        return report.progress;
    }
    prober.start(target.clone(), goal);
    prober.report(&target.uid).unwrap().progress
}

/// Wants `goal` of `ada` until it is reached, woken by the stream alone.
async fn reach(prober: &Prober, news: &mut (impl Stream<Item = ObjectRef<ComputingUnit>> + Unpin), goal: Goal) {
    let reached = async {
        while !matches!(want(prober, target("ada"), goal), Progress::Done { .. }) {
            assert_eq!(news.next().await.unwrap(), target("ada").unit);
        }
    };
    timeout(DEADLINE, reached).await.unwrap();
}

/// Waits until `condition` holds.
async fn until(mut condition: impl FnMut() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let held = async {
        while !condition() {
            tick.tick().await;
        }
    };
    timeout(DEADLINE, held).await.unwrap();
}

fn last(prober: &Prober, goal: Goal) -> Option<String> {
    match want(prober, target("ada"), goal) {
        Progress::Pending { last, .. } => last,
        Progress::Done { .. } => None,
    }
}

#[tokio::test]
async fn a_route_is_there_when_the_last_proxy_has_it() {
    let late = Envoy::with(Route::Absent).await.turns_after(5, Route::Guarded);
    let others = [Envoy::with(Route::Guarded).await, Envoy::with(Route::Guarded).await];
    let (prober, mut news) = Prober::new(Told::of(others.iter().chain([&late])), 8, Arc::default());
    reach(&prober, &mut news, Goal::Guarded).await;
    assert_eq!(late.asked(), 6);
    assert_eq!(others.map(|envoy| envoy.asked()), [1, 1], "who has answered is not asked again");
}

#[tokio::test]
async fn an_open_route_is_asked_for_without_the_guard() {
    let envoy = Envoy::with(Route::Guarded).await;
    let (prober, mut news) = Prober::new(Told::of([&envoy]), 8, Arc::default());
    reach(&prober, &mut news, Goal::Guarded).await;
    until(|| last(&prober, Goal::Open).as_deref() == Some("0 of 1 proxies have the route")).await;
    envoy.set(Route::Open);
    reach(&prober, &mut news, Goal::Open).await;
    let requests = envoy.requests.lock().unwrap().clone();
    let expected = format!(
        "HEAD /wsapi?cuid=42 HTTP/1.1\r\nhost: {}\r\nuser-agent: computing-unit-operator\r\n\
         x-computing-unit-probe: ada-uid\r\n",
        envoy.proxy
    );
    assert_eq!(requests[0], format!("{expected}x-computing-unit-guard: ada-uid\r\n\r\n"));
    assert!(requests.len() > 2);
    assert!(requests[1..].iter().all(|request| *request == format!("{expected}\r\n")), "{requests:?}");
}

#[tokio::test]
async fn a_route_without_endpoints_is_not_there() {
    let envoy = Envoy::with(Route::Empty).await;
    let (prober, mut news) = Prober::new(Told::of([&envoy]), 8, Arc::default());
    let expected = format!("proxy {} answers with 503", envoy.proxy);
    until(|| last(&prober, Goal::Open).as_ref() == Some(&expected)).await;
    envoy.set(Route::Open);
    reach(&prober, &mut news, Goal::Open).await;
}

#[tokio::test]
async fn a_proxy_that_refuses_connections_is_named() {
    let envoy = Envoy::with(Route::Open).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let told = Told::of([&envoy]);
    let down = Proxy { port: free, ..envoy.proxy.clone() };
    told.0.lock().unwrap().as_mut().unwrap().push(down.clone());
    let (prober, mut news) = Prober::new(told.clone(), 8, Arc::default());
    let expected = format!("proxy {down} does not answer: connection refused");
    until(|| last(&prober, Goal::Open).as_ref() == Some(&expected)).await;
    told.0.lock().unwrap().as_mut().unwrap().pop();
    reach(&prober, &mut news, Goal::Open).await;
}

#[tokio::test]
async fn a_route_is_gone_when_every_proxy_misses_on_three_connections() {
    let envoys = [Envoy::with(Route::Open).await, Envoy::with(Route::Absent).await];
    let (prober, mut news) = Prober::new(Told::of(&envoys), 8, Arc::default());
    until(|| last(&prober, Goal::Withdrawn).as_deref() == Some("1 of 2 proxies have the route")).await;
    assert_eq!(envoys[1].asked(), 3);
    envoys[0].set(Route::Guarded);
    reach(&prober, &mut news, Goal::Withdrawn).await;
    assert!(envoys[0].asked() >= 4);
    assert_eq!(envoys[1].asked(), 3);
}

#[tokio::test]
async fn a_miss_does_not_count_when_the_next_connection_hits() {
    let envoy = Envoy::with(Route::Absent).await.turns_after(2, Route::Open);
    let (prober, mut news) = Prober::new(Told::of([&envoy]), 8, Arc::default());
    until(|| last(&prober, Goal::Withdrawn).as_deref() == Some("1 of 1 proxies have the route")).await;
    *envoy.turns.lock().unwrap() = None;
    envoy.set(Route::Absent);
    let before = envoy.asked();
    reach(&prober, &mut news, Goal::Withdrawn).await;
    assert!(envoy.asked() >= before + 3);
}

#[tokio::test]
async fn an_answer_of_another_unit_means_that_the_route_is_gone() {
    let envoy = Envoy::with(Route::Taken).await;
    let (prober, mut news) = Prober::new(Told::of([&envoy]), 8, Arc::default());
    until(|| last(&prober, Goal::Open).as_deref() == Some("0 of 1 proxies have the route")).await;
    reach(&prober, &mut news, Goal::Withdrawn).await;
}

#[tokio::test]
async fn a_proxy_that_joins_is_asked_too() {
    let envoys = [Envoy::with(Route::Absent).await, Envoy::with(Route::Absent).await];
    let told = Told::of(&envoys[..1]);
    let (prober, mut news) = Prober::new(told.clone(), 8, Arc::default());
    until(|| last(&prober, Goal::Open).as_deref() == Some("0 of 1 proxies have the route")).await;
    told.0.lock().unwrap().as_mut().unwrap().push(envoys[1].proxy.clone());
    envoys[0].set(Route::Open);
    until(|| last(&prober, Goal::Open).as_deref() == Some("1 of 2 proxies have the route")).await;
    envoys[1].set(Route::Open);
    reach(&prober, &mut news, Goal::Open).await;
}

#[tokio::test]
async fn a_listener_with_tls_is_asked_under_its_name_whatever_its_certificate_says() {
    let issued = rcgen::generate_simple_self_signed(["other.example.org".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    let envoy = Envoy::start(Route::Open, Some(TlsAcceptor::from(Arc::new(config)))).await;
    let (prober, mut news) = Prober::new(Told::of([&envoy]), 8, Arc::default());
    reach(&prober, &mut news, Goal::Open).await;
    let request = envoy.requests.lock().unwrap()[0].clone();
    assert!(request.contains("host: ada.units.example.org\r\n"), "{request}");
    assert!(request.contains("sni: ada.units.example.org\r\n"), "{request}");
}

#[tokio::test]
async fn connections_are_limited() {
    let envoy = Envoy::with(Route::Taken).await;
    let (prober, mut news) = Prober::new(Told::of([&envoy]), 2, Arc::default());
    let units: Vec<_> = (0..12).map(|number| target(&format!("unit-{number}"))).collect();
    let done = |unit: &Target| matches!(want(&prober, unit.clone(), Goal::Withdrawn), Progress::Done { .. });
    let all = async {
        loop {
            // Every one is asked about, so that all are under way.
            let open = units.iter().filter(|unit| !done(unit)).count();
            if open == 0 {
                break;
            }
            news.next().await.unwrap();
        }
    };
    timeout(DEADLINE, all).await.unwrap();
    assert!(envoy.asked() >= 36);
    assert_eq!(envoy.most.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn the_same_wish_goes_on_and_another_starts_over() {
    let (prober, _news) = Prober::new(Told::of([]), 8, Arc::default());
    let first = want(&prober, target("ada"), Goal::Guarded);
    until(|| last(&prober, Goal::Guarded).as_deref() == Some("no proxy of Gateway gateways/shared is ready")).await;
    let since = |progress| match progress {
        Progress::Pending { since, .. } => since,
        Progress::Done { at } => at,
    };
    assert_eq!(since(want(&prober, target("ada"), Goal::Guarded)), since(first));
    assert_eq!(last(&prober, Goal::Open), None);
    for other in [
        Target { request: Request { path_and_query: "/".into(), ..target("ada").request }, ..target("ada") },
        Target { route: VerifiedRoute { generation: 2, ..target("ada").route }, ..target("ada") },
    ] {
        until(|| last(&prober, Goal::Open).is_some()).await;
        assert!(matches!(want(&prober, other, Goal::Open), Progress::Pending { last: None, .. }));
    }
    assert_eq!(prober.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn tasks_end_with_their_unit_and_with_the_prober() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (prober, mut news) = Prober::new(Told::of([]), 8, Arc::default());
    for unit in ["ada", "bob"] {
        let _ = want(&prober, target(unit), Goal::Open);
    }
    until(|| tasks() == 2).await;
    prober.stop("ada-uid");
    until(|| tasks() == 1).await;
    assert_eq!(prober.count(), 1);
    drop(prober.clone());
    assert_eq!(tasks(), 1, "a clone is one of several");
    drop(prober);
    until(|| tasks() == 0).await;
    assert_eq!(news.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn news_comes_after_two_seconds_and_a_task_that_nobody_asks_about_ends() {
    let (prober, mut news) = Prober::new(Told::of([]), 8, Arc::default());
    let began = Instant::now();
    let _ = want(&prober, target("ada"), Goal::Open);
    news.next().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 2);
    news.next().await.unwrap();
    assert_eq!(began.elapsed().as_secs() / 10, 6, "it asks whether the unit is still there");
    assert_eq!(prober.count(), 1);
    let quiet = timeout(Duration::from_mins(10), news.next()).await;
    assert!(quiet.is_err());
    assert_eq!(prober.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_without_proxies_has_no_open_route() {
    let told = Told::of([]);
    *told.0.lock().unwrap() = Err("the operator has not listed the Gateways yet".into());
    let (prober, mut news) = Prober::new(told.clone(), 8, Arc::default());
    let _ = want(&prober, target("ada"), Goal::Withdrawn);
    news.next().await.unwrap();
    assert_eq!(last(&prober, Goal::Withdrawn).as_deref(), Some("the operator has not listed the Gateways yet"));
    *told.0.lock().unwrap() = Ok(Vec::new());
    let known = Instant::now();
    reach(&prober, &mut news, Goal::Withdrawn).await;
    assert!(known.elapsed() >= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn what_was_reached_is_known_for_the_length_of_a_lease() {
    let (prober, mut news) = Prober::new(Told::of([]), 8, Arc::default());
    reach(&prober, &mut news, Goal::Withdrawn).await;
    let done = want(&prober, target("ada"), Goal::Withdrawn);
    assert!(timeout(Duration::from_secs(200), news.next()).await.is_err());
    assert_eq!(want(&prober, target("ada"), Goal::Withdrawn), done);
    assert!(timeout(Duration::from_secs(200), news.next()).await.is_err());
    assert_eq!(prober.count(), 1, "asked again, it is kept");
    assert!(timeout(Duration::from_secs(200), news.next()).await.is_err());
    assert_eq!(prober.count(), 0);
}
