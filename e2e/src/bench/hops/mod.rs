//! Compares the gateway with the two former proxies: nginx, and behind it Envoy with Lua. Both setups route to the same
//! static service and unit. Each proxy has one worker, and both setups run on the same dedicated core, alternately.

pub mod load;
pub mod minimal;

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use computing_unit_api::{Phase, names::PORT};
use kube::ResourceExt;

use self::load::{Seen, What, load};
use super::{
    cores::{Processes, apart},
    table::{self, Times, milliseconds},
};
use crate::{
    before::{ENVOY, NGINX, Plan, TwoProxies},
    fixture::{Fixture, SOON, with_fixture},
    proxies,
    texera::{self, AUTHORIZATION, deploy, standins::UNITS_SERVICE},
    traffic::{Reuse, Target, first_success},
};

/// The host name of requests.
const HOST: &str = "texera.example.org";
/// A path of the static service.
const STATIC: &str = "/dashboard/user/workflow";
/// The path of a unit's WebSocket.
const SOCKET: &str = "/wsapi/workflow-websocket";
/// The load for comparing latencies, as a share of the maximum that both setups can handle.
const OFFERED: f64 = 0.4;

/// A setup of proxies.
#[derive(Debug)]
pub struct Chain {
    /// The address for clients.
    pub front: SocketAddr,
    /// The processes of the proxies.
    pub proxies: Processes,
}

/// The results of one kind of load in one round: two proxies, gateway.
struct Round {
    full: [Seen; 2],
    offered: [Seen; 2],
}

/// What both setups do besides forwarding requests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Variant {
    Forwarding,
    AccessLogs,
    /// Requests for units are authorized by an external service. The gateway looks up the unit by the response.
    Authorization,
}

impl Variant {
    const ALL: [Self; 3] = [Self::Forwarding, Self::AccessLogs, Self::Authorization];

    /// What is appended to the names of the loads.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Forwarding => "",
            Self::AccessLogs => ", access logs on",
            Self::Authorization => ", authorization on",
        }
    }

    /// Values of the gateway's chart that disable what the two former proxies do not do.
    const fn values(self) -> &'static str {
        match self {
            Self::Forwarding => {
                "proxy.accessLog.static=off,proxy.accessLog.units=off,authorization.enabled=false,units.pool.lookup=Linear"
            }
            Self::AccessLogs => {
                "proxy.accessLog.static=all,proxy.accessLog.units=all,authorization.enabled=false,units.pool.lookup=Linear"
            }
            Self::Authorization => "proxy.accessLog.static=off,proxy.accessLog.units=off",
        }
    }
}

/// Compares both setups in that many rounds: without anything else, with access logs, with authorization. `values` are
/// additional values of the gateway's chart.
///
/// # Errors
/// If a proxy does not become ready, or a request fails.
pub async fn measure(rounds: usize, values: &[String]) -> anyhow::Result<()> {
    let (mut rows, mut slow) = (vec![], vec![]);
    for variant in Variant::ALL {
        let work = |fixture| async move { measure_in(fixture, rounds, variant, values).await };
        let seen = with_fixture("hops", work).await?;
        for (what, rounds) in seen.into_iter().flatten() {
            let what = format!("{what}{}", variant.suffix());
            rows.push(at_most(&what, &rounds));
            slow.push(latencies(&what, &rounds));
        }
    }
    table::heading(&format!("One gateway compared with two proxies, {rounds} rounds"));
    table::print(
        &[
            "without a rate limit",
            "proxy CPU per response, µs: two proxies",
            "gateway",
            "ratio (goal 0.6)",
            "of which system, µs: two proxies",
            "gateway",
            "responses/s: two proxies",
            "gateway",
            "ratio (goal 1.3)",
        ],
        &rows,
    );
    println!();
    table::print(
        &[
            "at the same rate",
            "requests/s",
            "median, ms: two proxies",
            "gateway",
            "ratio (goal below 1)",
            "99 %, ms: two proxies",
            "gateway",
            "ratio (goal below 1)",
        ],
        &slow,
    );
    Ok(())
}

