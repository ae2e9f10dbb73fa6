//! An operator that is killed between any two of its writes, whether the last one arrived, was done or was answered,
//! leaves a unit that the next operator brings to where it was going. Requests meet no error meanwhile.

#![allow(clippy::unwrap_used, missing_docs)]

use anyhow::ensure;
use computing_unit_operator::api::Phase;
use e2e::{
    faults::{Cut, LastWrite},
    stage::{SOON, Stage, play},
    traffic::Hammer,
    units::{self, Mode},
};
use kube::api::{DeleteParams, ListParams};

/// More writes than a start or an end has.
const TOO_MANY: u64 = 20;

/// Waits for the cut, or for the end of what it was to cut: whether the cut came.
async fn came(cut: Cut, done: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<bool> {
    tokio::select! {
        call = cut.come(SOON) => call.map(|_| true),
        done = done => done.map(|()| false),
    }
}

/// A unit is started and ended while operators are killed at the `write`-th write of the start, and of the end. Whether
/// there were so many.
async fn killed_at(stage: &Stage, write: u64, last: LastWrite) -> anyhow::Result<(bool, bool)> {
    let name = format!("{last:?}-{write}").to_lowercase();
    let unit = stage.unit(&name);
    let load = Hammer::new(&stage.cluster.proxies().await?, units::target(Mode::Query, &unit)?);
    let load = load.connections(2).rate(200.0).start()?;

    let operator = stage.start().await?;
    let cut = stage.proxy.cut_at(write, last).await;
    stage.make(&unit).await?;
    let starting = came(cut, async { stage.until(&name, Phase::Ready).await.map(drop) }).await?;
    operator.kill().await?;
    stage.proxy.mend().await;
    let operator = stage.start().await?;
    stage.until(&name, Phase::Ready).await?;
    load.answer_more(20, SOON).await?;
    for (kind, count) in [
        ("pods", stage.pods().list_metadata(&ListParams::default()).await?.items.len()),
        ("Services", stage.services().list_metadata(&ListParams::default()).await?.items.len()),
        ("routes", stage.routes().list_metadata(&ListParams::default()).await?.items.len()),
    ] {
        ensure!(count == 1, "{name}: {count} {kind}");
    }

    let cut = stage.proxy.cut_at(write, last).await;
    stage.units().delete(&name, &DeleteParams::default()).await?;
    let ending = came(cut, stage.until_gone(&name)).await?;
    operator.kill().await?;
    stage.proxy.mend().await;
    let operator = stage.start().await?;
    stage.until_nothing_is_left(&name).await?;
    operator.kill().await?;
    load.answer_more(20, SOON).await?;
    load.stop().await?.assert_all_of(&[200, 404])?;
    Ok((starting, ending))
}

async fn killed(name: &str, last: LastWrite) -> anyhow::Result<()> {
    play(name, |stage| async move {
        stage.make_pool(Mode::Query).await?;
        let (mut starts, mut ends) = (0, 0);
        for write in 1..TOO_MANY {
            let (starting, ending) = killed_at(&stage, write, last).await?;
            starts += u64::from(starting);
            ends += u64::from(ending);
            if !starting && !ending {
                println!("{last:?}: killed at {starts} writes of a start and {ends} of an end");
                // Seven and three; the last of each may be noticed by its effect first.
                assert!(starts >= 6 && ends >= 2, "{starts} and {ends}");
                return Ok(());
            }
        }
        anyhow::bail!("a start or an end has more than {TOO_MANY} writes")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_a_write_arrives() -> anyhow::Result<()> {
    killed("refused", LastWrite::Refused).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_a_write_is_answered() -> anyhow::Result<()> {
    killed("unanswered", LastWrite::Unanswered).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_a_write_is_answered() -> anyhow::Result<()> {
    killed("answered", LastWrite::Answered).await
}
