//! Proxies that join, terminate, or are gone.

use std::{collections::HashMap, time::Duration};

use computing_unit_api::GatewayRef;
use tokio::time::Instant;

use super::{Case, MINUTE, counters, tracked};
use crate::controllers::idle::{
    counters::{Counters, CountersByProxy, ProxyCounters},
    departures::Departures,
    readings::Readings,
};

fn gateway() -> GatewayRef {
    GatewayRef { namespace: "gateways".to_owned(), name: "shared".to_owned(), section_name: None }
}

fn count(requests: u64) -> HashMap<String, Counters> {
    [("ada-uid".to_owned(), Counters { requests, bytes: 0, uptime: Some(5) })].into()
}

/// What is added to the counters of `ada` if these proxies are live: the address, the requests, and whether they are the last.
fn added(departures: &Departures, live: &[&str]) -> Vec<(String, u64, bool)> {
    let live: Vec<String> = live.iter().map(|address| (*address).to_owned()).collect();
    let mut all = [Ok(CountersByProxy::new())];
    departures.add_to(&gateway(), &live, &[&tracked("ada")], &mut all);
    let [added] = all;
    added.unwrap().into_iter().map(|read| (read.proxy, read.counters.requests, read.last)).collect()
}

/// A proxy that was read at these seconds, with success or not, and was gone at another one.
fn departed(reads: &[(u64, bool)], gone: u64) -> Vec<(String, u64, bool)> {
    let (departures, start) = (Departures::default(), Instant::now());
    let at = |second: u64| start + Duration::from_secs(second);
    for (second, responds) in reads {
        departures.listed(&gateway(), &["b".to_owned()], at(*second));
        departures.read(&gateway(), "b", responds.then(|| count(*second)), at(*second));
    }
    departures.listed(&gateway(), &[], at(gone));
    added(&departures, &["a"])
}

#[test]
fn last_counters_are_those_read_shortly_before_the_proxy_stopped() {
    let last = |requests| vec![("b".to_owned(), requests, true)];
    assert_eq!(departed(&[(1, true), (2, true)], 3), last(2));
    assert_eq!(departed(&[(1, true), (2, true), (3, false), (30, false)], 31), last(2), "its pod was there for longer");
    assert_eq!(departed(&[(1, true), (2, false), (3, true)], 4), last(3), "one read failed");
    assert!(departed(&[(1, true)], 9).is_empty(), "it may have counted more");
    assert!(departed(&[(1, true), (9, false)], 10).is_empty());
    assert!(departed(&[(1, false)], 2).is_empty(), "it was never read");
}

#[test]
fn last_counters_are_forgotten_after_a_while_and_when_the_address_is_used_again() {
    let (departures, start) = (Departures::default(), Instant::now());
    departures.read(&gateway(), "b", Some(count(7)), start);
    assert!(departures.awaits(&gateway()));
    assert_eq!(added(&departures, &["a"]), [("b".to_owned(), 7, false)], "it still serves connections");
    departures.listed(&gateway(), &[], start + Duration::from_secs(1));
    assert!(!departures.awaits(&gateway()));
    assert!(added(&departures, &["a", "b"]).is_empty(), "another proxy has the address");
    departures.listed(&gateway(), &[], start + Duration::from_mins(9));
    assert_eq!(added(&departures, &["a"]).len(), 1);
    departures.listed(&gateway(), &[], start + Duration::from_mins(11));
    assert!(added(&departures, &["a"]).is_empty());
}

fn with_last(mut readings: Readings, requests: u64) -> Readings {
    if let Some(Ok(all)) = &mut readings.gateway {
        let counters = Counters { requests, bytes: 0, uptime: Some(5) };
        all.push(ProxyCounters { proxy: "b".to_owned(), counters, last: true });
    }
    readings
}

#[test]
fn proxies_that_join_and_terminate_in_an_orderly_way_do_not_count_as_use() {
    let one = |uptime| counters(&[("a", 7, 1000, uptime)]);
    let two = |uptime| counters(&[("a", 7, 1000, uptime), ("b", 0, 0, 5)]);
    let mut case = Case::new();
    case.record(&one(0));
    case.pass(MINUTE * 20, one);
    case.pass(MINUTE * 20, two);
    case.pass(MINUTE * 5, |uptime| with_last(one(uptime), 0));
    assert_eq!(case.pass(MINUTE * 60, one), Some(3600));
}

#[test]
fn traffic_of_a_proxy_before_it_terminated_counts_as_use() {
    let one = |uptime| counters(&[("a", 7, 1000, uptime)]);
    let two = |uptime| counters(&[("a", 7, 1000, uptime), ("b", 0, 0, 5)]);
    for seen in [true, false] {
        let mut case = Case::new();
        case.record(&one(0));
        case.pass(MINUTE * 50, |uptime| if seen { two(uptime) } else { one(uptime) });
        // It served a request after the last scan, or joined and terminated between two scans.
        let used = case.seconds + 30;
        case.pass(MINUTE * 5, |uptime| with_last(one(uptime), 1));
        assert_eq!(case.pass(MINUTE * 120, one), Some(used + 3600), "{seen}");
    }
}
