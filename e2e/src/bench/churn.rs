//! The effect of creating and deleting many units on requests for a static service, and on open WebSockets to other
//! units. Compares the gateway with an nginx that is reloaded at each change.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::Context;
use computing_unit_api::{Phase, names::PORT};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::{
    task::JoinSet,
    time::{Interval, interval},
};
use tokio_util::sync::CancellationToken;

use super::table::{self, milliseconds};
use crate::{
    before::{Plan, Reloads},
    fixture::{Fixture, SOON, with_fixture},
    texera::{self, deploy},
    traffic::{Hammer, Report, Reuse, Socket, Target, first_success},
    units,
    wait::{pass, until},
};

/// The host name of requests.
const HOST: &str = "texera.example.org";
/// The period over which units are created.
const WHILE: Duration = Duration::from_mins(5);
/// The lifetime of each unit after it is Ready.
const LIFE: Duration = Duration::from_secs(10);
/// The number of permanent units, and of open WebSockets to each, per setup.
const STAYING: (usize, usize) = (5, 10);
/// The interval of messages on each WebSocket.
const TALK: Duration = Duration::from_secs(2);
/// The requests per second for the static service, per setup.
const RATE: f64 = 100.0;

/// The results of one setup.
struct Seen {
    name: &'static str,
    report: Report,
    dropped: Vec<Duration>,
    missed: usize,
}

/// Creates and deletes `many` units.
///
/// # Errors
/// If a unit does not become Ready or is not deleted in time.
pub async fn measure(many: usize) -> anyhow::Result<()> {
    let Some((seen, reloads)) = with_fixture("churn", |fixture| async move { churn(fixture, many).await }).await?
    else {
        return Ok(());
    };
    table::heading(&format!("{many} units created and deleted in {} minutes", WHILE.as_secs() / 60));
    let rows: Vec<Vec<String>> = seen.iter().map(row).collect();
    table::print(
        &[
            "",
            "responses for static paths",
            "no response",
            "not 200",
            "median, ms",
            "99 %, ms",
            "max, ms",
            "WebSockets cut",
            "first cut after, s",
            "failed first requests to a Ready unit",
        ],
        &rows,
    );
    println!("\nnginx was reloaded {reloads} times.");
    Ok(())
}

fn row(seen: &Seen) -> Vec<String> {
    let Seen { name, report, dropped, missed } = seen;
    let first = dropped.iter().min().map_or_else(String::new, |at| format!("{:.0}", at.as_secs_f64()));
    vec![
        (*name).to_owned(),
        report.answers().to_string(),
        report.failed.to_string(),
        (report.answers() - report.count(200)).to_string(),
        format!("{:.1}", milliseconds(report.latency.median())),
        format!("{:.1}", milliseconds(report.latency.p99())),
        format!("{:.1}", milliseconds(report.latency.longest())),
        format!("{} of {}", dropped.len(), STAYING.0 * STAYING.1),
        first,
        missed.to_string(),
    ]
}

