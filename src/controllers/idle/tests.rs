//! What is concluded from a series of readings, and what a look at a thousand units costs.

use std::{fmt::Write, sync::Arc, time::Duration};

use computing_unit_api::{Activity, IdleAction};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    time::Instant,
};

use super::{
    clock::Now,
    counters::Count,
    proxies,
    readings::{Readings, Unreadable},
    statistics::cluster,
    table::Table,
    terms::Terms,
    usage::Verdict,
    watched::Watched,
};
use crate::{
    metrics::{Metrics, Unread},
    testing,
};

const BEGAN: &str = "2026-01-01T00:00:00Z";
const INTERVAL: u64 = 30;
const MINUTE: u64 = 60;

fn watched(name: &str) -> Watched {
    Watched {
        unit: Arc::new(testing::unit(name, None, BEGAN)),
        uid: format!("{name}-uid"),
        pool: Arc::new(testing::pool(testing::query_routing())),
        pod: format!("{name}-pod"),
        address: "127.0.0.1".to_owned(),
        started: BEGAN.parse().unwrap(),
        terms: Terms {
            timeout: Duration::from_hours(1),
            action: IdleAction::Suspend,
            grace: Duration::from_mins(5),
            interval: Duration::from_secs(INTERVAL),
            bytes_per_second: 200,
        },
    }
}

/// A unit and the time.
struct Case {
    table: Table,
    watched: Watched,
    start: Instant,
    seconds: u64,
    /// How far the clock on the wall was set.
    set: i64,
    writes: usize,
}

impl Case {
    fn new() -> Self {
        let start = Instant::now() + Duration::from_hours(24);
        Self { table: Table::default(), watched: watched("ada"), start, seconds: 0, set: 0, writes: 0 }
    }

    fn now(&self) -> Now {
        let seconds = i64::try_from(self.seconds).unwrap() + self.set;
        let wall: Timestamp = BEGAN.parse().unwrap();
        Now { running: self.start + Duration::from_secs(self.seconds), wall: wall + SignedDuration::from_secs(seconds) }
    }

    fn take(&mut self, readings: &Readings) -> Verdict {
        let verdict = self.table.take(&self.watched, readings, self.now());
        self.writes += usize::from(verdict.news);
        verdict
    }

    /// Reads the same again and again for so long; the second at which it was due.
    fn pass(&mut self, seconds: u64, readings: impl Fn(u64) -> Readings) -> Option<u64> {
        let end = self.seconds + seconds;
        while self.seconds < end {
            self.seconds += INTERVAL;
            if self.take(&readings(self.seconds)).due {
                return Some(self.seconds);
            }
        }
        None
    }

    fn shown(&self) -> Activity {
        self.table.published("ada-uid").unwrap()
    }

    fn idle_at(&self) -> Option<i64> {
        let began: Timestamp = BEGAN.parse().unwrap();
        Some(self.shown().idle_at?.0.duration_since(began).as_secs())
    }
}

fn counts(all: &[(&str, u64, u64, u64)]) -> Readings {
    let count = |(proxy, requests, bytes, uptime): &(&str, u64, u64, u64)| {
        ((*proxy).to_owned(), Count { requests: *requests, bytes: *bytes, uptime: Some(*uptime) })
    };
    Readings { gateway: Some(Ok(all.iter().map(count).collect())), ..Readings::default() }
}

fn quiet(uptime: u64) -> Readings {
    counts(&[("a", 7, 1000, uptime)])
}

fn unreadable() -> Unreadable {
    Unreadable::new(Unread::Timeout, "the proxy a does not answer")
}

#[test]
fn a_quiet_unit_is_due_after_its_timeout_and_told_before() {
    let mut case = Case::new();
    let first = case.take(&quiet(0));
    assert_eq!(first, Verdict { due: false, soon: false, news: true });
    assert_eq!((case.shown().source.as_deref(), case.idle_at()), (Some("Start"), Some(3600)));
    assert_eq!(case.pass(3000 - INTERVAL, quiet), None);
    case.seconds += INTERVAL;
    assert!(case.take(&quiet(case.seconds)).soon, "ten minutes before");
    case.seconds += INTERVAL;
    assert!(!case.take(&quiet(case.seconds)).soon, "once");
    assert_eq!(case.pass(MINUTE * 60, quiet), Some(3600));
    assert_eq!(case.writes, 1, "an idle unit costs nothing");
}

