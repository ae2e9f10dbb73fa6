//! What of a proxy's cost is the program's own: a static request through nginx, through an Envoy with a minimal
//! configuration, and through the gateway. Each has one worker, and all run on the same dedicated core, alternately.

use anyhow::Context;

use super::{
    Chain, HOST, STATIC,
    load::{What, load},
    uids,
};
use crate::{
    before::{NGINX, Plan, TwoProxies, minimal_envoy},
    bench::{
        cores::{Processes, apart},
        table::{self, Times},
    },
    fixture::{Fixture, SOON, with_fixture},
    proxies,
    texera::{self, deploy},
    traffic::{Reuse, Target, first_success},
};

/// The name of the pod with the minimal Envoy.
const MINIMAL: &str = "minimal-envoy";
/// The static service, and its port.
const SERVICE: (&str, u16) = ("webserver-svc", 8080);
const NAMES: [&str; 3] = ["nginx", "Envoy, minimal configuration", "gateway"];

/// Measures that many rounds, and prints the CPU time of each proxy per response. `values` are additional values of the
/// gateway's chart.
///
/// # Errors
/// If a proxy does not become ready, or a request fails.
pub async fn measure(rounds: usize, values: &[String]) -> anyhow::Result<()> {
    let work = |fixture| async move { measure_in(fixture, rounds, values).await };
    let Some(costs) = with_fixture("minimal", work).await? else { return Ok(()) };
    let rows: Vec<Vec<String>> = NAMES
        .iter()
        .zip(&costs)
        .map(|(name, own)| {
            let ratios = own.iter().zip(&costs[0]).map(|(own, nginx)| own / nginx);
            let quantile = |values: &mut dyn Iterator<Item = f64>, share| {
                let mut times = Times::default();
                values.for_each(|value| times.add(value));
                times.quantile(share)
            };
            let ratio = |share| quantile(&mut ratios.clone(), share);
            vec![
                (*name).to_owned(),
                format!("{:.0}", quantile(&mut own.iter().copied(), 0.5)),
                format!("{:.2} ({:.2} to {:.2})", ratio(0.5), ratio(0.0), ratio(1.0)),
            ]
        })
        .collect();
    table::heading(&format!("A static request through one proxy, {rounds} rounds"));
    table::print(&["static request", "proxy CPU per response, µs", "ratio to nginx (goal 1.5)"], &rows);
    Ok(())
}

async fn measure_in(
    mut fixture: Fixture,
    rounds: usize,
    values: &[String],
) -> anyhow::Result<Option<[Vec<f64>; NAMES.len()]>> {
    let logs = "proxy.accessLog.static=off,proxy.accessLog.units=off";
    let mut all = vec![logs, "proxy.concurrency=1"];
    all.extend(values.iter().map(String::as_str));
    if !deploy(&mut fixture, &all).await? {
        return Ok(None);
    }
    let statics = vec![("/".to_owned(), format!("{}:{}", SERVICE.0, SERVICE.1))];
    let plan =
        Plan { statics, units: vec![], unit_host: String::new(), workers: 1, access_log: false, authorization: None };
    let nginx = TwoProxies::start(&fixture, &plan).await?.context("the cluster is not the local one")?;
    let front = minimal_envoy(&fixture, MINIMAL, SERVICE).await?;
    let gateway = texera::proxy(&fixture, 80).await?;
    let chains = [
        Chain { front: nginx.front, proxies: Processes::of(&uids(&fixture, &[NGINX]).await?, &["nginx"])? },
        Chain { front, proxies: Processes::of(&uids(&fixture, &[MINIMAL]).await?, &["envoy"])? },
        Chain {
            front: gateway,
            proxies: Processes::of(&[proxies::uid(&fixture.cluster, gateway).await?], &["envoy"])?,
        },
    ];
    let engines = Processes::of(&uids(&fixture, &["texera"]).await?, &["engine"])?;
    let [first, second, third] = &chains;
    let own = [&first.proxies, &second.proxies, &third.proxies];
    apart(&own, &[&engines], compare(&chains, rounds)).await.map(Some)
}

async fn compare(chains: &[Chain; NAMES.len()], rounds: usize) -> anyhow::Result<[Vec<f64>; NAMES.len()]> {
    let target = Target::new(HOST, STATIC)?.engine(SERVICE.0);
    let what = What::Requests(Box::new(target.clone()));
    let mut costs = NAMES.map(|_| vec![]);
    for chain in chains {
        first_success(chain.front, &target, Reuse::Fresh, SOON).await?;
        load(chain, &what, None).await?;
    }
    for round in 0..rounds {
        for turn in 0..chains.len() {
            // Each round starts with another proxy.
            let number = (round + turn) % chains.len();
            costs[number].push(load(&chains[number], &what, None).await?.cost);
        }
    }
    Ok(costs)
}
