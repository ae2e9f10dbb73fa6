//! The prober against local servers that respond like proxies.

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
use crate::gateway::proxies::{NotListed, Proxy, ProxyResolver, Requests};

const DEADLINE: Duration = Duration::from_secs(20);

/// The route of the unit `ada` at a proxy.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Route {
    Absent,
    Guarded,
    Open,
    /// The proxy has the route and no endpoints.
    NoEndpoints,
    /// The route of another unit matches.
    OtherUnit,
}

/// A server that responds like a proxy.
struct Envoy {
    proxy: Proxy,
    route: Arc<Mutex<Route>>,
    requests: Arc<Mutex<Vec<String>>>,
    /// The route after so many requests.
    then: Arc<Mutex<Option<(usize, Route)>>>,
    /// The largest number of concurrent requests.
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
            then: Arc::default(),
            most: Arc::default(),
        };
        let (route, requests, then, most) =
            (envoy.route.clone(), envoy.requests.clone(), envoy.then.clone(), envoy.most.clone());
        let now = Arc::new(AtomicUsize::new(0));
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (route, requests, then, tls) = (route.clone(), requests.clone(), then.clone(), tls.clone());
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
                        if let Some((from, next)) = *then.lock().unwrap()
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

    /// Changes the route after so many requests.
    fn changes_after(self, requests: usize, route: Route) -> Self {
        *self.then.lock().unwrap() = Some((requests, route));
        self
    }

    fn request_count(&self) -> usize {
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
    // Until the prober resets the connection.
    let _ = stream.read_u8().await;
}

fn answer(route: Route, request: &str) -> String {
    let guarded = request.contains(&format!("{}: ada-uid\r\n", headers::GUARD));
    let (status, unit) = match route {
        Route::Open => (200, Some("ada-uid")),
        Route::Guarded if guarded => (200, Some("ada-uid")),
        Route::NoEndpoints => (503, Some("ada-uid")),
        Route::OtherUnit => (200, Some("bob-uid")),
        Route::Guarded | Route::Absent => (404, None),
    };
    let unit = unit.map(|uid| format!("{}: {uid}\r\n", headers::UNIT)).unwrap_or_default();
    format!("HTTP/1.1 {status} Answer\r\n{unit}content-length: 0\r\n\r\n")
}

#[derive(Clone)]
struct FakeResolver(Arc<Mutex<Result<Vec<Proxy>, NotListed>>>);

impl FakeResolver {
    fn of<'a>(envoys: impl IntoIterator<Item = &'a Envoy>) -> Self {
        Self(Arc::new(Mutex::new(Ok(envoys.into_iter().map(|envoy| envoy.proxy.clone()).collect()))))
    }
}

impl ProxyResolver for FakeResolver {
    fn resolve(&self, _: &GatewayRef, _: Requests<'_>) -> Result<Vec<Proxy>, NotListed> {
        self.0.lock().unwrap().clone()
    }
}

fn target(unit: &str) -> Target {
    Target {
        unit: ObjectRef::new(unit).within("units"),
        uid: format!("{unit}-uid"),
        route: VerifiedRoute { uid: "route-uid".into(), generation: 1, ..VerifiedRoute::default() },
        gateway: GatewayRef { name: "shared".into(), namespace: "gateways".into(), section_name: None },
        request: Request { method: ProbeMethod::Head, host: None, path_and_query: "/wsapi?cuid=42".into() },
    }
}

/// Starts a probe unless it is running, and reads its progress.
fn progress(prober: &Prober, target: Target, goal: Goal) -> Progress {
    let current = |report: &Report| report.goal == goal && report.target == target;
    if let Some(report) = prober.report(&target.uid).filter(current) {
        return report.progress;
    }
    prober.start(target.clone(), goal);
    prober.report(&target.uid).unwrap().progress
}

/// Waits until `goal` of `ada` is reached, reading the progress only when woken.
async fn reach(prober: &Prober, wakes: &mut (impl Stream<Item = ObjectRef<ComputingUnit>> + Unpin), goal: Goal) {
    let reached = async {
        while !matches!(progress(prober, target("ada"), goal), Progress::Done { .. }) {
            assert_eq!(wakes.next().await.unwrap(), target("ada").unit);
        }
    };
    timeout(DEADLINE, reached).await.unwrap();
}

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
    match progress(prober, target("ada"), goal) {
        Progress::Pending { last, .. } => last,
        Progress::Done { .. } => None,
    }
}

#[tokio::test]
async fn guarded_route_is_confirmed_when_the_last_proxy_has_it() {
    let late = Envoy::with(Route::Absent).await.changes_after(5, Route::Guarded);
    let others = [Envoy::with(Route::Guarded).await, Envoy::with(Route::Guarded).await];
    let (prober, mut wakes) = Prober::new(FakeResolver::of(others.iter().chain([&late])), 8, Arc::default());
    reach(&prober, &mut wakes, Goal::Guarded).await;
    assert_eq!(late.request_count(), 6);
    assert_eq!(others.map(|envoy| envoy.request_count()), [1, 1], "a proxy that confirmed is not probed again");
}