#[test]
fn use_moves_the_end_in_steps() {
    let mut case = Case::new();
    let used = |seconds| counts(&[("a", seconds, 0, seconds)]);
    assert_eq!(case.pass(MINUTE * 60 * 10, used), None);
    let step = 6 * MINUTE;
    assert!(case.writes <= usize::try_from(MINUTE * 600 / step).unwrap() + 1, "{} writes", case.writes);
    assert_eq!(case.shown().source.as_deref(), Some("Request"));
    let last = case.seconds;
    assert_eq!(case.pass(MINUTE * 59, |_| used(last)), None);
    assert_eq!(case.idle_at(), Some(i64::try_from(last).unwrap() + 3600), "what is shown is the truth in the end");
}

#[test]
fn a_restarted_proxy_and_a_new_one_and_one_that_is_gone_never_make_a_unit_due() {
    // Each comes a minute before the unit would be due, with a request in it.
    let restarted = |uptime| counts(&[("a", 1, 10, uptime)]);
    let one_more = |uptime| counts(&[("a", 7, 1000, uptime), ("b", 1, 10, 5)]);
    let gone = |_| counts(&[("b", 0, 0, 5)]);
    let cases: [&dyn Fn(u64) -> Readings; 3] = [&|now| restarted(now % 3540), &one_more, &gone];
    for (number, then) in cases.into_iter().enumerate() {
        let mut case = Case::new();
        case.take(&quiet(0));
        case.pass(MINUTE * 59, quiet);
        assert_eq!(case.pass(MINUTE * 59, then), None, "{number}");
        assert_eq!(case.shown().source.as_deref(), Some("Request"), "{number}");
    }
}

#[test]
fn a_signal_that_cannot_be_read_stops_nothing_and_is_shown() {
    let mut case = Case::new();
    case.take(&quiet(0));
    case.pass(MINUTE * 50, quiet);
    let down = |_| Readings { gateway: Some(Err(unreadable())), busy: Some(Ok(false)), ..Readings::default() };
    assert_eq!(case.pass(MINUTE * 60 * 5, down), None);
    let shown = case.shown();
    assert_eq!((shown.idle_at, shown.message.as_deref()), (None, Some("the proxy a does not answer")));
    // All of the timeout has to be seen.
    let back = case.seconds;
    assert_eq!(case.pass(MINUTE * 120, quiet), Some(back + 3600));
    assert!(case.shown().message.is_none());
}

#[test]
fn every_signal_has_to_agree() {
    let mut case = Case::new();
    let busy = |uptime| Readings { busy: Some(Ok(true)), ..quiet(uptime) };
    assert_eq!(case.pass(MINUTE * 120, busy), None);
    assert_eq!(case.shown().source.as_deref(), Some("BusyProbe"));
    let last = case.seconds;
    let free = |uptime| Readings { busy: Some(Ok(false)), ..quiet(uptime) };
    assert_eq!(case.pass(MINUTE * 120, free), Some(last + 3600));
}

#[test]
fn the_annotation_counts_from_its_time() {
    let mut case = Case::new();
    case.take(&quiet(0));
    case.pass(MINUTE * 50, quiet);
    let began: Timestamp = BEGAN.parse().unwrap();
    let time = began + SignedDuration::from_secs(2400);
    let said = |uptime| Readings { annotation: Some(Ok(Some(time))), ..quiet(uptime) };
    assert_eq!(case.pass(MINUTE * 60 * 5, said), Some(2400 + 3600));
    assert_eq!(case.shown().source.as_deref(), Some("Annotation"));
}

#[test]
fn a_clock_that_is_set_changes_nothing_but_what_is_shown() {
    for set in [-86_400, 86_400] {
        let mut case = Case::new();
        case.take(&quiet(0));
        case.pass(MINUTE * 30, quiet);
        case.set = set;
        assert_eq!(case.pass(MINUTE * 120, quiet), Some(3600), "{set}");
        assert_eq!(case.idle_at(), Some(3600 + set));
    }
}

