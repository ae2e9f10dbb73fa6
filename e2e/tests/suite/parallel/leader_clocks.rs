//! Two replicas with different clocks: the standby does not take the Lease from a leader that works, whatever the clock of
//! that leader says, and no two replicas write at the same time.

use std::time::Instant;

use anyhow::{Context, ensure};
use computing_unit_api::Phase;
use e2e::{
    faults::{ApiProxy, Call, Class, Counts, Fault, Operator, OperatorProcess, Verb},
    fixture::{Fixture, SOON},
    rights,
    units::Mode,
    wait::eventually,
};
use k8s_openapi::jiff::SignedDuration;

use super::with_fixture;

/// Renewals that take longer than the Lease of 15 s lasts: the leader renews it every two seconds. The clocks differ by more.
const RENEWALS: u64 = 10;

fn replica(fixture: &Fixture, operator: &Operator, name: &str) -> anyhow::Result<OperatorProcess> {
    operator.clone().leader(Some((&fixture.namespace, name))).start()
}

/// Waits until a replica has written the Lease `more` times more.
async fn written(proxy: &ApiProxy, more: u64) -> anyhow::Result<()> {
    let written = || proxy.counts().only(|call| call.class() == Class::Lease).total();
    let enough = written() + more;
    eventually("writes of the Lease", SOON, || async { Ok((written() >= enough).then_some(())) }).await
}

fn last_write(proxy: &ApiProxy) -> Option<Instant> {
    proxy.writes().iter().map(|write| write.at + write.took).max()
}

async fn takeover(name: &str, offset: SignedDuration) -> anyhow::Result<()> {
    with_fixture(name, |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        fixture.proxy.inject(Fault::skewed_clock(offset));
        let leader = replica(&fixture, &fixture.operator, "first")?;
        written(&fixture.proxy, 1).await?;

        let other = ApiProxy::start(rights::config(&fixture.cluster, &fixture.namespace)).await?;
        let operator = fixture.operator.clone().kubeconfig(other.kubeconfig());
        let mut standby = replica(&fixture, &operator, "second")?;
        standby.ready(SOON).await?;
        fixture.create(&fixture.unit("ada")).await?;
        fixture.until("ada", Phase::Ready).await?;
        written(&fixture.proxy, RENEWALS).await?;
        let read_lease = |call: &Call| call.verb == Verb::Get && call.resource == "leases";
        ensure!(other.counts().only(read_lease).total() > 0, "the standby has not read the Lease");
        let intruded = other.counts().only(|call| matches!(call.class(), Class::Lease | Class::Write)).total();
        ensure!(intruded == 0, "the standby wrote while the leader worked: {}", other.describe(&Counts::default()));

        let killed = Instant::now();
        leader.kill().await?;
        fixture.create(&fixture.unit("bob")).await?;
        fixture.until("bob", Phase::Ready).await?;
        let writes = other.writes();
        let first = writes.iter().map(|write| write.at).min().context("the standby has not written")?;
        ensure!(last_write(&fixture.proxy) < Some(first), "two replicas wrote at the same time");
        println!("{name}: the standby wrote {:.1?} after the end of the leader", first - killed);
        standby.terminate(SOON).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_clock_is_behind_keeps_the_lease() -> anyhow::Result<()> {
    takeover("clock-behind", SignedDuration::from_secs(-30)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_of_a_leader_whose_clock_is_ahead_expires() -> anyhow::Result<()> {
    takeover("clock-ahead", SignedDuration::from_secs(30)).await
}
