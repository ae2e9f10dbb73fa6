//! Several replicas of the operator answer at the entries of pools: also those that stand by, and together they start a
//! unit once.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{net::SocketAddr, time::Duration};

use anyhow::ensure;
use computing_unit_operator::api::Phase;
use e2e::{
    entry::{SERVICE, WAKES, ask, suspended, ways},
    faults::{Call, Fault, OperatorProcess, Outcome, Verb},
    stage::{SOON, Stage, play},
    units::Mode,
};
use futures::future::try_join_all;
use http::StatusCode;
use kube::api::ListParams;

/// Starts a replica that serves entries at `address`, and waits until it leads, or stands by.
async fn replica(stage: &Stage, name: &str, address: &str) -> anyhow::Result<OperatorProcess> {
    let operator = stage
        .operator
        .clone()
        .leader(Some((&stage.namespace, name)))
        .args([format!("--entry-service={}/{SERVICE}:80", stage.namespace), format!("--entry-address={address}")]);
    let mut replica = operator.start()?;
    replica.ready(SOON).await?;
    Ok(replica)
}

/// The value of a metric of a replica, without a word of it 0.
async fn metric(replica: &OperatorProcess, name: &str) -> anyhow::Result<u64> {
    let text = replica.metrics().await?;
    let name = format!("computing_unit_operator_{name}");
    let line = text.lines().find_map(|line| line.strip_prefix(&name)?.trim().parse().ok());
    Ok(line.unwrap_or(0))
}

const LEADS: &str = "leader";
const WOKE: &str = "entry_wakes_total{outcome=\"success\"}";

/// Writes that start or stop a unit.
fn starts(call: &Call) -> bool {
    call.verb == Verb::Patch && call.resource == "computingunits" && call.subresource.is_empty()
}

fn outcomes(stage: &Stage) -> Vec<Outcome> {
    stage.proxy.writes().into_iter().filter(|write| starts(&write.call)).map(|write| write.outcome).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_stands_by_starts_units() -> anyhow::Result<()> {
    play("standby", |stage| async move {
        let namespace = stage.namespace.clone();
        let Some([way]) = ways(&stage, &namespace).await? else { return Ok(()) };
        let leader = replica(&stage, "first", "127.0.0.1:0").await?;
        let standby = replica(&stage, "second", &way.to_string()).await?;
        let target = suspended(&stage, Mode::Query, &WAKES(), "ada").await?;
        let answer = ask(&stage, &target).await?;
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT, "{}", answer.start(300));
        stage.until("ada", Phase::Ready).await?;
        assert_eq!((metric(&leader, LEADS).await?, metric(&standby, LEADS).await?), (1, 0));
        assert_eq!((metric(&leader, WOKE).await?, metric(&standby, WOKE).await?), (0, 1));
        assert_eq!(outcomes(&stage), [Outcome::Answered(200)]);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_that_are_asked_at_once_start_a_unit_once() -> anyhow::Result<()> {
    play("both", |stage| async move {
        let namespace = stage.namespace.clone();
        let Some(ways) = ways::<2>(&stage, &namespace).await? else { return Ok(()) };
        let [first, second]: [SocketAddr; 2] = ways;
        let replicas = [
            replica(&stage, "first", &first.to_string()).await?,
            replica(&stage, "second", &second.to_string()).await?,
        ];
        let target = suspended(&stage, Mode::Query, &WAKES(), "ada").await?;
        // Each has sent its write before the other's is done.
        stage.proxy.inject(Fault::delay(Duration::from_secs(1)).always().when(starts));
        let answers = try_join_all((0..20).map(|_| ask(&stage, &target))).await?;
        for answer in &answers {
            assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT, "{}", answer.start(300));
        }
        stage.proxy.quiet(Duration::from_secs(2), SOON).await?;
        let mut outcomes = outcomes(&stage);
        outcomes.sort_by_key(|outcome| format!("{outcome:?}"));
        assert_eq!(
            outcomes,
            [Outcome::Answered(200), Outcome::Answered(409)],
            "one has written, the other has seen it"
        );
        let woke = [metric(&replicas[0], WOKE).await?, metric(&replicas[1], WOKE).await?];
        ensure!(woke.iter().sum::<u64>() == 1, "{woke:?}");
        stage.until("ada", Phase::Ready).await?;
        assert_eq!(stage.pods().list_metadata(&ListParams::default()).await?.items.len(), 1);
        Ok(())
    })
    .await
}