#[tokio::test]
async fn open_route_is_probed_without_the_guard_header() {
    let envoy = Envoy::with(Route::Guarded).await;
    let (prober, mut wakes) = Prober::new(FakeResolver::of([&envoy]), 8, Arc::default());
    reach(&prober, &mut wakes, Goal::Guarded).await;
    until(|| last(&prober, Goal::Open).as_deref() == Some("0 of 1 proxies have the route")).await;
    envoy.set(Route::Open);
    reach(&prober, &mut wakes, Goal::Open).await;
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
async fn route_without_endpoints_is_not_confirmed() {
    let envoy = Envoy::with(Route::NoEndpoints).await;
    let (prober, mut wakes) = Prober::new(FakeResolver::of([&envoy]), 8, Arc::default());
    let expected = format!("proxy {} responded with 503", envoy.proxy);
    until(|| last(&prober, Goal::Open).as_ref() == Some(&expected)).await;
    envoy.set(Route::Open);
    reach(&prober, &mut wakes, Goal::Open).await;
}

#[tokio::test]
async fn proxy_that_refuses_connections_is_reported() {
    let envoy = Envoy::with(Route::Open).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let resolver = FakeResolver::of([&envoy]);
    let down = Proxy { port: free, ..envoy.proxy.clone() };
    resolver.0.lock().unwrap().as_mut().unwrap().push(down.clone());
    let (prober, mut wakes) = Prober::new(resolver.clone(), 8, Arc::default());
    let expected = format!("proxy {down} cannot be reached: connection refused");
    until(|| last(&prober, Goal::Open).as_ref() == Some(&expected)).await;
    resolver.0.lock().unwrap().as_mut().unwrap().pop();
    reach(&prober, &mut wakes, Goal::Open).await;
}

#[tokio::test]
async fn withdrawal_is_confirmed_by_three_probes_of_every_proxy() {
    let envoys = [Envoy::with(Route::Open).await, Envoy::with(Route::Absent).await];
    let (prober, mut wakes) = Prober::new(FakeResolver::of(&envoys), 8, Arc::default());
    until(|| last(&prober, Goal::Withdrawn).as_deref() == Some("1 of 2 proxies still have the route")).await;
    assert_eq!(envoys[1].request_count(), 3);
    envoys[0].set(Route::Guarded);
    reach(&prober, &mut wakes, Goal::Withdrawn).await;
    assert!(envoys[0].request_count() >= 4);
    assert_eq!(envoys[1].request_count(), 3);
}

#[tokio::test]
async fn withdrawal_is_not_confirmed_when_a_later_probe_matches() {
    let envoy = Envoy::with(Route::Absent).await.changes_after(2, Route::Open);
    let (prober, mut wakes) = Prober::new(FakeResolver::of([&envoy]), 8, Arc::default());
    until(|| last(&prober, Goal::Withdrawn).as_deref() == Some("1 of 1 proxies still have the route")).await;
    *envoy.then.lock().unwrap() = None;
    envoy.set(Route::Absent);
    let before = envoy.request_count();
    reach(&prober, &mut wakes, Goal::Withdrawn).await;
    assert!(envoy.request_count() >= before + 3);
}

#[tokio::test]
async fn response_of_another_unit_confirms_a_withdrawal() {
    let envoy = Envoy::with(Route::OtherUnit).await;
    let (prober, mut wakes) = Prober::new(FakeResolver::of([&envoy]), 8, Arc::default());
    until(|| last(&prober, Goal::Open).as_deref() == Some("0 of 1 proxies have the route")).await;
    reach(&prober, &mut wakes, Goal::Withdrawn).await;
}

#[tokio::test]
async fn proxy_that_is_added_is_probed_too() {
    let envoys = [Envoy::with(Route::Absent).await, Envoy::with(Route::Absent).await];
    let resolver = FakeResolver::of(&envoys[..1]);
    let (prober, mut wakes) = Prober::new(resolver.clone(), 8, Arc::default());
    until(|| last(&prober, Goal::Open).as_deref() == Some("0 of 1 proxies have the route")).await;
    resolver.0.lock().unwrap().as_mut().unwrap().push(envoys[1].proxy.clone());
    envoys[0].set(Route::Open);
    until(|| last(&prober, Goal::Open).as_deref() == Some("1 of 2 proxies have the route")).await;
    envoys[1].set(Route::Open);
    reach(&prober, &mut wakes, Goal::Open).await;
}

#[tokio::test]
async fn tls_listener_is_probed_by_its_host_name_with_any_certificate() {
    let issued = rcgen::generate_simple_self_signed(["other.example.org".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    let envoy = Envoy::start(Route::Open, Some(TlsAcceptor::from(Arc::new(config)))).await;
    let (prober, mut wakes) = Prober::new(FakeResolver::of([&envoy]), 8, Arc::default());
    reach(&prober, &mut wakes, Goal::Open).await;
    let request = envoy.requests.lock().unwrap()[0].clone();
    assert!(request.contains("host: ada.units.example.org\r\n"), "{request}");
    assert!(request.contains("sni: ada.units.example.org\r\n"), "{request}");
}

#[tokio::test]
async fn connections_do_not_exceed_the_limit() {
    let envoy = Envoy::with(Route::OtherUnit).await;
    let (prober, mut wakes) = Prober::new(FakeResolver::of([&envoy]), 2, Arc::default());
    let units: Vec<_> = (0..12).map(|number| target(&format!("unit-{number}"))).collect();
    let done = |unit: &Target| matches!(progress(&prober, unit.clone(), Goal::Withdrawn), Progress::Done { .. });
    let all = async {
        loop {
            // Without `any`, so that all probes are started.
            let open = units.iter().filter(|unit| !done(unit)).count();
            if open == 0 {
                break;
            }
            wakes.next().await.unwrap();
        }
    };
    timeout(DEADLINE, all).await.unwrap();
    assert!(envoy.request_count() >= 36);
    assert_eq!(envoy.most.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn probe_starts_over_when_its_target_changes() {
    let (prober, _wakes) = Prober::new(FakeResolver::of([]), 8, Arc::default());
    let first = progress(&prober, target("ada"), Goal::Guarded);
    until(|| last(&prober, Goal::Guarded).as_deref() == Some("no proxy of Gateway gateways/shared is ready")).await;
    let since = |progress| match progress {
        Progress::Pending { since, .. } => since,
        Progress::Done { at } => at,
    };
    assert_eq!(since(progress(&prober, target("ada"), Goal::Guarded)), since(first));
    assert_eq!(last(&prober, Goal::Open), None);
    for other in [
        Target { request: Request { path_and_query: "/".into(), ..target("ada").request }, ..target("ada") },
        Target { route: VerifiedRoute { generation: 2, ..target("ada").route }, ..target("ada") },
    ] {
        until(|| last(&prober, Goal::Open).is_some()).await;
        assert!(matches!(progress(&prober, other, Goal::Open), Progress::Pending { last: None, .. }));
    }
    assert_eq!(prober.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn task_ends_with_its_unit_and_with_the_prober() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (prober, mut wakes) = Prober::new(FakeResolver::of([]), 8, Arc::default());
    for unit in ["ada", "bob"] {
        let _ = progress(&prober, target(unit), Goal::Open);
    }
    until(|| tasks() == 2).await;
    prober.stop("ada-uid");
    until(|| tasks() == 1).await;
    assert_eq!(prober.count(), 1);
    drop(prober.clone());
    assert_eq!(tasks(), 1, "another clone is left");
    drop(prober);
    until(|| tasks() == 0).await;
    assert_eq!(wakes.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn unit_is_woken_after_two_seconds_and_an_unread_probe_ends() {
    let (prober, mut wakes) = Prober::new(FakeResolver::of([]), 8, Arc::default());
    let began = Instant::now();
    let _ = progress(&prober, target("ada"), Goal::Open);
    wakes.next().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 2);
    wakes.next().await.unwrap();
    assert_eq!(began.elapsed().as_secs() / 10, 6, "a reminder");
    assert_eq!(prober.count(), 1);
    let quiet = timeout(Duration::from_mins(10), wakes.next()).await;
    assert!(quiet.is_err());
    assert_eq!(prober.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn withdrawal_is_confirmed_when_the_gateway_has_no_proxies() {
    let resolver = FakeResolver::of([]);
    *resolver.0.lock().unwrap() = Err(NotListed("Gateways"));
    let (prober, mut wakes) = Prober::new(resolver.clone(), 8, Arc::default());
    let _ = progress(&prober, target("ada"), Goal::Withdrawn);
    wakes.next().await.unwrap();
    assert_eq!(last(&prober, Goal::Withdrawn).as_deref(), Some("the operator has not listed the Gateways yet"));
    *resolver.0.lock().unwrap() = Ok(Vec::new());
    let known = Instant::now();
    reach(&prober, &mut wakes, Goal::Withdrawn).await;
    assert!(known.elapsed() >= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn result_is_kept_for_five_minutes_after_it_was_read() {
    let (prober, mut wakes) = Prober::new(FakeResolver::of([]), 8, Arc::default());
    reach(&prober, &mut wakes, Goal::Withdrawn).await;
    let done = progress(&prober, target("ada"), Goal::Withdrawn);
    assert!(timeout(Duration::from_secs(200), wakes.next()).await.is_err());
    assert_eq!(progress(&prober, target("ada"), Goal::Withdrawn), done);
    assert!(timeout(Duration::from_secs(200), wakes.next()).await.is_err());
    assert_eq!(prober.count(), 1, "reading it kept it running");
    assert!(timeout(Duration::from_secs(200), wakes.next()).await.is_err());
    assert_eq!(prober.count(), 0);
}
