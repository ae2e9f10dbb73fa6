//! Real applications as units. The busy probes are those of `docs/idle.md`.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use computing_unit_api::{Activity, ComputingUnit, OperatingMode, Phase, names::IDLE};
use e2e::{
    applications::{Started, bring, documented_probes},
    cluster::application_images::Application,
    fixture::{Fixture, SOON},
    idle::{activity, until_source},
    jupyter::{JUPYTER, execute, kernel},
    traffic::{Connection, Socket, Target},
    units::{self, Mode, with},
    wait::until,
};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use serde_json::json;
use tokio::task::JoinSet;

use super::with_fixture;

/// How long the cell of a notebook computes.
const COMPUTES: Duration = Duration::from_mins(3);
/// The deadline for a suspension: that, the idle timeout, and a busy machine.
const SUSPENSION: Duration = Duration::from_mins(6);
/// Python starts slowly on a busy machine.
const START: Duration = Duration::from_mins(2);

const CODE: Started = Started {
    application: Application::CodeServer,
    args: &["--bind-addr=0.0.0.0:8085", "--auth=none", "--disable-telemetry", "--disable-update-check"],
    ready: "/healthz",
};

const SHINY: Started = Started { application: Application::Shiny, args: &["--port=8085"], ready: "/busy" };
/// How long the application of Shiny computes.
const SHINY_COMPUTES: Duration = Duration::from_secs(75);

/// Creates a unit, and waits until it is Ready. Returns its host name.
async fn start(fixture: &Fixture, name: &str) -> anyhow::Result<String> {
    let unit = fixture.unit(name);
    fixture.create(&unit).await?;
    let ready = |unit: Option<&ComputingUnit>| units::phase(unit) == Some(Phase::Ready);
    until("Ready", START, fixture.units(), name, ready).await?;
    Ok(units::address(Mode::Host, &unit).0)
}

