//! Tests of the proxy between a real client and a fake API server.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::header::{CONNECTION, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{interval, timeout};

use super::super::*;

const SOON: Duration = Duration::from_secs(5);
const POD: &str = "/api/v1/namespaces/a/pods/b?fieldManager=operator";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/a/leases/b";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/a/events";

/// A fake API server: answers writes with 201, watches with an endless stream, upgrades with an echo, and other
/// requests with 200.
struct Server {
    address: SocketAddr,
    requests: watch::Receiver<u64>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = watch::channel(0);
        let sender = Arc::new(sender);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let sender = Arc::clone(&sender);
                let service = service_fn(move |request: Request<Incoming>| {
                    sender.send_modify(|count| *count += 1);
                    reply(request)
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades());
            }
        });
        Self { address, requests }
    }

    fn asked(&self) -> u64 {
        *self.requests.borrow()
    }
}

async fn reply(mut request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    if let Some(protocol) = request.headers().get(UPGRADE).cloned() {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async {
            let (mut from, mut to) = tokio::io::split(TokioIo::new(upgrade.await.unwrap()));
            tokio::io::copy(&mut from, &mut to).await
        });
        let switch = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS).header(UPGRADE, protocol);
        return Ok(switch.header(CONNECTION, UPGRADE).body(BodyExt::boxed(Full::default())).unwrap());
    }
    let watch = request.uri().query() == Some("watch=true");
    let status = if request.method() == Method::GET { StatusCode::OK } else { StatusCode::CREATED };
    let sent = request.into_body().collect().await.unwrap().to_bytes();
    let body = if watch {
        let first = stream::iter([Ok(Frame::data(Bytes::from_static(b"first\n")))]);
        BodyExt::boxed(StreamBody::new(first.chain(stream::pending())))
    } else {
        BodyExt::boxed(Full::new(sent))
    };
    Ok(Response::builder().status(status).header("x-server", "yes").body(body).unwrap())
}

/// The client of the operator, the proxy and the API server.
async fn chain() -> (Client, ApiProxy, Server) {
    let server = Server::start().await;
    let config = Config::new(format!("http://{}", server.address).parse().unwrap());
    let proxy = ApiProxy::start(config).await.unwrap();
    let kubeconfig = Kubeconfig::read_from(proxy.kubeconfig()).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    (Client::try_from(config).unwrap(), proxy, server)
}

/// The status of the response. `None` if the connection was closed instead.
async fn send(client: &Client, method: Method, uri: &str) -> Option<u16> {
    let request = Request::builder().method(method).uri(uri).body(Body::from(b"sent".to_vec())).unwrap();
    let exchange = async {
        let response = client.send(request).await.ok()?;
        let status = response.status().as_u16();
        response.into_body().collect_bytes().await.ok()?;
        Some(status)
    };
    timeout(SOON, exchange).await.unwrap()
}

/// The numbers of writes, writes of Leases, writes of Events, reads and watches.
fn by_class(counts: &Counts) -> [u64; 5] {
    [Class::Write, Class::Lease, Class::Event, Class::Read, Class::Watch].map(|class| counts.of(class))
}

#[tokio::test]
async fn calls_pass_unchanged_and_are_counted() {
    let (client, proxy, _server) = chain().await;
    let request = Request::patch(POD).body(Body::from(b"sent".to_vec())).unwrap();
    let response = client.send(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["x-server"], "yes");
    assert_eq!(response.into_body().collect_bytes().await.unwrap(), "sent");

    send(&client, Method::PATCH, LEASE).await.unwrap();
    send(&client, Method::POST, EVENTS).await.unwrap();
    send(&client, Method::GET, "/api/v1/pods").await.unwrap();
    let counts = proxy.counts();
    assert_eq!(by_class(&counts), [1, 1, 1, 1, 0]);

    let writes = proxy.writes();
    assert_eq!(writes.len(), 1);
    assert_eq!(writes[0].call.field_manager(), Some("operator"));
    assert_eq!(writes[0].call.resource, "pods");
    assert_eq!(writes[0].body, "sent");
    assert_eq!(writes[0].outcome, Outcome::Answered(201));
    send(&client, Method::DELETE, POD).await.unwrap();
    assert_eq!(proxy.counts().since(&counts).to_string().lines().nth(1), Some("  1: delete pods -n a b"));
    let description = proxy.describe(&counts);
    assert!(description.contains("patch pods -n a b: Answered(201)"), "{description}");
}

