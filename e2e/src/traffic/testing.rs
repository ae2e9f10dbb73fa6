//! Tests of the module against a fake HTTP/1.1 server.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::*;

const SOON: Duration = Duration::from_secs(5);

/// Answers every request with `answer`, with the peer address in the request extensions. `None` closes the connection.
async fn serve<A>(answer: A) -> SocketAddr
where
    A: Fn(&Request<Incoming>) -> Option<Response<Full<Bytes>>> + Send + Sync + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let answer = Arc::clone(&answer);
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(peer);
                std::future::ready(answer(&request).ok_or("closed"))
            });
            connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

fn by(engine: &str, status: u16) -> Response<Full<Bytes>> {
    let body = Full::from(format!("{engine} says {status}"));
    Response::builder().status(status).header("x-engine", engine).body(body).unwrap()
}

fn target() -> Target {
    Target::new("texera.local", "/wsapi?cuid=42").unwrap().engine("ada")
}

async fn hammered(address: SocketAddr) -> Report {
    let hammering = Hammer::new(&[address], target()).connections(4).start().unwrap();
    hammering.answer_more(200, SOON).await.unwrap();
    hammering.stop().await.unwrap()
}

#[tokio::test]
async fn a_clean_run_is_counted_and_passes() {
    let address = serve(|request| {
        assert_eq!(request.uri(), "/wsapi?cuid=42");
        assert_eq!(request.headers()["host"], "texera.local");
        Some(by("ada", 200))
    })
    .await;
    let report = hammered(address).await;
    report.assert_all_of(&[200]).unwrap();
    assert!(report.count(200) >= 200, "{report}");
    assert_eq!(report.retried, 0, "{report}");
    assert_eq!(report.latency.count(), report.answers());
    assert!(report.assert_all_of(&[200, 404]).is_err());
}