async fn churn(mut fixture: Fixture, many: usize) -> anyhow::Result<Option<([Seen; 2], u32)>> {
    // The default installation without authorization, because nginx has none.
    if !deploy(&mut fixture, &["authorization.enabled=false,units.pool.lookup=Linear"]).await? {
        return Ok(None);
    }
    let _operator = fixture.start().await?;
    let plan = Plan {
        statics: vec![("/".to_owned(), "webserver-svc:8080".to_owned())],
        units: vec!["/wsapi".to_owned()],
        unit_host: String::new(),
        workers: 2,
        access_log: false,
        authorization: None,
    };
    let nginx = Reloads::start(&fixture, &plan).await?.context("the cluster is not the local one")?;
    let fronts = [texera::proxy(&fixture, 80).await?, nginx.front];

    let mut stay = vec![];
    for number in 0..STAYING.0 {
        let cuid = texera::unit(&fixture, &format!("stays-{number}")).await?;
        nginx.put(cuid, Some(usable(&fixture, cuid).await?))?;
        stay.push(cuid);
    }
    let stop = CancellationToken::new();
    let mut talks = [JoinSet::new(), JoinSet::new()];
    let mut loads = vec![];
    for (front, talks) in fronts.iter().zip(&mut talks) {
        for cuid in &stay {
            first_success(*front, &target(*cuid)?, Reuse::Fresh, SOON).await?;
            for _ in 0..STAYING.1 {
                let socket = Socket::open(*front, HOST, &path(*cuid)).await?;
                talks.spawn(talk(socket, stop.clone()));
            }
        }
        let statics = Target::new(HOST, "/dashboard/user/workflow")?.engine("webserver-svc");
        first_success(*front, &statics, Reuse::Fresh, SOON).await?;
        loads.push(Hammer::new(&[*front], statics).connections(8).rate(RATE).start()?);
    }

    let mut pace = interval(WHILE / u32::try_from(many)?);
    let mut missed = [0, 0];
    let units = (0..many).collect::<Vec<_>>();
    let lives = paced(&mut pace, units).map(|number| live(&fixture, &nginx, fronts, number)).buffer_unordered(many);
    let all: Vec<[bool; 2]> = lives.try_collect().await?;
    for failed in all {
        missed = [0, 1].map(|front| missed[front] + usize::from(failed[front]));
    }
    stop.cancel();
    let mut seen = vec![];
    for ((name, load), (mut talks, missed)) in
        ["one gateway", "nginx"].into_iter().zip(loads).zip(talks.into_iter().zip(missed))
    {
        let mut dropped = vec![];
        while let Some(talk) = talks.join_next().await {
            dropped.extend(talk.context("the task of a WebSocket")?);
        }
        seen.push(Seen { name, report: load.stop().await?, dropped, missed });
    }
    for cuid in stay {
        fixture.delete(&format!("computing-unit-{cuid}")).await?;
    }
    let count = nginx.count();
    Ok(Some((seen.try_into().ok().context("two fronts")?, count)))
}

/// Yields one item at each tick.
fn paced(pace: &mut Interval, all: Vec<usize>) -> impl futures::Stream<Item = usize> {
    stream::unfold((pace, all.into_iter()), |(pace, mut all)| async move {
        let next = all.next()?;
        pace.tick().await;
        Some((next, (pace, all)))
    })
}

/// Creates and deletes one unit. Returns for each setup whether the first request to the Ready unit failed.
async fn live(fixture: &Fixture, nginx: &Reloads, fronts: [SocketAddr; 2], number: usize) -> anyhow::Result<[bool; 2]> {
    let cuid = texera::unit(fixture, &format!("comes-{number}")).await?;
    let name = format!("computing-unit-{cuid}");
    let address = usable(fixture, cuid).await?;
    let mut failed = [false, false];
    failed[0] = !answers(fronts[0], cuid).await;
    nginx.put(cuid, Some(address))?;
    failed[1] = !answers(fronts[1], cuid).await;
    pass(LIFE).await;
    nginx.put(cuid, None)?;
    fixture.delete(&name).await?;
    fixture.until_nothing_is_left(&name).await?;
    Ok(failed)
}

/// Waits until a unit is Ready. Returns its address.
async fn usable(fixture: &Fixture, cuid: i64) -> anyhow::Result<SocketAddr> {
    let name = format!("computing-unit-{cuid}");
    let ready = |unit: Option<&_>| units::phase(unit) == Some(Phase::Ready);
    until("Ready", SOON * 3, fixture.units(), &name, ready).await?;
    let address =
        fixture.pods().get(&name).await?.status.and_then(|status| status.pod_ip).context("the pod has no address")?;
    Ok(SocketAddr::new(address.parse::<IpAddr>()?, u16::try_from(PORT)?))
}

/// Whether the unit answers a request on a new connection.
async fn answers(front: SocketAddr, cuid: i64) -> bool {
    let ask = async {
        let mut connection = crate::traffic::Connection::open(front).await?;
        anyhow::Ok(connection.send(&target(cuid)?).await?)
    };
    ask.await.is_ok_and(|answer| answer.status == 200)
}

/// Sends messages at an interval until it is stopped. Returns the time until the WebSocket was cut, if it was.
async fn talk(mut socket: Socket, stop: CancellationToken) -> Option<Duration> {
    let began = Instant::now();
    let mut pace = interval(TALK);
    while stop.run_until_cancelled(pace.tick()).await.is_some() {
        if socket.echo("still here").await.is_err() {
            return Some(began.elapsed());
        }
    }
    None
}

fn path(cuid: i64) -> String {
    format!("/wsapi/workflow-websocket?wid=1&uid=1&cuid={cuid}&access-token=x")
}

fn target(cuid: i64) -> anyhow::Result<Target> {
    Ok(Target::new(HOST, &path(cuid))?.engine(&format!("computing-unit-{cuid}")))
}
