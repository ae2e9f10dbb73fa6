//! The cost of finding a unit among many in a proxy, for each kind of lookup. The pods are simulated: one engine
//! answers for all of them.

use std::time::Duration;

use anyhow::Context;
use computing_unit_api::{ComputingUnit, QueryLookup};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    cores::{Processes, apart},
    hops::{
        Chain,
        load::{Seen, What, load},
    },
    idle::all_ready,
    table,
};
use crate::{
    activator::{self, WAKES, serve_activator},
    fixture::{Fixture, SOON, with_fixture},
    plain::Plain,
    proxies,
    simulated::Simulated,
    standin,
    traffic::{Reuse, Target, first_success},
    units::{self, Mode},
};

/// The deadline for the readiness of many units.
const MANY: Duration = Duration::from_mins(30);

/// Measures each lookup with one unit and with `many`.
///
/// # Errors
/// If a unit does not become Ready, or a request fails.
pub async fn measure(many: usize) -> anyhow::Result<()> {
    let mut rows = vec![];
    for lookup in [QueryLookup::Linear, QueryLookup::Host] {
        let seen = with_fixture("lookup", |fixture| async move { of(fixture, lookup, many).await }).await?;
        let Some([alone, oldest, newest]) = seen else { return Ok(()) };
        let mut row = vec![format!("{lookup:?}")];
        row.extend([&alone, &oldest, &newest].map(|seen| format!("{:.0}", seen.cost)));
        row.extend([&oldest, &newest].map(|seen| format!("{:.2}", seen.cost / alone.cost)));
        rows.push(row);
    }
    table::heading(&format!("Finding a unit among {many}"));
    table::print(
        &["lookup", "proxy CPU, µs: one unit", "oldest of many", "newest", "oldest / one", "newest / one"],
        &rows,
    );
    Ok(())
}

async fn of(mut fixture: Fixture, lookup: QueryLookup, many: usize) -> anyhow::Result<Option<[Seen; 3]>> {
    if !proxies::own(&mut fixture).await? || !serve_activator(&mut fixture).await? {
        return Ok(None);
    }
    let engine = Plain::new(&fixture, "engine");
    engine.make_pod().await?;
    engine.until_ready().await?;
    let address = fixture.pods().get("engine").await?.status.and_then(|status| status.pod_ip);
    let node =
        Simulated::join(&fixture.cluster, &fixture.namespace, &address.context("the pod has no address")?).await?;
    let seen = among(&fixture, &node, lookup, many).await;
    // The operator has exited, so the pods are not recreated.
    let left = node.leave().await;
    let seen = seen?;
    left?;
    Ok(Some(seen))
}

async fn among(fixture: &Fixture, node: &Simulated, lookup: QueryLookup, many: usize) -> anyhow::Result<[Seen; 3]> {
    let operator = fixture.start().await?;
    let more = json!({"spec": {"template": {"spec": {"nodeName": node.name()}}}});
    if lookup == QueryLookup::Host {
        let domain = format!("{}.units.internal", fixture.namespace);
        let host = format!("computing-unit-{{cuid}}.{domain}");
        standin::authorization(fixture, &[("UNIT_HOST", host)], &["host"]).await?;
        let query = json!({"spec": {"routing": {"query": {"lookup": lookup, "lookupDomain": domain}}}});
        activator::create_pool(
            fixture,
            &units::with(&units::with(&activator::pool(fixture, Mode::Query, &WAKES()), &more), &query),
        )
        .await?;
    } else {
        let pool = units::with(&activator::pool(fixture, Mode::Query, &WAKES()), &more);
        fixture.create_pool(&units::with(&pool, &json!({"spec": {"activator": Value::Null}}))).await?;
    }
    let units: Vec<ComputingUnit> = (0..many).map(|number| unit(fixture, &format!("unit-{number}"))).collect();
    let (first, rest) = units.split_first().context("no unit")?;
    fixture.create(first).await?;
    timeout(MANY, all_ready(fixture, 1)).await.context("no Ready unit in time")??;
    let alone = send(fixture, first).await?;
    stream::iter(rest).map(|unit| fixture.create(unit)).buffer_unordered(8).try_collect::<Vec<_>>().await?;
    timeout(MANY, all_ready(fixture, many)).await.with_context(|| format!("no {many} Ready units in time"))??;
    let seen = [alone, send(fixture, first).await?, send(fixture, rest.last().unwrap_or(first)).await?];
    operator.kill().await?;
    Ok(seen)
}

/// A unit that is named after its number, like in the host name from the authorization.
fn unit(fixture: &Fixture, name: &str) -> ComputingUnit {
    let cuid = fixture.unit(name).spec.cuid.unwrap_or_default();
    units::unit(&fixture.namespace, &format!("computing-unit-{cuid}"), cuid)
}

/// Applies a load without a rate limit to one unit, with the proxy on a dedicated core.
async fn send(fixture: &Fixture, unit: &ComputingUnit) -> anyhow::Result<Seen> {
    let proxy = fixture.cluster.proxies().await?[0];
    let cuid = unit.spec.cuid.unwrap_or_default();
    let target = Target::new("localhost", &format!("{}?cuid={cuid}&access-token=for-all", activator::path(fixture)))?;
    first_success(proxy, &target, Reuse::Fresh, SOON).await?;
    let uid = proxies::uid(&fixture.cluster, proxy).await?;
    let chain = Chain { front: proxy, proxies: Processes::of(&[uid], &["envoy"])? };
    apart(&[&chain.proxies], &[], load(&chain, &What::Requests(Box::new(target)), None)).await
}