#[tokio::test]
async fn watches_are_streamed() {
    let (client, proxy, _server) = chain().await;
    let request = Request::get("/api/v1/pods?watch=true").body(Body::empty()).unwrap();
    let response = client.send(request).await.unwrap();
    let mut body = response.into_body();
    let frame = timeout(SOON, body.frame()).await.unwrap().unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "first\n");
    assert_eq!(by_class(&proxy.counts()), [0, 0, 0, 0, 1]);

    proxy.cut_at(0, LastWrite::Answered).await;
    assert!(timeout(SOON, body.frame()).await.unwrap().is_none(), "the watch outlives the cut");
}

#[tokio::test]
async fn upgraded_connections_are_tunnels() {
    let (_client, proxy, _server) = chain().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let request =
        "GET /api/v1/namespaces/a/pods/b/exec HTTP/1.1\r\nHost: proxy\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n\r\n") {
        received.push(timeout(SOON, stream.read_u8()).await.unwrap().unwrap());
    }
    let head = String::from_utf8(received).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("upgrade: echo"), "{head}");
    stream.write_all(b"there and back").await.unwrap();
    let mut echo = [0; 14];
    timeout(SOON, stream.read_exact(&mut echo)).await.unwrap().unwrap();
    assert_eq!(&echo, b"there and back");
    drop(proxy);
    assert_eq!(timeout(SOON, stream.read(&mut echo)).await.unwrap().unwrap_or(0), 0, "the tunnel outlives the proxy");
}

#[tokio::test]
async fn a_cut_comes_with_the_nth_write_and_lasts_until_it_is_mended() {
    for (last, told, outcome, asked) in [
        (LastWrite::Answered, Some(201), Outcome::Answered(201), 4),
        (LastWrite::Unanswered, None, Outcome::Lost(201), 4),
        (LastWrite::Refused, None, Outcome::Refused, 3),
    ] {
        let (client, proxy, server) = chain().await;
        let cut = proxy.cut_at(2, last).await;
        assert_eq!(send(&client, Method::PATCH, POD).await, Some(201));
        assert_eq!(send(&client, Method::PATCH, LEASE).await, Some(201));
        assert_eq!(send(&client, Method::POST, EVENTS).await, Some(201));
        assert!(!cut.has_come());
        let (answer, call) = tokio::join!(send(&client, Method::PATCH, POD), async {
            let call = cut.come(SOON).await.unwrap();
            assert_eq!(proxy.writes().last().unwrap().outcome, outcome, "when the cut is reported");
            call
        });
        assert_eq!((answer, call.name.as_str()), (told, "b"));
        for (method, uri) in [(Method::PATCH, POD), (Method::PATCH, LEASE), (Method::GET, "/version")] {
            assert_eq!(send(&client, method, uri).await, None);
        }
        assert_eq!(server.asked(), asked);
        assert_eq!(proxy.counts().total(), asked);
        proxy.restore().await;
        assert_eq!(send(&client, Method::PATCH, POD).await, Some(201));
    }
}

#[tokio::test]
async fn no_write_overtakes_a_cut() {
    let (client, proxy, server) = chain().await;
    let cut = proxy.cut_at(3, LastWrite::Unanswered).await;
    let writes = futures::future::join_all((0..20).map(|_| send(&client, Method::PATCH, POD)));
    let answered = writes.await.into_iter().flatten().count();
    assert_eq!((answered, server.asked()), (2, 3));
    assert!(cut.has_come());
}