#[test]
fn another_process_observes_anew_and_knows_the_last_use() {
    let mut case = Case::new();
    case.take(&counts(&[("a", 1, 0, 0)]));
    case.seconds = 30;
    case.take(&counts(&[("a", 2, 0, 30)]));
    let mut unit = case.watched.unit.as_ref().clone();
    let last = "2026-01-01T00:00:30Z".parse().unwrap();
    let known = Activity {
        last: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(last)),
        source: Some("Request".into()),
        ..Activity::default()
    };
    unit.status = Some(computing_unit_api::ComputingUnitStatus { activity: Some(known), ..Default::default() });
    case.watched.unit = Arc::new(unit);
    case.table = Table::default();
    case.seconds = 3000;
    case.take(&quiet(3000));
    assert_eq!(case.shown().last.unwrap().0, last);
    assert_eq!(case.pass(MINUTE * 120, quiet), Some(3000 + 3600));
    // Nor is what passed unseen known to be idle.
    case.seconds += 6 * 3600;
    assert!(!case.take(&quiet(case.seconds)).due);
}

#[test]
fn another_pod_begins_anew_and_has_its_grace() {
    let mut case = Case::new();
    case.watched.terms.timeout = Duration::from_mins(1);
    case.take(&quiet(0));
    assert_eq!(case.pass(MINUTE * 10, quiet), Some(300), "not within its grace");
    case.watched.pod = "another".into();
    case.watched.started = case.now().wall;
    assert_eq!(case.pass(MINUTE * 10, quiet), Some(600));
}

/// A proxy that says `text` to everybody, and tells of each request.
async fn proxy(text: String) -> (u16, mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 2048];
            let _ = stream.read(&mut head).await;
            let _ = asked.send(());
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, requests)
}

#[tokio::test]
async fn a_thousand_units_cost_one_request_for_each_proxy_and_no_write() {
    let units: Vec<Watched> = (0..1000).map(|number| watched(&format!("unit-{number}"))).collect();
    let mut text = String::from("envoy_server_uptime{} 5\n");
    for watched in &units {
        let cluster = cluster("units", watched.unit.metadata.name.as_deref().unwrap());
        for (name, value) in [("membership_total", 1), ("upstream_rq_total", 3), ("upstream_cx_rx_bytes_total", 9)] {
            writeln!(text, "envoy_cluster_{name}{{envoy_cluster_name=\"{cluster}\"}} {value}").unwrap();
        }
    }
    let (port, mut requests) = proxy(text).await;
    let (table, metrics) = (Table::default(), Metrics::new());
    let all: Vec<&Watched> = units.iter().collect();
    let mut writes = Vec::new();
    for _ in 0..3 {
        let read = proxies::read_at(&["127.0.0.1".to_owned()], port, &all, &metrics).await;
        let now = Now { running: Instant::now(), wall: BEGAN.parse().unwrap() };
        let news = units.iter().zip(read).filter(|(watched, counts)| {
            let readings = Readings { gateway: Some(counts.clone()), ..Readings::default() };
            table.take(watched, &readings, now).news
        });
        writes.push(news.count());
        requests.recv().await.unwrap();
        assert!(requests.try_recv().is_err(), "one request");
    }
    assert_eq!(writes, [1000, 0, 0], "the first look says when each is due");
    let unknown = proxies::read_at(&["127.0.0.1".to_owned()], port, &[&watched("eve")], &metrics).await;
    assert_eq!(unknown[0].as_ref().unwrap_err().reason, Unread::Unknown);
}

#[tokio::test]
async fn one_proxy_that_cannot_be_read_spoils_the_signal() {
    let (port, _requests) = proxy("<html></html>".into()).await;
    let metrics = Metrics::new();
    let ada = watched("ada");
    for (address, reason) in [("127.0.0.1", Unread::Garbled), ("127.0.0.2", Unread::Connection)] {
        let read = proxies::read_at(&[address.to_owned()], port, &[&ada], &metrics).await;
        let why = read[0].as_ref().unwrap_err();
        assert_eq!(why.reason, reason, "{why}");
        assert!(why.message.contains(address), "{why}");
    }
}