/// Waits until a unit is suspended for being idle. Returns since when it was.
async fn idle_since(fixture: &Fixture, name: &str) -> anyhow::Result<Timestamp> {
    let suspended = |unit: Option<&ComputingUnit>| unit.is_some_and(|unit| unit.annotations().contains_key(IDLE));
    let unit = until("suspension", SUSPENSION, fixture.units(), name, suspended).await?.context("no unit")?;
    let mark = unit.annotations().get(IDLE).and_then(|mark| mark.split_once(' '));
    Ok(mark.context("no time")?.1.parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_kernel_of_jupyter_is_not_stopped_and_an_idle_tab_is() -> anyhow::Result<()> {
    with_fixture("jupyter", |fixture| async move {
        if !bring(JUPYTER.application).await? {
            return Ok(());
        }
        let probes = documented_probes("### Jupyter Server, JupyterLab")?;
        fixture.create_pool(&JUPYTER.pool(&fixture, &probes)).await?;
        let _operator = fixture.start().await?;
        let proxy = fixture.cluster.proxies().await?[0];
        let (silent, tab) = (start(&fixture, "silent").await?, start(&fixture, "tab").await?);
        let mut page = kernel(proxy, &silent).await?;
        execute(&mut page, &format!("import time; time.sleep({})", COMPUTES.as_secs())).await?;
        let ends = Timestamp::now() + SignedDuration::try_from(COMPUTES)?;
        // Nobody watches it.
        drop(page);
        // This page stays open. Its kernel has executed a cell, and does nothing.
        let mut page = kernel(proxy, &tab).await?;
        execute(&mut page, "1").await?;
        idle_since(&fixture, "tab").await?;
        let unit = fixture.units().get("silent").await?;
        ensure!(unit.spec.operating_mode == OperatingMode::Running, "{unit:#?}");
        drop(page);
        let since = idle_since(&fixture, "silent").await?;
        // It was busy in the last scan before the cell ended.
        ensure!(
            since + SignedDuration::from_secs(10) >= ends,
            "idle since {since}, although the cell ran until {ends}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_of_code_server_keeps_its_unit_running_until_it_is_closed() -> anyhow::Result<()> {
    with_fixture("code", |fixture| async move {
        if !bring(CODE.application).await? {
            return Ok(());
        }
        let quick = json!({"spec": {"lifecycle": {"idleTimeout": "15s"}, "activity": {"interval": "2s"}}});
        let pool = CODE.pool(&fixture, &documented_probes("### code-server")?);
        fixture.create_pool(&with(&pool, &quick)).await?;
        let _operator = fixture.start().await?;
        let proxy = fixture.cluster.proxies().await?[0];
        let host = start(&fixture, "ada").await?;
        let answer = Connection::open(proxy).await?.send(&Target::new(&host, "/?folder=/home/coder")?).await?;
        let page = String::from_utf8_lossy(&answer.body);
        ensure!(answer.status == 200 && page.contains("workbench"), "{answer:?}");
        // The page's connection to the server, which is silent.
        let token =
            "/?reconnectionToken=00000000-0000-4000-8000-000000000000&reconnection=false&skipWebSocketFrames=false";
        let socket = Socket::open(proxy, &host, token).await?;
        let opened = Timestamp::now();
        until_source(&fixture, "ada", "BusyProbe").await?;
        // Its heartbeat lasts a minute. That of the first request is over by then.
        let later = |activity: &Activity| {
            activity.source.as_deref() == Some("BusyProbe")
                && activity.last.as_ref().is_some_and(|last| last.0.duration_since(opened).as_secs() > 80)
        };
        let unit = |unit: Option<&ComputingUnit>| activity(unit).is_some_and(later);
        until("use after the first heartbeat", SUSPENSION, fixture.units(), "ada", unit).await?;
        let before = fixture.units().get("ada").await?;
        ensure!(before.spec.operating_mode == OperatingMode::Running, "{before:#?}");
        let closed = Timestamp::now();
        drop(socket);
        let since = idle_since(&fixture, "ada").await?;
        ensure!(
            since + SignedDuration::from_secs(1) >= closed,
            "idle since {since}, although the page was open until {closed}"
        );
        Ok(())
    })
    .await
}

/// Opens a page of the application of Shiny: a session over a WebSocket.
async fn session(proxy: SocketAddr, host: &str) -> anyhow::Result<Socket> {
    let mut socket = Socket::open(proxy, host, "/websocket/").await?;
    let first = json!({
        "seconds:shiny.number": SHINY_COMPUTES.as_secs(), "compute:shiny.action": 0,
        ".clientdata_output_result_hidden": false, ".clientdata_url_search": "",
    });
    socket.send(&json!({"method": "init", "data": first}).to_string()).await?;
    socket.read_until(SOON, |text| text.contains("\"values\"")).await?;
    Ok(socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_computation_of_shiny_is_not_stopped_and_a_page_without_input_is() -> anyhow::Result<()> {
    with_fixture("shiny", |fixture| async move {
        if !bring(SHINY.application).await? {
            return Ok(());
        }
        let quick = json!({"spec": {"lifecycle": {"idleTimeout": "20s"}, "activity": {"interval": "2s"}}});
        let pool = SHINY.pool(&fixture, &documented_probes("### Shiny")?);
        fixture.create_pool(&with(&pool, &quick)).await?;
        let _operator = fixture.start().await?;
        let proxy = fixture.cluster.proxies().await?[0];
        let mut silent = session(proxy, &start(&fixture, "silent").await?).await?;
        let compute = json!({"method": "update", "data": {"compute:shiny.action": 1}});
        silent.send(&compute.to_string()).await?;
        let ends = Timestamp::now() + SignedDuration::try_from(SHINY_COMPUTES)?;
        silent.read_until(SOON, |text| text.contains("\"busy\": \"busy\"")).await?;
        // Open pages answer the heartbeats of the server.
        let mut pages = JoinSet::new();
        pages.spawn(async move { silent.attend(SUSPENSION).await });
        let mut reader = session(proxy, &start(&fixture, "reader").await?).await?;
        pages.spawn(async move { reader.attend(SUSPENSION).await });
        idle_since(&fixture, "reader").await?;
        let since = idle_since(&fixture, "silent").await?;
        // It was busy in the last scan before the end.
        ensure!(since + SignedDuration::from_secs(4) >= ends, "idle since {since}, although it computed until {ends}");
        Ok(())
    })
    .await
}
