//! An idle unit is suspended with a reason. A unit in use keeps running, and so does one whose activity is unknown.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use computing_unit_api::{
    ComputingUnit, Phase,
    names::{LAST_ACTIVITY, PORT},
};
use e2e::{
    fixture::{Fixture, SOON},
    idle::{IDLE, activity, make_pool, stays, suspended, until_activity, until_source, until_unreadable},
    traffic::{Connection, Hammer, Socket, Target},
    units::{self, Mode, with},
    wait::eventually,
};
use http::Method;
use k8s_openapi::{api::events::v1::Event, jiff::Timestamp};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::with_fixture;

async fn ready(fixture: &Fixture, activity: Value) -> anyhow::Result<(ComputingUnit, SocketAddr)> {
    make_pool(fixture, activity).await?;
    let unit = fixture.unit("ada");
    fixture.create(&unit).await?;
    fixture.until("ada", Phase::Ready).await?;
    Ok((unit, fixture.cluster.proxies().await?[0]))
}

async fn until_event(fixture: &Fixture, reason: &str) -> anyhow::Result<Event> {
    let events: Api<Event> = Api::namespaced(fixture.cluster.client(), &fixture.namespace);
    let (events, field) = (&events, ListParams::default().fields(&format!("reason={reason}")));
    eventually(reason, SOON, || {
        let field = field.clone();
        async move { Ok(events.list(&field).await?.items.pop()) }
    })
    .await
}

