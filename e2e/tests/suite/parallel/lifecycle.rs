//! The lifecycle of a unit, and the number of API calls that it takes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use computing_unit_api::{Phase, names::headers};
use e2e::{
    faults::{ApiProxy, Class, Counts, Verb},
    fixture::SOON,
    traffic::{Reuse, Socket, first_success},
    units::{self, Mode},
};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use super::with_fixture;

const QUIET: Duration = Duration::from_secs(12);
const STATUS: &str = "patch computingunits/status";

/// How many calls of each kind a start takes: the finalizer, two statuses, the children, the opened route, and an Event.
const START: [(&str, u64); 7] = [
    ("create events", 1),
    ("create httproutes", 1),
    ("create pods", 1),
    ("create services", 1),
    ("patch computingunits", 1),
    (STATUS, 2),
    ("patch httproutes", 1),
];
/// How many a start of that duration takes: a slow one shows its progress each 10 s.
fn start(took: Duration) -> [(&'static str, u64); 7] {
    START.map(|(kind, most)| (kind, if kind == STATUS { most + took.as_secs() / 10 } else { most }))
}

/// How many a deletion takes: the guarded route, the children, and the finalizer.
const DELETION: &[(&str, u64)] = &[
    ("delete httproutes", 1),
    ("delete pods", 1),
    ("delete services", 1),
    ("patch computingunits", 1),
    ("patch httproutes", 1),
];

/// Fails if the operator has made other calls, or more, since `earlier`. The status of pools, leadership, and the lists and
/// watches of the caches are not counted.
fn assert_calls(proxy: &ApiProxy, earlier: &Counts, what: &str, allowed: &[(&str, u64)]) {
    let counts = proxy.counts().since(earlier).only(|call| {
        let of_caches = matches!(call.verb, Verb::List | Verb::Watch);
        call.resource != "computingunitpools" && call.class() != Class::Lease && !of_caches
    });
    let mut calls = BTreeMap::new();
    for (call, count) in counts.iter() {
        let slash = if call.subresource.is_empty() { "" } else { "/" };
        *calls.entry(format!("{} {}{slash}{}", call.verb, call.resource, call.subresource)).or_insert(0) += count;
    }
    let more = |(call, count): (&String, &u64)| {
        allowed.iter().find(|(kind, _)| kind == call).is_none_or(|(_, most)| count > most)
    };
    assert!(!calls.iter().any(more), "calls of a {what}: {calls:?}\n{}", proxy.describe(earlier));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_takes_seven_writes_to_start_and_five_to_delete() -> anyhow::Result<()> {
    with_fixture("cost", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let operator = fixture.start().await?;
        let (before, began) = (fixture.proxy.counts(), Instant::now());
        let unit = fixture.unit("ada");
        fixture.create(&unit).await?;
        let ready = fixture.until("ada", Phase::Ready).await?;
        assert_calls(&fixture.proxy, &before, "start", &start(began.elapsed()));
        let status = ready.status.clone().unwrap();
        let stages = status.stages;
        let passed =
            [&stages.accepted, &stages.scheduled, &stages.pod_ready, &stages.route_accepted, &stages.reachable];
        assert!(passed.iter().all(|stage| stage.is_some()), "{stages:?}");

        let proxy = fixture.cluster.proxies().await?[0];
        let first = first_success(proxy, &units::target(Mode::Query, &unit)?, Reuse::Kept, SOON).await?;
        assert!(first.before.is_empty(), "Ready means that the first request is answered: {:?}", first.before);
        let uid = first.answer.headers.get(headers::UNIT).unwrap().to_str()?.to_owned();
        assert_eq!(Some(uid), ready.uid());
        let (host, path) = units::address(Mode::Query, &unit);
        Socket::open(proxy, &host, &path).await?.echo("hello").await?;

        // Its status catches up with what passed since, and then nothing happens any more.
        let before = fixture.proxy.quiet(QUIET, SOON).await?;
        let noise = json!({"metadata": {"labels": {"by": "hand"}, "annotations": {"by": "hand"}}});
        fixture.pods().patch("ada", &PatchParams::default(), &Patch::Merge(&noise)).await?;
        fixture.units().patch("ada", &PatchParams::default(), &Patch::Merge(&noise)).await?;
        let condition = json!({"status": {"conditions": [{"type": "example.org/Other", "status": "True"}]}});
        fixture.pods().patch_status("ada", &PatchParams::default(), &Patch::Strategic(&condition)).await?;
        fixture.proxy.quiet(QUIET, SOON).await?;
        assert_eq!(fixture.proxy.counts().since(&before).writes(), 0, "{}", fixture.proxy.describe(&before));

        let operator = operator.restart(SOON).await?;
        fixture.proxy.quiet(QUIET, SOON).await?;
        assert_eq!(fixture.proxy.counts().since(&before).writes(), 0, "{}", fixture.proxy.describe(&before));

        let before = fixture.proxy.counts();
        fixture.delete("ada").await?;
        assert_calls(&fixture.proxy, &before, "deletion", DELETION);
        fixture.until_nothing_is_left("ada").await?;
        drop(operator);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_route_is_deleted_before_the_pod_is_stopped() -> anyhow::Result<()> {
    with_fixture("order", |fixture| async move {
        fixture.create_default_pool(Mode::Path).await?;
        let _operator = fixture.start().await?;
        let unit = fixture.unit("ada");
        fixture.create(&unit).await?;
        fixture.until("ada", Phase::Ready).await?;
        fixture.units().delete("ada", &DeleteParams::default()).await?;
        fixture.until_gone("ada").await?;
        let proxy = fixture.cluster.proxies().await?[0];
        let mut connection =
            e2e::traffic::Connection::open(proxy).await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        let answer = connection
            .send(&units::target(Mode::Path, &unit)?)
            .await
            .map_err(|failure| anyhow::anyhow!("{failure}"))?;
        assert_eq!(answer.status, 404, "the proxies have given up the route when the unit is gone");
        fixture.until_nothing_is_left("ada").await
    })
    .await
}