#[tokio::test]
async fn an_error_among_many_answers_is_found_and_shown() {
    let (requests, _) = watch::channel(0);
    let address = serve(move |_| {
        requests.send_modify(|count| *count += 1);
        let status = if *requests.borrow() == 100 { 503 } else { 200 };
        Some(by("ada", status))
    })
    .await;
    let report = hammered(address).await;
    assert_eq!((report.count(503), report.server_errors()), (1, 1));
    let error = report.assert_only(&[200]).unwrap_err().to_string();
    for part in ["503 Service Unavailable", "ada says 503", "x-engine: ada"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
}

#[tokio::test]
async fn another_units_answer_is_found() {
    let report = hammered(serve(|_| Some(by("bob", 200))).await).await;
    assert_eq!(report.misrouted.count, report.answers());
    let bob = By { route: None, engine: Some("bob".to_owned()) };
    assert_eq!(report.statuses[&200].by, [(bob, report.answers())].into());
    let error = report.assert_only(&[200]).unwrap_err().to_string();
    assert!(error.contains("of another unit: "), "{error}");
}

#[tokio::test]
async fn the_end_of_a_reused_connection_is_no_failure_but_that_of_a_new_one_is() {
    let (requests, _) = watch::channel(0);
    let polite = serve(move |_| {
        requests.send_modify(|count| *count += 1);
        (*requests.borrow() % 10 != 0).then(|| by("ada", 200))
    })
    .await;
    let hammering = Hammer::new(&[polite], target()).start().unwrap();
    hammering.answer_more(100, SOON).await.unwrap();
    let report = hammering.stop().await.unwrap();
    report.assert_only(&[200]).unwrap();
    assert!(report.retried >= 10, "{report}");

    let rude = serve(|_| None).await;
    let first = first_success(rude, &target(), Reuse::Kept, Duration::from_millis(50)).await;
    assert!(first.unwrap_err().to_string().contains("closed without a response"));
}

#[tokio::test]
async fn a_connection_that_is_said_to_close_is_opened_again() {
    let address = serve(|_| {
        let mut response = by("ada", 200);
        response.headers_mut().insert("connection", http::HeaderValue::from_static("close"));
        Some(response)
    })
    .await;
    let report = hammered(address).await;
    report.assert_only(&[200]).unwrap();
    assert_eq!(report.retried, 0, "{report}");
}

#[tokio::test]
async fn a_fresh_connection_carries_one_request() {
    let (peers, seen) = watch::channel(BTreeMap::new());
    let address = serve(move |request| {
        let peer = *request.extensions().get::<SocketAddr>().unwrap();
        peers.send_modify(|peers| *peers.entry(peer).or_insert(0) += 1);
        Some(by("ada", if peers.borrow().len() < 5 { 404 } else { 200 }))
    })
    .await;
    let first = first_success(address, &target(), Reuse::Fresh, SOON).await.unwrap();
    assert_eq!(first.before, [(404, 4)].into());
    let hammering = Hammer::new(&[address], target()).reuse(Reuse::Fresh).start().unwrap();
    hammering.answer_more(10, SOON).await.unwrap();
    let report = hammering.stop().await.unwrap();
    report.assert_all_of(&[200]).unwrap();
    assert!(seen.borrow().values().all(|requests| *requests == 1), "{:?}", *seen.borrow());
    assert_eq!(seen.borrow().len() as u64, report.answers() + 5);
}

#[tokio::test]
async fn refused_connections_are_failures() {
    // Bound to reserve the port, but not listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let nobody = socket.local_addr().unwrap();
    let hammering = Hammer::new(&[nobody], target()).start().unwrap();
    assert!(hammering.answer_more(1, Duration::from_millis(50)).await.is_err());
    let report = hammering.stop().await.unwrap();
    assert!(report.failed > 0, "{report}");
    assert!(report.assert_only(&[200]).unwrap_err().to_string().contains("no connection"));
}

#[tokio::test]
async fn a_rate_is_kept() {
    let address = serve(|_| Some(by("ada", 200))).await;
    let hammering = Hammer::new(&[address], target()).connections(2).rate(100.0).start().unwrap();
    hammering.answer_more(20, SOON).await.unwrap();
    let report = hammering.stop().await.unwrap();
    assert!(report.lasted >= Duration::from_millis(150), "{report}");
    assert!(Hammer::new(&[address], target()).rate(0.0).start().is_err());
}

#[tokio::test]
async fn the_first_success_comes_after_what_was_before_it() {
    let (requests, _) = watch::channel(0);
    let address = serve(move |_| {
        requests.send_modify(|count| *count += 1);
        let status = if *requests.borrow() <= 3 { 404 } else { 200 };
        Some(by("ada", status))
    })
    .await;
    let first = first_success(address, &target(), Reuse::Kept, SOON).await.unwrap();
    assert_eq!(first.before, [(404, 3)].into());
    assert_eq!(first.answer.status, StatusCode::OK);
    assert_eq!(first.answer.start(3), "ada");
    assert!(first.after <= SOON);
}

#[tokio::test]
async fn a_switch_may_not_be_taken_back() {
    let statuses = |order: &'static [u16]| {
        let (requests, _) = watch::channel(0);
        serve(move |_| {
            let number: usize = *requests.borrow();
            requests.send_modify(|count| *count += 1);
            Some(by("ada", order[number.min(order.len() - 1)]))
        })
    };
    let run = async |address| {
        let hammering = Hammer::new(&[address], target()).start().unwrap();
        hammering.answer_more(10, SOON).await.unwrap();
        hammering.stop().await.unwrap()
    };
    let straight = run(statuses(&[404, 404, 200]).await).await;
    straight.assert_switched(404, 200, Duration::ZERO).unwrap();
    let taken_back = run(statuses(&[404, 200, 404, 200]).await).await;
    let error = taken_back.assert_switched(404, 200, Duration::ZERO).unwrap_err().to_string();
    assert!(error.contains("404 occurred"), "{error}");
}

/// Serves one WebSocket that echoes one message and then ends, with a close frame if `close` is set.
async fn websocket(close: bool) -> SocketAddr {
    use futures::{SinkExt, StreamExt};
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let message = socket.next().await.unwrap().unwrap();
        socket.send(message).await.unwrap();
        if close {
            socket.close(None).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_websocket_echoes_and_ends() {
    for close in [true, false] {
        let mut socket = Socket::open(websocket(close).await, "texera.local", "/wsapi?cuid=42").await.unwrap();
        assert_eq!(socket.by(), By::default());
        socket.echo("hello").await.unwrap();
        assert_eq!(socket.ended(SOON).await.unwrap().code, None);
    }
}

#[tokio::test]
async fn a_refused_websocket_has_a_status() {
    let address = serve(|_| Some(by("ada", 404))).await;
    let error = Socket::open(address, "texera.local", "/wsapi").await.unwrap_err();
    assert_eq!(refusal(&error), Some(404));
}
