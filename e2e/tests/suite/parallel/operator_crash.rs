//! The operator is killed at each of its writes: before the write arrives, before it is answered, and after. The next operator
//! finishes the change, and no request fails meanwhile.

use anyhow::ensure;
use computing_unit_api::Phase;
use e2e::{
    faults::LastWrite,
    fixture::{Fixture, SOON},
    killer::Killer,
    units::Mode,
};
use kube::api::{DeleteParams, ListParams};

use super::with_fixture;

/// More writes than a start or a deletion takes.
const TOO_MANY: u64 = 20;

/// Creates and deletes a unit while the operator is killed at the write that is set. Returns the kills at creation and at deletion.
async fn killed_at(fixture: &Fixture, killer: &mut Killer<'_>) -> anyhow::Result<(u64, u64)> {
    let name = killer.place();
    let unit = fixture.unit(&name);
    let load = fixture.load(Mode::Query, &unit).await?.connections(2).rate(200.0).start()?;

    let before = killer.kills();
    let ready = async || fixture.until(&name, Phase::Ready).await.map(drop);
    killer.during(fixture.create(&unit), ready).await?;
    let started = killer.kills();
    load.answer_more(20, SOON).await?;
    for (kind, count) in [
        ("pods", fixture.pods().list_metadata(&ListParams::default()).await?.items.len()),
        ("Services", fixture.services().list_metadata(&ListParams::default()).await?.items.len()),
        ("routes", fixture.routes().list_metadata(&ListParams::default()).await?.items.len()),
    ] {
        ensure!(count == 1, "{name}: {count} {kind}");
    }

    let delete = async { anyhow::Ok(fixture.units().delete(&name, &DeleteParams::default()).await?) };
    killer.during(delete, async || fixture.until_gone(&name).await).await?;
    fixture.until_nothing_is_left(&name).await?;
    load.answer_more(20, SOON).await?;
    load.stop().await?.assert_all_of(&[200, 404])?;
    Ok((started - before, killer.kills() - started))
}

async fn killed(name: &str, last: LastWrite) -> anyhow::Result<()> {
    with_fixture(name, |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let mut killer = Killer::start(&fixture).await?;
        let (mut starts, mut ends) = (0, 0);
        for write in 1..TOO_MANY {
            killer.at(write, last);
            let (starting, ending) = killed_at(&fixture, &mut killer).await?;
            starts += starting;
            ends += ending;
            if starting + ending == 0 {
                println!("{last:?}: killed at {starts} writes of a start and {ends} of an end");
                // Seven and five; the last of each may be noticed by its effect first, and those of a deletion are concurrent.
                assert!(starts >= 6 && ends >= 2, "{starts} and {ends}");
                return Ok(());
            }
        }
        anyhow::bail!("a start or an end has more than {TOO_MANY} writes")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_survives_an_operator_crash_before_any_write() -> anyhow::Result<()> {
    killed("refused", LastWrite::Refused).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_survives_an_operator_crash_before_the_response_to_any_write() -> anyhow::Result<()> {
    killed("unanswered", LastWrite::Unanswered).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_survives_an_operator_crash_after_any_write() -> anyhow::Result<()> {
    killed("answered", LastWrite::Answered).await
}
