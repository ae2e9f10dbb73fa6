//! A unit that nobody uses is stopped and says why; one that is used in any way that its pool knows of is not, nor is one
//! of which that cannot be told.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use computing_unit_operator::{
    api::{Activity, ComputingUnit, OperatingMode, Phase},
    names::{LAST_ACTIVITY, PORT},
};
use e2e::{
    stage::{SOON, Stage, play},
    traffic::{Connection, Hammer, Socket, Target},
    units::{self, Mode, with},
    wait::{eventually, until},
};
use http::Method;
use k8s_openapi::{api::events::v1::Event, jiff::Timestamp};
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
    runtime::wait::await_condition,
};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long a unit may be idle here.
const IDLE: Duration = Duration::from_secs(6);
/// How long a unit is used for to see that it is not stopped.
const WHILE: Duration = Duration::from_secs(10);

async fn make_pool(stage: &Stage, activity: Value) -> anyhow::Result<()> {
    let quick = json!({"spec": {
        "lifecycle": {"idleTimeout": "6s"},
        "activity": {"interval": "1s", "gracePeriod": "1s"},
    }});
    let pool = with(&with(&stage.pool(Mode::Query), &quick), &json!({"spec": {"activity": activity}}));
    stage.pools().create(&PostParams::default(), &pool).await?;
    Ok(())
}

async fn ready(stage: &Stage, activity: Value) -> anyhow::Result<(ComputingUnit, SocketAddr)> {
    make_pool(stage, activity).await?;
    let unit = stage.unit("ada");
    stage.make(&unit).await?;
    stage.until("ada", Phase::Ready).await?;
    Ok((unit, stage.cluster.proxies().await?[0]))
}

fn activity(unit: Option<&ComputingUnit>) -> Option<&Activity> {
    unit?.status.as_ref()?.activity.as_ref()
}

async fn until_activity(stage: &Stage, what: &str, so: impl Fn(&Activity) -> bool) -> anyhow::Result<Activity> {
    let unit = until(what, SOON, stage.units(), "ada", |unit: Option<&ComputingUnit>| activity(unit).is_some_and(&so));
    activity(unit.await?.as_ref()).cloned().context("its activity")
}

async fn until_source(stage: &Stage, source: &str) -> anyhow::Result<Activity> {
    until_activity(stage, source, |activity| activity.source.as_deref() == Some(source)).await
}

/// For a while nobody stops the unit.
async fn stays(stage: &Stage) -> anyhow::Result<()> {
    let stopped = |unit: Option<&ComputingUnit>| {
        unit.is_none_or(|unit| {
            unit.spec.operating_mode == OperatingMode::Suspended || unit.metadata.deletion_timestamp.is_some()
        })
    };
    match timeout(WHILE, await_condition(stage.units(), "ada", stopped)).await {
        Ok(unit) => anyhow::bail!("it was stopped: {:#?}", unit?),
        Err(_) => Ok(()),
    }
}

async fn suspended(stage: &Stage) -> anyhow::Result<()> {
    stage.until("ada", Phase::Suspended).await?;
    let message = stage.until_says("ada", "Suspended", "True", "Idle").await?;
    ensure!(message.contains("idle since"), "{message}");
    Ok(())
}

async fn until_event(stage: &Stage, reason: &str) -> anyhow::Result<Event> {
    let events: Api<Event> = Api::namespaced(stage.cluster.client(), &stage.namespace);
    let (events, field) = (&events, ListParams::default().fields(&format!("reason={reason}")));
    eventually(reason, SOON, || {
        let field = field.clone();
        async move { Ok(events.list(&field).await?.items.pop()) }
    })
    .await
}

