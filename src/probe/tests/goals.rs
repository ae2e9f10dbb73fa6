//! Which responses of the proxies reach a goal.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::time::Instant;

use super::{
    FakeResolver, closed,
    envoy::{Envoy, Route},
    last, last_of, progress, reach, reach_of, target, until,
};
use crate::{
    gateway::proxies::NotListed,
    probe::{Goal, Prober},
};

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
async fn withdrawal_is_confirmed_by_three_probes_of_every_proxy() {
    let envoys = [Envoy::with(Route::Open).await, Envoy::with(Route::Absent).await];
    let (prober, mut wakes) = Prober::new(FakeResolver::of(&envoys), 8, Arc::default());
    until(|| last(&prober, Goal::Withdrawn).as_deref() == Some("1 of 2 proxies may still have the route")).await;
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
    until(|| last(&prober, Goal::Withdrawn).as_deref() == Some("1 of 1 proxies may still have the route")).await;
    *envoy.then.lock().unwrap() = None;
    envoy.set(Route::Absent);
    let before = envoy.request_count();
    reach(&prober, &mut wakes, Goal::Withdrawn).await;
    assert!(envoy.request_count() >= before + 3);
}

/// A proxy that has yet to apply the opening does not have the open route either.
#[tokio::test]
async fn proxy_that_opens_a_route_late_has_not_withdrawn_it() {
    let envoys = [Envoy::with(Route::Closed).await, Envoy::with(Route::Guarded).await];
    let (prober, mut wakes) = Prober::new(FakeResolver::of(&envoys), 8, Arc::default());
    let target = closed("ada");
    let pending =
        || last_of(&prober, &target, Goal::Withdrawn).as_deref() == Some("1 of 2 proxies may still have the route");
    until(pending).await;
    envoys[1].set(Route::Open);
    let before = envoys[1].request_count();
    until(|| envoys[1].request_count() > before + 2).await;
    assert!(pending());
    envoys[1].set(Route::Closed);
    reach_of(&prober, &mut wakes, &target, Goal::Withdrawn).await;
    assert_eq!(envoys[0].request_count(), 3);
    for request in envoys.iter().flat_map(|envoy| envoy.requests.lock().unwrap().clone()) {
        assert!(request.contains("\r\nx-computing-unit-guard: ada-uid\r\n"), "{request}");
    }
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