type Rounds = Vec<(&'static str, Vec<Round>)>;

async fn measure_in(
    mut fixture: Fixture,
    rounds: usize,
    variant: Variant,
    values: &[String],
) -> anyhow::Result<Option<Rounds>> {
    let mut all = vec![variant.values(), "proxy.concurrency=1"];
    all.extend(values.iter().map(String::as_str));
    if !deploy(&mut fixture, &all).await? {
        return Ok(None);
    }
    let authorized = variant == Variant::Authorization;
    let _operator = fixture.start().await?;
    let cuid = texera::unit(&fixture, "ada").await?;
    let unit = format!("computing-unit-{cuid}");
    fixture.until(&unit, Phase::Ready).await?;
    let plan = Plan {
        statics: vec![("/".to_owned(), "webserver-svc:8080".to_owned())],
        units: vec!["/wsapi".to_owned()],
        unit_host: format!("computing-unit-{{cuid}}.{UNITS_SERVICE}.{}.svc.cluster.local:{PORT}", fixture.namespace),
        workers: 1,
        access_log: variant == Variant::AccessLogs,
        authorization: authorized.then(|| (format!("{AUTHORIZATION}.{}.svc.cluster.local", fixture.namespace), 9096)),
    };
    let two = TwoProxies::start(&fixture, &plan).await?.context("the cluster is not the local one")?;
    let front = texera::proxy(&fixture, 80).await?;
    let chains = [
        Chain {
            front: two.front,
            proxies: Processes::of(&uids(&fixture, &[NGINX, ENVOY]).await?, &["nginx", "envoy"])?,
        },
        Chain { front, proxies: Processes::of(&[proxies::uid(&fixture.cluster, front).await?], &["envoy"])? },
    ];
    let engines =
        Processes::of(&uids(&fixture, &[&unit, "texera", AUTHORIZATION]).await?, &["engine", "authorization"])?;
    let counts = chains.iter().map(|chain| chain.proxies.workers()).collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(counts == [2, 1], "expected one worker of nginx and of each Envoy, got {counts:?}");

    let [two, gateway] = &chains;
    let seen = apart(&[&two.proxies, &gateway.proxies], &[&engines], compare(&chains, cuid, rounds, authorized)).await;
    fixture.delete(&unit).await?;
    seen.map(Some)
}

async fn compare(chains: &[Chain; 2], cuid: i64, rounds: usize, authorized: bool) -> anyhow::Result<Rounds> {
    let path = format!("{SOCKET}?wid=1&uid=1&cuid={cuid}&access-token=for-{cuid}");
    let mut kinds = vec![
        ("static request", What::Requests(Box::new(Target::new(HOST, STATIC)?.engine("webserver-svc")))),
        ("unit request", What::Requests(Box::new(Target::new(HOST, &path)?.engine(&format!("computing-unit-{cuid}"))))),
        ("WebSocket message", What::Messages(HOST.to_owned(), path)),
    ];
    if authorized {
        // Static paths are not authorized.
        kinds.remove(0);
    }
    for (chain, (_, what)) in chains.iter().flat_map(|chain| kinds.iter().map(move |kind| (chain, kind))) {
        if let What::Requests(target) = what {
            first_success(chain.front, target, Reuse::Fresh, SOON).await?;
        }
        load(chain, what, None).await?;
    }
    let mut all = vec![];
    for (kind, what) in kinds {
        let mut of_kind = vec![];
        for number in 0..rounds {
            let full = in_turns(chains, &what, None, number).await?;
            let offered = full[0].rate.min(full[1].rate) * OFFERED;
            of_kind.push(Round { full, offered: in_turns(chains, &what, Some(offered), number).await? });
        }
        all.push((kind, of_kind));
    }
    Ok(all)
}

/// Applies the load to one setup after the other, in an order that alternates between rounds.
async fn in_turns(chains: &[Chain; 2], what: &What, rate: Option<f64>, round: usize) -> anyhow::Result<[Seen; 2]> {
    if round.is_multiple_of(2) {
        let first = load(&chains[0], what, rate).await?;
        return Ok([first, load(&chains[1], what, rate).await?]);
    }
    let second = load(&chains[1], what, rate).await?;
    Ok([load(&chains[0], what, rate).await?, second])
}

async fn uids(fixture: &Fixture, pods: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut uids = vec![];
    for pod in pods {
        uids.push(fixture.pods().get(pod).await?.uid().context("a UID")?);
    }
    Ok(uids)
}

/// The medians of both setups and of the ratios, with the minimum and maximum ratio.
fn cells(of: &[Vec<f64>; 2], digits: usize) -> Vec<String> {
    let sample = |values: &mut dyn Iterator<Item = f64>| {
        let mut times = Times::default();
        values.for_each(|value| times.add(value));
        times
    };
    let chains = [0, 1].map(|chain| sample(&mut of[chain].iter().copied()).quantile(0.5));
    let ratios = sample(&mut of[0].iter().zip(&of[1]).map(|(two, one)| one / two));
    let mut cells: Vec<String> = chains.iter().map(|value| format!("{value:.digits$}")).collect();
    let [middle, least, most] = [0.5, 0.0, 1.0].map(|share| ratios.quantile(share));
    cells.push(format!("{middle:.2} ({least:.2} to {most:.2})"));
    cells
}

fn at_most(what: &str, rounds: &[Round]) -> Vec<String> {
    let figure = |of: fn(&Seen) -> f64| {
        [0, 1].map(|chain| rounds.iter().map(|round| of(&round.full[chain])).collect::<Vec<_>>())
    };
    let mut row = vec![what.to_owned()];
    row.extend(cells(&figure(|seen| seen.cost), 0));
    row.extend(cells(&figure(|seen| seen.kernel), 0).into_iter().take(2));
    row.extend(cells(&figure(|seen| seen.rate), 0));
    row
}

fn latencies(what: &str, rounds: &[Round]) -> Vec<String> {
    let figure = |of: fn(&Seen) -> Duration| {
        [0, 1].map(|chain| rounds.iter().map(|round| milliseconds(of(&round.offered[chain]))).collect::<Vec<_>>())
    };
    let rates = [0, 1].map(|chain| rounds.iter().map(|round| round.offered[chain].rate).collect::<Vec<_>>());
    let mut row = vec![what.to_owned(), cells(&rates, 0).swap_remove(0)];
    row.extend(cells(&figure(|seen| seen.latency.median()), 2));
    row.extend(cells(&figure(|seen| seen.latency.p99()), 2));
    row
}
