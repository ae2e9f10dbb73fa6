//! The responses during create-and-delete cycles, for each routing mode, with one and two proxies, and for a plain
//! route.

use computing_unit_api::Phase;

use super::table;
use crate::{
    fixture::{Fixture, SOON, with_fixture},
    gateway,
    plain::Plain,
    traffic::{Hammer, Report, Reuse, Target, first_success},
    units::{self, Mode},
};

/// The number of connections, without a rate limit.
const CONNECTIONS: u32 = 8;

/// The results of a number of cycles.
#[derive(Default)]
struct Total {
    cycles: usize,
    failed_cycles: usize,
    answers: u64,
    errors: u64,
    misrouted: u64,
    unanswered: u64,
    other: u64,
}

impl Total {
    fn add(&mut self, report: &Report) {
        self.cycles += 1;
        self.answers += report.answers();
        self.errors += report.server_errors();
        self.misrouted += report.misrouted.count;
        self.unanswered += report.failed;
        self.other += report.answers() - report.server_errors() - report.count(200) - report.count(404);
        self.failed_cycles += usize::from(report.assert_only(&[200, 404]).is_err());
    }

    fn row(&self, what: &str, proxies: usize) -> Vec<String> {
        let Self { cycles, failed_cycles, answers, errors, misrouted, unanswered, other } = self;
        let mut row = vec![what.to_owned(), proxies.to_string(), format!("{failed_cycles} of {cycles}")];
        row.extend([answers, errors, misrouted, unanswered, other].map(ToString::to_string));
        row
    }
}

/// Measures `cycles` for each mode with one and two proxies, and as many for a plain route.
///
/// # Errors
/// If a unit does not become Ready or is not deleted in time.
pub async fn measure(cycles: usize) -> anyhow::Result<()> {
    let mut rows = vec![];
    for proxies in [1, 2] {
        for mode in Mode::ALL {
            rows.push(of_mode(mode, proxies, cycles).await?);
        }
    }
    rows.push(of_plain(cycles).await?);
    table::heading(&format!("Responses on {CONNECTIONS} connections during the life cycle of units"));
    table::print(
        &[
            "",
            "proxies",
            "cycles with an error",
            "responses",
            "5xx",
            "from another unit",
            "no response",
            "neither 200 nor 404",
        ],
        &rows,
    );
    Ok(())
}

async fn of_mode(mode: Mode, proxies: usize, cycles: usize) -> anyhow::Result<Vec<String>> {
    let what = format!("unit, {mode:?} mode");
    let total = with_fixture("traffic", |fixture| async move {
        let test = async {
            gateway::scale_proxies(&fixture.cluster, proxies).await?;
            of_units(&fixture, mode, cycles).await
        };
        if proxies > 1 {
            gateway::changed_by(&fixture.cluster, test).await
        } else {
            of_units(&fixture, mode, cycles).await.map(Some)
        }
    })
    .await?;
    Ok(total.unwrap_or_default().row(&what, proxies))
}

async fn of_units(fixture: &Fixture, mode: Mode, cycles: usize) -> anyhow::Result<Total> {
    fixture.create_default_pool(mode).await?;
    let _operator = fixture.start().await?;
    // A unit that must not answer for the others.
    fixture.create(&fixture.unit("stays")).await?;
    fixture.until("stays", Phase::Ready).await?;
    let mut total = Total::default();
    for number in 0..cycles {
        total.add(&cycle(fixture, mode, &format!("unit-{number}")).await?);
    }
    fixture.delete("stays").await?;
    Ok(total)
}

async fn cycle(fixture: &Fixture, mode: Mode, name: &str) -> anyhow::Result<Report> {
    let unit = fixture.unit(name);
    let load = hammer(fixture, units::target(mode, &unit)?).await?.start()?;
    load.answer_more(100, SOON).await?;
    fixture.create(&unit).await?;
    fixture.until(name, Phase::Ready).await?;
    load.answer_more(1000, SOON).await?;
    fixture.delete(name).await?;
    fixture.until_nothing_is_left(name).await?;
    load.answer_more(100, SOON).await?;
    load.stop().await
}

async fn of_plain(cycles: usize) -> anyhow::Result<Vec<String>> {
    let total = with_fixture("plain", |fixture| async move {
        let mut total = Total::default();
        for number in 0..cycles {
            let plain = Plain::new(&fixture, &format!("plain-{number}"));
            let load = hammer(&fixture, plain.target()?).await?.start()?;
            plain.make_pod().await?;
            // Without an operator, the route is created once the pod can answer.
            plain.until_ready().await?;
            plain.make_route().await?;
            first_success(fixture.cluster.proxies().await?[0], &plain.target()?, Reuse::Fresh, SOON).await?;
            load.answer_more(1000, SOON).await?;
            plain.delete().await?;
            load.answer_more(100, SOON).await?;
            total.add(&load.stop().await?);
        }
        Ok(total)
    })
    .await?;
    Ok(total.row("plain route", 1))
}

async fn hammer(fixture: &Fixture, target: Target) -> anyhow::Result<Hammer> {
    Ok(Hammer::new(&fixture.cluster.proxies().await?, target).connections(CONNECTIONS))
}