#[tokio::test]
async fn a_cut_can_be_called_off() {
    let (client, proxy, _server) = chain().await;
    let cut = proxy.cut_at(1, LastWrite::Unanswered).await;
    proxy.restore().await;
    assert!(cut.come(SOON).await.unwrap_err().to_string().contains("the cut was removed"));
    proxy.cut_at(0, LastWrite::Unanswered).await;
    assert_eq!(send(&client, Method::GET, "/version").await, None);
}

#[tokio::test]
async fn faults_meet_the_calls_they_match() {
    let (client, proxy, server) = chain().await;
    proxy.inject(Fault::answer(StatusCode::CONFLICT).times(2).when(Call::is_write));
    assert_eq!(send(&client, Method::PATCH, LEASE).await, Some(201));
    assert_eq!(send(&client, Method::PATCH, POD).await, Some(409));
    assert_eq!(send(&client, Method::PATCH, POD).await, Some(409));
    assert_eq!(send(&client, Method::PATCH, POD).await, Some(201));
    assert_eq!(server.asked(), 2);

    proxy.inject(Fault::refuse());
    assert_eq!(send(&client, Method::GET, "/version").await, None);
    assert_eq!(server.asked(), 2);

    proxy.inject(Fault::lose());
    assert_eq!(send(&client, Method::PATCH, POD).await, None);
    assert_eq!(server.asked(), 3);
    assert_eq!(proxy.writes().last().unwrap().outcome, Outcome::Lost(201));

    proxy.inject(Fault::delay(Duration::from_millis(50)));
    let start = Instant::now();
    assert_eq!(send(&client, Method::PATCH, POD).await, Some(201));
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_group_that_is_not_served_is_not_found_until_the_proxy_is_mended() {
    let (client, proxy, server) = chain().await;
    let routes = "/apis/gateway.networking.k8s.io/v1/httproutes";
    proxy.inject(Fault::not_served("gateway.networking.k8s.io"));
    for uri in [routes, &format!("{routes}?watch=true"), "/apis/gateway.networking.k8s.io/v1"] {
        assert_eq!(send(&client, Method::GET, uri).await, Some(404), "{uri}");
    }
    assert_eq!(server.asked(), 0);
    assert_eq!(send(&client, Method::GET, "/api/v1/pods").await, Some(200));
    proxy.restore().await;
    assert_eq!(send(&client, Method::GET, routes).await, Some(200));
}

#[tokio::test]
async fn silence_is_waited_for_and_leases_do_not_break_it() {
    let (client, proxy, _server) = chain().await;
    let chatter = async |method: Method, uri| {
        let mut pace = interval(Duration::from_millis(1));
        loop {
            pace.tick().await;
            send(&client, method.clone(), uri).await;
        }
    };
    let quiet = |span, deadline| proxy.quiet(Duration::from_millis(span), deadline);
    tokio::select! {
        () = chatter(Method::PATCH, LEASE) => unreachable!(),
        counts = quiet(100, SOON) => assert_eq!(counts.unwrap().writes(), 0),
    }
    tokio::select! {
        () = chatter(Method::GET, POD) => unreachable!(),
        counts = quiet(1000, Duration::from_millis(1500)) => {
            let error = counts.unwrap_err().to_string();
            assert!(error.contains("get pods -n a b"), "{error}");
        }
    }
}

#[tokio::test]
async fn an_injected_answer_reads_like_the_api_servers() {
    let (client, proxy, _server) = chain().await;
    proxy.inject(Fault::answer(StatusCode::CONFLICT));
    let request = Request::get("/api/v1/namespaces/a/pods/b").body(Vec::new()).unwrap();
    match client.request::<serde_json::Value>(request).await {
        Err(kube::Error::Api(status)) => assert!(status.is_conflict(), "{status:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_kubeconfig_is_gone_with_its_proxy() {
    let (_client, proxy, _server) = chain().await;
    let path = proxy.kubeconfig().to_owned();
    assert!(path.exists());
    drop(proxy);
    assert!(!path.exists());
}
