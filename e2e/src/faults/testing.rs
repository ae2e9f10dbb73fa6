//! The proxy between a real client and a little API server, and processes that stand in for an operator.

use std::convert::Infallible;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, stream};
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
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{interval, timeout};

use super::*;

const SOON: Duration = Duration::from_secs(5);
const POD: &str = "/api/v1/namespaces/a/pods/b?fieldManager=operator";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/a/leases/b";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/a/events";

/// An API server that answers 201 to writes, a stream that does not end to watches, and 200 to the rest.
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
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, requests }
    }

    fn asked(&self) -> u64 {
        *self.requests.borrow()
    }
}

async fn reply(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
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

/// The three of them: operator's client, proxy, API server.
async fn chain() -> (Client, ApiProxy, Server) {
    let server = Server::start().await;
    let config = Config::new(format!("http://{}", server.address).parse().unwrap());
    let proxy = ApiProxy::start(config).await.unwrap();
    let kubeconfig = Kubeconfig::read_from(proxy.kubeconfig()).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    (Client::try_from(config).unwrap(), proxy, server)
}

async fn send(client: &Client, method: Method, uri: &str) -> Option<u16> {
    let request = Request::builder().method(method).uri(uri).body(Body::from(b"sent".to_vec())).unwrap();
    let response = client.send(request).await.ok()?;
    let status = response.status().as_u16();
    response.into_body().collect_bytes().await.ok()?;
    Some(status)
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
    assert_eq!(proxy.counts(), Counts { lease: 1, event: 1, object: 1, read: 1, watch: 0 });

    let writes = proxy.writes();
    assert_eq!(writes.len(), 3);
    assert_eq!(writes[0].call.field_manager(), Some("operator"));
    assert_eq!(writes[0].call.resource, "pods");
    assert_eq!(writes[0].outcome, Outcome::Answered(201));
    proxy.reset();
    assert_eq!(proxy.counts(), Counts::default());
}

#[tokio::test]
async fn watches_are_streamed() {
    let (client, proxy, _server) = chain().await;
    let request = Request::get("/api/v1/pods?watch=true").body(Body::empty()).unwrap();
    let response = client.send(request).await.unwrap();
    let mut body = response.into_body();
    let frame = timeout(SOON, body.frame()).await.unwrap().unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "first\n");
    assert_eq!(proxy.counts(), Counts { watch: 1, ..Counts::default() });
}

#[tokio::test]
async fn a_cut_comes_after_the_nth_write_and_lasts_until_it_is_mended() {
    for (last, told, outcome) in
        [(LastAnswer::Delivered, Some(201), Outcome::Answered(201)), (LastAnswer::Lost, None, Outcome::Lost(201))]
    {
        let (client, proxy, server) = chain().await;
        let cut = proxy.cut_after(2, last).await;
        assert_eq!(send(&client, Method::PATCH, POD).await, Some(201));
        assert_eq!(send(&client, Method::PATCH, LEASE).await, Some(201));
        assert_eq!(send(&client, Method::POST, EVENTS).await, Some(201));
        assert!(!cut.has_come());
        assert_eq!(send(&client, Method::PATCH, POD).await, told);
        assert_eq!(cut.come(SOON).await.unwrap().name, "b");
        assert_eq!(proxy.writes().last().unwrap().outcome, outcome);
        for (method, uri) in [(Method::PATCH, POD), (Method::PATCH, LEASE), (Method::GET, "/version")] {
            assert_eq!(send(&client, method, uri).await, None);
        }
        assert_eq!(server.asked(), 4);
        assert_eq!(proxy.counts(), Counts { lease: 1, event: 1, object: 2, ..Counts::default() });
        proxy.mend().await;
        assert_eq!(send(&client, Method::PATCH, POD).await, Some(201));
    }
}

#[tokio::test]
async fn no_write_overtakes_a_cut() {
    let (client, proxy, server) = chain().await;
    let cut = proxy.cut_after(3, LastAnswer::Lost).await;
    let writes = futures::future::join_all((0..20).map(|_| send(&client, Method::PATCH, POD)));
    let answered = writes.await.into_iter().flatten().count();
    assert_eq!((answered, server.asked()), (2, 3));
    assert!(cut.has_come());
}

#[tokio::test]
async fn a_cut_can_be_called_off() {
    let (client, proxy, _server) = chain().await;
    let cut = proxy.cut_after(1, LastAnswer::Lost).await;
    proxy.mend().await;
    assert!(cut.come(SOON).await.unwrap_err().to_string().contains("called off"));
    proxy.cut_after(0, LastAnswer::Lost).await;
    assert_eq!(send(&client, Method::GET, "/version").await, None);
}

#[tokio::test]
async fn faults_meet_the_calls_they_match() {
    let (client, proxy, server) = chain().await;
    proxy.inject(Fault::answer(StatusCode::CONFLICT).times(2).when(Call::is_object_write));
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

/// A directory of this test alone, in which `run` is a shell, so that `env run ...` can stand in for an operator.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        symlink("/bin/sh", path.join("run")).unwrap();
        Self(path)
    }

    fn operator(&self, script: &str) -> Operator {
        Operator::new(Path::new("/usr/bin/env"), Path::new("/the/kubeconfig"), &self.0.join("log"))
            .args(["-c", script])
            .env("PATH", self.0.to_str().unwrap())
    }

    async fn logged(&self, text: &str) {
        let mut pace = interval(Duration::from_millis(5));
        let log = self.0.join("log");
        let logged = async {
            while !fs::read_to_string(&log).unwrap_or_default().contains(text) {
                pace.tick().await;
            }
        };
        timeout(SOON, logged).await.unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn an_operator_that_ends_is_not_ready_and_its_log_is_shown() {
    let directory = Directory::new("operator-ends");
    let mut process = directory.operator("echo on $KUBECONFIG; exit 7").start().unwrap();
    let error = process.ready(free_address().unwrap(), SOON).await.unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("on /the/kubeconfig") && error.contains("exit status: 7"), "{error}");
}

#[tokio::test]
async fn an_operator_is_ready_when_it_says_so_and_dies_when_it_is_killed() {
    let directory = Directory::new("operator-killed");
    let mut process = directory.operator("trap '' TERM; echo up; while :; do /bin/sleep 0.05; done").start().unwrap();
    let pid = process.id().unwrap();
    // The little API server answers any GET with 200.
    process.ready(Server::start().await.address, SOON).await.unwrap();
    process.kill().await.unwrap();
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn an_operator_may_end_in_its_own_way() {
    let directory = Directory::new("operator-terminated");
    let operator = directory.operator("trap 'exit 3' TERM; echo up; while :; do /bin/sleep 0.05; done");
    let process = operator.start().unwrap();
    directory.logged("up").await;
    assert_eq!(process.terminate(SOON).await.unwrap().code(), Some(3));

    let mut process = directory.operator("exit 4").start().unwrap();
    assert_eq!(process.ended(SOON).await.unwrap().code(), Some(4));

    let stubborn = directory.operator("trap '' TERM; echo deaf; while :; do /bin/sleep 0.05; done");
    let process = stubborn.start().unwrap();
    directory.logged("deaf").await;
    let error = process.terminate(Duration::from_millis(50)).await.unwrap_err();
    assert!(error.to_string().contains("after SIGTERM"), "{error}");
}
