//! What a scan costs, and what it does if a proxy cannot be read.

use std::fmt::Write;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    time::Instant,
};

use super::{BEGAN, tracked};
use crate::{
    clock::Now,
    controllers::idle::{
        gateway_signal::{self, Source},
        readings::Readings,
        table::Table,
        tracked::TrackedUnit,
    },
    gateway::{envoy_gateway::EnvoyGateway, provider::Provider},
    metrics::{Metrics, UnreadableReason},
};

/// A proxy that responds with `text`, and the stream of its requests.
async fn proxy(text: String) -> (u16, mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 2048];
            let _ = stream.read(&mut head).await;
            let _ = sender.send(());
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, requests)
}

fn source(address: &str, port: u16) -> Source {
    Source { provider: &EnvoyGateway, addresses: vec![address.to_owned()], terminating: Vec::new(), port }
}

#[tokio::test]
async fn scan_of_a_thousand_units_sends_one_request_to_each_proxy() {
    let units: Vec<TrackedUnit> = (0..1000).map(|number| tracked(&format!("unit-{number}"))).collect();
    let mut text = String::from("envoy_server_uptime{} 5\n");
    for unit in &units {
        let cluster = EnvoyGateway.cluster_name("units", unit.unit.metadata.name.as_deref().unwrap(), 0);
        for (name, value) in [("membership_total", 1), ("upstream_rq_total", 3), ("upstream_cx_rx_bytes_total", 9)] {
            writeln!(text, "envoy_cluster_{name}{{envoy_cluster_name=\"{cluster}\"}} {value}").unwrap();
        }
    }
    let (port, mut requests) = proxy(text).await;
    let (table, metrics) = (Table::default(), Metrics::new());
    let all: Vec<&TrackedUnit> = units.iter().collect();
    let mut writes = Vec::new();
    for _ in 0..3 {
        let read = gateway_signal::read_from(&source("127.0.0.1", port), &all, &metrics).await;
        let now = Now { monotonic: Instant::now(), wall: BEGAN.parse().unwrap() };
        let published = units.iter().zip(read).filter(|(unit, counters)| {
            let readings = Readings { gateway: Some(counters.clone()), ..Readings::default() };
            table.record(unit, &readings, now).publish
        });
        writes.push(published.count());
        requests.recv().await.unwrap();
        assert!(requests.try_recv().is_err(), "one request");
    }
    assert_eq!(writes, [1000, 0, 0], "the first scan publishes idleAt");
    let unknown = gateway_signal::read_from(&source("127.0.0.1", port), &[&tracked("eve")], &metrics).await;
    assert_eq!(unknown[0].as_ref().unwrap_err().reason, UnreadableReason::UnknownRoute);
}

#[tokio::test]
async fn gateway_signal_is_unreadable_if_one_proxy_is() {
    let (port, _requests) = proxy("<html></html>".into()).await;
    let metrics = Metrics::new();
    let ada = tracked("ada");
    for (address, reason) in [("127.0.0.1", UnreadableReason::Invalid), ("127.0.0.2", UnreadableReason::Connection)] {
        let read = gateway_signal::read_from(&source(address, port), &[&ada], &metrics).await;
        let error = read[0].as_ref().unwrap_err();
        assert_eq!(error.reason, reason, "{error}");
        assert!(error.message.contains(address), "{error}");
    }
}