/// Sets the answer of the engine to the busy probe.
async fn tell(fixture: &Fixture, answer: &str) -> anyhow::Result<()> {
    let pod = fixture.pods().get("ada").await?;
    let address = pod.status.and_then(|status| status.pod_ip).context("its address")?;
    let target = Target::new("engine", &format!("/busy?answer={answer}"))?.method(Method::PUT);
    let address = SocketAddr::new(address.parse()?, u16::try_from(PORT)?);
    let answer = Connection::open(address).await?.send(&target).await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_unit_is_suspended_with_a_reason() -> anyhow::Result<()> {
    with_fixture("idle", |fixture| async move {
        let _operator = fixture.start().await?;
        let (unit, _) = ready(&fixture, json!({})).await?;
        let shown = until_activity(&fixture, "ada", "end ahead of time", |activity| activity.idle_at.is_some()).await?;
        ensure!(shown.message.is_none(), "{shown:?}");
        suspended(&fixture, "ada").await?;
        let soon = until_event(&fixture, "IdleSoon").await?.note.unwrap_or_default();
        ensure!(soon.contains("suspended at"), "{soon}");
        let note = until_event(&fixture, "Idle").await?.note.unwrap_or_default();
        ensure!(note.contains("idle since") && note.contains("suspended"), "{note}");
        let rests = fixture.units().get("ada").await?;
        ensure!(activity(Some(&rests)).is_some_and(|activity| activity.idle_at.is_none()), "{rests:#?}");
        // It comes back for as long as it may be idle, and is then stopped again.
        fixture.set_mode("ada", "Running").await?;
        fixture.until("ada", Phase::Ready).await?;
        suspended(&fixture, "ada").await?;
        fixture.delete(&unit.name_any()).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_unit_is_deleted_if_its_pool_says_so() -> anyhow::Result<()> {
    with_fixture("idle-delete", |fixture| async move {
        let _operator = fixture.start().await?;
        make_pool(&fixture, json!({})).await?;
        fixture.create(&with(&fixture.unit("ada"), &json!({"spec": {"lifecycle": {"idleAction": "Delete"}}}))).await?;
        fixture.until("ada", Phase::Ready).await?;
        fixture.until_nothing_is_left("ada").await?;
        let note = until_event(&fixture, "Idle").await?.note.unwrap_or_default();
        ensure!(note.contains("deleted"), "{note}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_keep_a_unit_running() -> anyhow::Result<()> {
    with_fixture("idle-requests", |fixture| async move {
        let _operator = fixture.start().await?;
        let (unit, proxy) = ready(&fixture, json!({})).await?;
        let load = Hammer::new(&[proxy], units::target(Mode::Query, &unit)?).rate(0.5).start()?;
        until_source(&fixture, "ada", "Request").await?;
        stays(&fixture, "ada").await?;
        load.stop().await?;
        suspended(&fixture, "ada").await
    })
    .await
}

/// Sends `text` over a WebSocket in a loop.
async fn talk(mut socket: Socket, text: String, pause: Duration) -> anyhow::Result<()> {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        socket.echo(&text).await?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_keeps_a_unit_running_unless_it_only_sends_heartbeats() -> anyhow::Result<()> {
    with_fixture("idle-websocket", |fixture| async move {
        let _operator = fixture.start().await?;
        let (unit, proxy) = ready(&fixture, json!({})).await?;
        let (host, path) = units::address(Mode::Query, &unit);
        let busy = tokio::spawn(talk(Socket::open(proxy, &host, &path).await?, "x".repeat(500), IDLE / 30));
        until_source(&fixture, "ada", "Traffic").await?;
        stays(&fixture, "ada").await?;
        busy.abort();
        let socket = Socket::open(proxy, &host, &path).await?;
        let heartbeats = tokio::spawn(talk(socket, "beat".to_owned(), IDLE / 6));
        suspended(&fixture, "ada").await?;
        heartbeats.abort();
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_or_unreachable_engine_keeps_its_unit_running() -> anyhow::Result<()> {
    with_fixture("idle-busy", |fixture| async move {
        let _operator = fixture.start().await?;
        let (unit, proxy) = ready(&fixture, json!({"busyProbes": [
            {"path": "/busy", "timeout": "1s"},
            {"path": "/busy?of={unit}", "timeout": "1s", "expression": "response.status == 200 && response.json.busy"},
        ]})).await?;
        tell(&fixture, "true").await?;
        until_source(&fixture, "ada", "BusyProbe").await?;
        stays(&fixture, "ada").await?;
        for (answer, words) in
            [("hang", "did not respond within 1s"), ("garbage", "something other than"), ("huge", "more than 64 KiB")]
        {
            tell(&fixture, answer).await?;
            until_unreadable(&fixture, "ada", words).await?;
            stays(&fixture, "ada").await?;
        }
        // One that says that it does nothing, and is asked for work all the while.
        let load = Hammer::new(&[proxy], units::target(Mode::Query, &unit)?).rate(0.5).start()?;
        tell(&fixture, "false").await?;
        until_source(&fixture, "ada", "Request").await?;
        stays(&fixture, "ada").await?;
        load.stop().await?;
        suspended(&fixture, "ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_activity_annotation_keeps_a_unit_running() -> anyhow::Result<()> {
    with_fixture("idle-annotation", |fixture| async move {
        let _operator = fixture.start().await?;
        ready(&fixture, json!({"annotation": "Enabled", "gateway": {"mode": "Disabled"}})).await?;
        let units = fixture.units();
        let say = |time: String| {
            let patch = Patch::Merge(json!({"metadata": {"annotations": {LAST_ACTIVITY: time}}}));
            let units = units.clone();
            async move { units.patch("ada", &PatchParams::default(), &patch).await.map(drop) }
        };
        let backend = tokio::spawn({
            let units = units.clone();
            async move {
                let mut ticks = interval(IDLE / 3);
                loop {
                    ticks.tick().await;
                    let patch = json!({"metadata": {"annotations": {LAST_ACTIVITY: Timestamp::now().to_string()}}});
                    let _ = units.patch("ada", &PatchParams::default(), &Patch::Merge(patch)).await;
                }
            }
        });
        until_source(&fixture, "ada", "Annotation").await?;
        stays(&fixture, "ada").await?;
        backend.abort();
        say("yesterday".to_owned()).await?;
        until_unreadable(&fixture, "ada", "yesterday").await?;
        stays(&fixture, "ada").await?;
        say("2026-01-01T00:00:00Z".to_owned()).await?;
        suspended(&fixture, "ada").await
    })
    .await
}
