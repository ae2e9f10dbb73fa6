//! Several replicas of the operator serve the activator. A standby replica starts units too, and all together start a unit once.

use std::{net::SocketAddr, time::Duration};

use anyhow::ensure;
use computing_unit_api::Phase;
use e2e::{
    activator::{SERVICE, WAKES, endpoints, send, suspended},
    faults::{Call, Fault, OperatorProcess, Outcome, Record, Verb},
    fixture::{Fixture, SOON},
    units::Mode,
};
use futures::future::try_join_all;
use http::StatusCode;
use kube::api::ListParams;

use super::with_fixture;

/// Starts a replica that serves the activator at `address`, and waits until it is ready.
async fn replica(fixture: &Fixture, name: &str, address: &str) -> anyhow::Result<OperatorProcess> {
    let operator = fixture.operator.clone().leader(Some((&fixture.namespace, name))).args([
        format!("--activator-service={}/{SERVICE}:80", fixture.namespace),
        format!("--activator-address={address}"),
    ]);
    let mut replica = operator.start()?;
    replica.ready(SOON).await?;
    Ok(replica)
}

const LEADS: &str = "leader";
const WOKE: &str = "activator_wakes_total{outcome=\"success\"}";

fn of_a_unit(call: &Call) -> bool {
    call.verb == Verb::Patch && call.resource == "computingunits" && call.subresource.is_empty()
}

/// The number of writes that have started the unit, and of those that were rejected as conflicts.
fn starts(fixture: &Fixture) -> anyhow::Result<(usize, usize)> {
    let is_start = |write: &Record| {
        of_a_unit(&write.call) && String::from_utf8_lossy(&write.body).contains("\"operatingMode\":\"Running\"")
    };
    let all: Vec<_> = fixture.proxy.writes().into_iter().filter(is_start).collect();
    let ended = |how: u16| all.iter().filter(|write| write.outcome == Outcome::Answered(how)).count();
    ensure!(ended(200) + ended(409) == all.len(), "{all:?}");
    Ok((ended(200), ended(409)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_replica_starts_units() -> anyhow::Result<()> {
    with_fixture("standby", |fixture| async move {
        let namespace = fixture.namespace.clone();
        let Some([address]) = endpoints(&fixture, &namespace).await? else { return Ok(()) };
        let leader = replica(&fixture, "first", "127.0.0.1:0").await?;
        let standby = replica(&fixture, "second", &address.to_string()).await?;
        let target = suspended(&fixture, Mode::Query, &WAKES(), "ada").await?;
        let answer = send(&fixture, &target).await?;
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT, "{}", answer.start(300));
        fixture.until("ada", Phase::Ready).await?;
        assert_eq!((leader.metric(LEADS).await?.unwrap_or(0), standby.metric(LEADS).await?.unwrap_or(0)), (1, 0));
        assert_eq!((leader.metric(WOKE).await?.unwrap_or(0), standby.metric(WOKE).await?.unwrap_or(0)), (0, 1));
        assert_eq!(starts(&fixture)?.0, 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_to_two_replicas_start_a_unit_once() -> anyhow::Result<()> {
    with_fixture("both", |fixture| async move {
        let namespace = fixture.namespace.clone();
        let Some(addresses) = endpoints::<2>(&fixture, &namespace).await? else { return Ok(()) };
        let [first, second]: [SocketAddr; 2] = addresses;
        let replicas = [
            replica(&fixture, "first", &first.to_string()).await?,
            replica(&fixture, "second", &second.to_string()).await?,
        ];
        let target = suspended(&fixture, Mode::Query, &WAKES(), "ada").await?;
        // Each has sent its write before the other's is done.
        fixture.proxy.inject(Fault::delay(Duration::from_secs(1)).always().when(of_a_unit));
        let answers = try_join_all((0..20).map(|_| send(&fixture, &target))).await?;
        for answer in &answers {
            assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT, "{}", answer.start(300));
        }
        fixture.proxy.quiet(Duration::from_secs(2), SOON).await?;
        let (done, late) = starts(&fixture)?;
        ensure!(done == 1 && late >= 1, "{done} have started it, {late} have seen that it was started");
        let woke = [replicas[0].metric(WOKE).await?.unwrap_or(0), replicas[1].metric(WOKE).await?.unwrap_or(0)];
        ensure!(woke.iter().sum::<u64>() == 1, "{woke:?}");
        fixture.until("ada", Phase::Ready).await?;
        assert_eq!(fixture.pods().list_metadata(&ListParams::default()).await?.items.len(), 1);
        Ok(())
    })
    .await
}