/// Tells the engine what to answer when it is asked whether it is busy.
async fn tell(stage: &Stage, answer: &str) -> anyhow::Result<()> {
    let pod = stage.pods().get("ada").await?;
    let address = pod.status.and_then(|status| status.pod_ip).context("its address")?;
    let target = Target::new("engine", &format!("/busy?answer={answer}"))?.method(Method::PUT);
    let address = SocketAddr::new(address.parse()?, u16::try_from(PORT)?);
    let answer = Connection::open(address).await?.send(&target).await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_unit_is_suspended_and_says_why() -> anyhow::Result<()> {
    play("idle", |stage| async move {
        let _operator = stage.start().await?;
        let (unit, _) = ready(&stage, json!({})).await?;
        let shown = until_activity(&stage, "end ahead of time", |activity| activity.idle_at.is_some()).await?;
        ensure!(shown.message.is_none(), "{shown:?}");
        suspended(&stage).await?;
        let soon = until_event(&stage, "IdleSoon").await?.note.unwrap_or_default();
        ensure!(soon.contains("suspended at"), "{soon}");
        let note = until_event(&stage, "Idle").await?.note.unwrap_or_default();
        ensure!(note.contains("idle since") && note.contains("suspended"), "{note}");
        let rests = stage.units().get("ada").await?;
        ensure!(activity(Some(&rests)).is_some_and(|activity| activity.idle_at.is_none()), "{rests:#?}");
        // It comes back for as long as it may be idle, and is then stopped again.
        let patch = Patch::Merge(json!({"spec": {"operatingMode": "Running"}}));
        stage.units().patch("ada", &PatchParams::default(), &patch).await?;
        stage.until("ada", Phase::Ready).await?;
        suspended(&stage).await?;
        stage.delete(&unit.name_any()).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_unit_is_deleted_where_that_is_asked_for() -> anyhow::Result<()> {
    play("idle-delete", |stage| async move {
        let _operator = stage.start().await?;
        make_pool(&stage, json!({})).await?;
        stage.make(&with(&stage.unit("ada"), &json!({"spec": {"lifecycle": {"idleAction": "Delete"}}}))).await?;
        stage.until("ada", Phase::Ready).await?;
        stage.until_nothing_is_left("ada").await?;
        let note = until_event(&stage, "Idle").await?.note.unwrap_or_default();
        ensure!(note.contains("deleted"), "{note}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_keep_a_unit() -> anyhow::Result<()> {
    play("idle-requests", |stage| async move {
        let _operator = stage.start().await?;
        let (unit, proxy) = ready(&stage, json!({})).await?;
        let load = Hammer::new(&[proxy], units::target(Mode::Query, &unit)?).rate(0.5).start()?;
        until_source(&stage, "Request").await?;
        stays(&stage).await?;
        load.stop().await?;
        suspended(&stage).await
    })
    .await
}

/// Sends `text` over a WebSocket again and again.
async fn talk(mut socket: Socket, text: String, pause: Duration) -> anyhow::Result<()> {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        socket.echo(&text).await?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_with_traffic_keeps_a_unit_and_one_with_heartbeats_does_not() -> anyhow::Result<()> {
    play("idle-websocket", |stage| async move {
        let _operator = stage.start().await?;
        let (unit, proxy) = ready(&stage, json!({})).await?;
        let (host, path) = units::address(Mode::Query, &unit);
        let busy = tokio::spawn(talk(Socket::open(proxy, &host, &path).await?, "x".repeat(500), IDLE / 30));
        until_source(&stage, "Traffic").await?;
        stays(&stage).await?;
        busy.abort();
        let socket = Socket::open(proxy, &host, &path).await?;
        let heartbeats = tokio::spawn(talk(socket, "beat".to_owned(), IDLE / 6));
        suspended(&stage).await?;
        heartbeats.abort();
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_engine_keeps_its_unit_and_one_that_cannot_be_asked_too() -> anyhow::Result<()> {
    play("idle-busy", |stage| async move {
        let _operator = stage.start().await?;
        ready(&stage, json!({"busyProbe": {"path": "/busy", "timeout": "1s"}})).await?;
        tell(&stage, "true").await?;
        until_source(&stage, "BusyProbe").await?;
        stays(&stage).await?;
        for (answer, words) in
            [("hang", "does not answer within 1s"), ("garbage", "something else than"), ("huge", "more than 64 KiB")]
        {
            tell(&stage, answer).await?;
            let says = |activity: &Activity| {
                activity.idle_at.is_none() && activity.message.as_ref().is_some_and(|message| message.contains(words))
            };
            until_activity(&stage, words, says).await?;
            stays(&stage).await?;
        }
        tell(&stage, "false").await?;
        suspended(&stage).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_annotation_keeps_a_unit() -> anyhow::Result<()> {
    play("idle-annotation", |stage| async move {
        let _operator = stage.start().await?;
        ready(&stage, json!({"annotation": "Enabled", "gateway": {"mode": "Disabled"}})).await?;
        let units = stage.units();
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
        until_source(&stage, "Annotation").await?;
        stays(&stage).await?;
        backend.abort();
        say("yesterday".to_owned()).await?;
        let unread = |activity: &Activity| {
            activity.idle_at.is_none() && activity.message.as_ref().is_some_and(|message| message.contains("yesterday"))
        };
        until_activity(&stage, "unreadable annotation", unread).await?;
        stays(&stage).await?;
        say("2026-01-01T00:00:00Z".to_owned()).await?;
        suspended(&stage).await
    })
    .await
}
