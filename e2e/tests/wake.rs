//! A request for a unit without a route is answered by the operator, and starts the unit where its pool wants that: once,
//! whatever the number of requests, and never past what protects the gateway.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use computing_unit_operator::api::{ComputingUnit, Phase};
use e2e::{
    browser::Browser,
    entry::{self, lead_here},
    faults::{Class, Counts, LastWrite, Verb},
    stage::{SOON, Stage, play},
    traffic::{Answer, Connection, Reuse, Socket, Target, first_success, refusal},
    units::{self, Mode},
    wait::eventually,
};
use futures::future::try_join_all;
use http::{HeaderName, HeaderValue, StatusCode, header};
use k8s_openapi::ByteString;
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

const WAKES: fn() -> Value = || json!({"wakeOnRequest": true, "hold": "30s"});

async fn ask(stage: &Stage, target: &Target) -> anyhow::Result<Answer> {
    let proxy = stage.cluster.proxies().await?[0];
    Ok(Connection::open(proxy).await?.send(target).await?)
}

/// A request for a unit of the test's own pool.
fn target(stage: &Stage, mode: Mode, unit: &ComputingUnit) -> anyhow::Result<Target> {
    match mode {
        Mode::Query => {
            let path = format!("{}?cuid={}", entry::path(stage), unit.spec.cuid.unwrap_or_default());
            Ok(Target::new("localhost", &path)?.engine(&unit.name_any()))
        }
        _ => units::target(mode, unit),
    }
}

fn accepts(target: Target, what: &'static str) -> Target {
    target.header(header::ACCEPT, HeaderValue::from_static(what))
}

fn problem(answer: &Answer) -> anyhow::Result<Value> {
    ensure!(
        answer.headers["content-type"] == "application/problem+json",
        "{:?}: {}",
        answer.headers,
        answer.start(200)
    );
    Ok(serde_json::from_slice(&answer.body)?)
}

/// Waits until the proxies have the entry: the route's status is the controller's word alone.
async fn until_served(stage: &Stage, target: &Target) -> anyhow::Result<Answer> {
    let served = || async {
        let answer = ask(stage, target).await?;
        Ok((answer.headers.contains_key("x-computing-unit-entry") && answer.status != 503).then_some(answer))
    };
    eventually("answer of the entry", SOON, served).await
}

/// A suspended unit of a pool with that entry.
async fn suspended(stage: &Stage, mode: Mode, entry: &Value, name: &str) -> anyhow::Result<Target> {
    entry::make_pool(stage, mode, entry).await?;
    until_served(stage, &target(stage, mode, &stage.unit("nobody"))?).await?;
    let unit = units::with(&stage.unit(name), &json!({"spec": {"operatingMode": "Suspended"}}));
    stage.make(&unit).await?;
    stage.until(name, Phase::Suspended).await?;
    target(stage, mode, &unit)
}

fn starts(stage: &Stage, before: &Counts) -> u64 {
    let spec = |call: &e2e::faults::Call| {
        call.verb == Verb::Patch && call.resource == "computingunits" && call.subresource.is_empty()
    };
    stage.proxy.counts().since(before).only(spec).total()
}

async fn unknown(mode: Mode, name: &str) -> anyhow::Result<()> {
    play(name, |mut stage| async move {
        if !lead_here(&mut stage).await? {
            return Ok(());
        }
        let _operator = stage.start().await?;
        entry::make_pool(&stage, mode, &WAKES()).await?;
        let nobody = target(&stage, mode, &stage.unit("nobody"))?;
        let answer = until_served(&stage, &nobody).await?;
        assert_eq!((answer.status, answer.headers.get("x-computing-unit")), (StatusCode::NOT_FOUND, None));
        assert_eq!(problem(&answer)?["title"], "No such unit");
        let page = ask(&stage, &accepts(nobody.clone(), "text/html")).await?;
        assert!(page.status == 404 && page.start(15) == "<!doctype html>", "{}", page.start(200));
        // Whatever pool a client names, the gateway says which it is.
        let lie = (HeaderName::from_static("x-computing-unit-pool"), HeaderValue::from_static("other"));
        let unit = stage.unit("ada");
        stage.make(&unit).await?;
        let known = target(&stage, mode, &unit)?;
        let answer = ask(&stage, &known.clone().header(lie.0, lie.1)).await?;
        ensure!(answer.status == 503 || answer.status == 404 || answer.status == 200, "{}", answer.status);
        // Its own route goes before the entry.
        stage.until("ada", Phase::Ready).await?;
        assert_eq!(ask(&stage, &known).await?.status, StatusCode::OK);
        stage.delete("ada").await?;
        until_served(&stage, &known).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobodys_key_is_not_found_in_query_mode() -> anyhow::Result<()> {
    unknown(Mode::Query, "unknown-query").await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobodys_key_is_not_found_in_path_mode() -> anyhow::Result<()> {
    unknown(Mode::Path, "unknown-path").await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobodys_key_is_not_found_in_host_mode() -> anyhow::Result<()> {
    unknown(Mode::Host, "unknown-host").await
}

async fn wakes(mode: Mode, name: &str) -> anyhow::Result<()> {
    play(name, |mut stage| async move {
        if !lead_here(&mut stage).await? {
            return Ok(());
        }
        let _operator = stage.start().await?;
        let target = suspended(&stage, mode, &WAKES(), "ada").await?;
        for _ in 0..2 {
            let before = stage.proxy.quiet(Duration::from_secs(2), SOON).await?;
            let begun = Instant::now();
            let answers = try_join_all((0..20).map(|_| ask(&stage, &target))).await?;
            let reached = begun.elapsed();
            for answer in &answers {
                assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT, "{}", answer.start(300));
                assert_eq!(answer.headers["cache-control"], "no-store");
            }
            // The same place answers at once, for everybody.
            let again = try_join_all((0..20).map(|_| ask(&stage, &target))).await?;
            assert!(again.iter().all(|answer| answer.status == 200), "{:?}", again[0]);
            assert_eq!(starts(&stage, &before), 1, "{}", stage.proxy.describe(&before));
            println!("{mode:?}: 20 requests were held until 200 for {reached:?}");
            let rest = Patch::Merge(json!({"spec": {"operatingMode": "Suspended"}}));
            stage.units().patch("ada", &PatchParams::default(), &rest).await?;
            stage.until("ada", Phase::Suspended).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_start_a_unit_once_in_query_mode() -> anyhow::Result<()> {
    wakes(Mode::Query, "wakes-query").await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_start_a_unit_once_in_host_mode() -> anyhow::Result<()> {
    wakes(Mode::Host, "wakes-host").await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_path_leads_to_the_unit_and_else_to_the_entry() -> anyhow::Result<()> {
    play("precedence", |mut stage| async move {
        if !lead_here(&mut stage).await? {
            return Ok(());
        }
        let _operator = stage.start().await?;
        suspended(&stage, Mode::Query, &WAKES(), "ada").await?;
        let cuid = stage.unit("ada").spec.cuid.unwrap();
        let (path, namespace) = (entry::path(&stage), &stage.namespace);
        let paths = [path.clone(), format!("{path}/exactly"), format!("/api/{namespace}/executions/7")];
        let target = |path: &str, cuid: i64| Target::new("localhost", &format!("{path}?cuid={cuid}"));
        assert_eq!(ask(&stage, &target(&paths[2], cuid)?).await?.status, StatusCode::TEMPORARY_REDIRECT);
        for path in &paths {
            assert_eq!(ask(&stage, &target(path, cuid)?).await?.status, StatusCode::OK, "{path}");
            let nobody = ask(&stage, &target(path, cuid + 1)?).await?;
            assert_eq!((nobody.status, problem(&nobody)?["state"].clone()), (StatusCode::NOT_FOUND, json!("unknown")));
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_does_not_want_it_has_nothing_started() -> anyhow::Result<()> {
    play("silent", |mut stage| async move {
        if !lead_here(&mut stage).await? {
            return Ok(());
        }
        let _operator = stage.start().await?;
        let target = suspended(&stage, Mode::Query, &json!({}), "ada").await?;
        let before = stage.proxy.quiet(Duration::from_secs(3), SOON).await?;
        let answer = ask(&stage, &target).await?;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        let said = problem(&answer)?;
        assert_eq!((said["state"].as_str(), said["phase"].as_str()), (Some("suspended"), Some("Suspended")));
        assert!(said["detail"].as_str().unwrap().contains("kubectl patch computingunit ada"), "{said}");
        stage.proxy.quiet(Duration::from_secs(2), SOON).await?;
        assert_eq!(stage.proxy.counts().since(&before).writes(), 0, "{}", stage.proxy.describe(&before));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websockets_handshake_starts_a_unit_and_is_told_to_come_again() -> anyhow::Result<()> {
    play("socket", |mut stage| async move {
        if !lead_here(&mut stage).await? {
            return Ok(());
        }
        let _operator = stage.start().await?;
        let target = suspended(&stage, Mode::Query, &WAKES(), "ada").await?;
        let handshake = [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let handshake = handshake.into_iter().fold(target, |target, (name, value)| {
            target.header(HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        let answer = ask(&stage, &handshake).await?;
        assert_eq!(
            (answer.status, &answer.headers["retry-after"]),
            (StatusCode::SERVICE_UNAVAILABLE, &HeaderValue::from(2))
        );
        assert!(answer.took < Duration::from_secs(2), "it was held for {:?}", answer.took);
        let proxy = stage.cluster.proxies().await?[0];
        let path = format!("{}?cuid={}", entry::path(&stage), stage.unit("ada").spec.cuid.unwrap());
        let open = || async {
            match Socket::open(proxy, "localhost", &path).await {
                Ok(socket) => Ok(Some(socket)),
                Err(error) if refusal(&error) == Some(503) => Ok(None),
                Err(error) => Err(error),
            }
        };
        eventually("WebSocket", SOON, open).await?.echo("hello").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_the_gateway_refuses_starts_nothing() -> anyhow::Result<()> {
    play("refused", |mut stage| async move {
        if !lead_here(&mut stage).await? {
            return Ok(());
        }
        let _operator = stage.start().await?;
        let target = suspended(&stage, Mode::Query, &WAKES(), "ada").await?;
        let nobody = self::target(&stage, Mode::Query, &stage.unit("nobody"))?;
        let deny = serde_json::from_value(json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1",
            "kind": "SecurityPolicy",
            "metadata": {"name": "closed"},
            "spec": {
                "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "entry.default"}],
                "authorization": {"defaultAction": "Deny"},
            },
        }))?;
        let policies = entry::policies(&stage);
        policies.create(&PostParams::default(), &deny).await?;
        let refused = |status: StatusCode| status == StatusCode::FORBIDDEN;
        let closed = || async { Ok(refused(ask(&stage, &nobody).await?.status).then_some(())) };
        eventually("refusal", SOON, closed).await?;
        let before = stage.proxy.quiet(Duration::from_secs(3), SOON).await?;
        for answer in try_join_all((0..50).map(|_| ask(&stage, &target))).await? {
            assert!(refused(answer.status), "{}", answer.status);
        }
        stage.proxy.quiet(Duration::from_secs(3), SOON).await?;
        assert_eq!(stage.proxy.counts().since(&before).total(), 0, "{}", stage.proxy.describe(&before));
        assert_eq!(units::phase(stage.units().get_opt("ada").await?.as_ref()), Some(Phase::Suspended));
        policies.delete("closed", &DeleteParams::default()).await?;
        let proxy = stage.cluster.proxies().await?[0];
        first_success(proxy, &target, Reuse::Fresh, SOON).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_made_up_keys_costs_the_api_server_nothing() -> anyhow::Result<()> {
    play("flood", |mut stage| async move {
        if !lead_here(&mut stage).await? {
            return Ok(());
        }
        let _operator = stage.start().await?;
        suspended(&stage, Mode::Query, &WAKES(), "ada").await?;
        let before = stage.proxy.quiet(Duration::from_secs(3), SOON).await?;
        let proxy = stage.cluster.proxies().await?[0];
        let begun = Instant::now();
        let flood = (0..10_i64).map(|part| {
            let stage = &stage;
            async move {
                let mut connection = Connection::open(proxy).await?;
                for number in 0..500 {
                    let path = format!("{}?cuid={}", entry::path(stage), 5_000_000_000 + part * 500 + number);
                    ensure!(!connection.closed().await, "the proxy has closed a connection");
                    let answer = connection.send(&Target::new("localhost", &path)?).await?;
                    ensure!(answer.status == 404, "{}: {}", answer.status, answer.start(200));
                }
                Ok(())
            }
        });
        try_join_all(flood).await?;
        println!("5000 made-up keys were answered within {:?}", begun.elapsed());
        // The pool's counts are written when they have stood for a while.
        let cost = stage.proxy.counts().since(&before).only(|call| call.resource != "computingunitpools");
        assert_eq!(cost.of(Class::Read) + cost.of(Class::Write) + cost.of(Class::Event), 0, "{cost}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_killed_during_a_start_is_no_matter() -> anyhow::Result<()> {
    play("killed", |mut stage| async move {
        if !lead_here(&mut stage).await? {
            return Ok(());
        }
        let mut operator = stage.start().await?;
        let target = suspended(&stage, Mode::Query, &WAKES(), "ada").await?;
        let proxy = stage.cluster.proxies().await?[0];
        let mut cuts = 0;
        for last in [LastWrite::Refused, LastWrite::Unanswered, LastWrite::Answered] {
            for write in 1..=5 {
                let cut = stage.proxy.cut_at(write, last).await;
                // Whoever asks asks again, as every client does that is told to.
                let asking = tokio::spawn({
                    let target = target.clone();
                    async move { first_success(proxy, &target, Reuse::Fresh, SOON).await }
                });
                tokio::select! {
                    call = cut.come(SOON) => { call?; cuts += 1; }
                    ready = stage.until("ada", Phase::Ready) => { ready?; }
                }
                operator.kill().await?;
                stage.proxy.mend().await;
                operator = stage.start().await?;
                asking.await??;
                stage.until("ada", Phase::Ready).await?;
                let rest = Patch::Merge(json!({"spec": {"operatingMode": "Suspended"}}));
                stage.units().patch("ada", &PatchParams::default(), &rest).await?;
                stage.until("ada", Phase::Suspended).await?;
            }
        }
        println!("killed at {cuts} writes of a start by request");
        assert!(cuts >= 9, "{cuts} cuts");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_gives_up_its_entry_and_takes_it_back_if_it_is_changed() -> anyhow::Result<()> {
    play("kept", |mut stage| async move {
        if !lead_here(&mut stage).await? {
            return Ok(());
        }
        let _operator = stage.start().await?;
        entry::make_pool(&stage, Mode::Path, &WAKES()).await?;
        let routes = stage.routes();
        let made = routes.get("entry.default").await?;
        let before = stage.proxy.quiet(Duration::from_secs(12), SOON).await?;
        assert_eq!(stage.proxy.counts().since(&before).total(), 0, "nothing is written while it is as it should be");
        let change = Patch::Merge(json!({"spec": {"hostnames": ["elsewhere.example.org"]}}));
        routes.patch("entry.default", &PatchParams::default(), &change).await?;
        let repaired = || async {
            let now = routes.get("entry.default").await?;
            Ok((now.spec == made.spec && now.uid() == made.uid()).then_some(()))
        };
        eventually("repair", SOON, repaired).await?;
        let none = Patch::Merge(json!({"spec": {"entry": null}}));
        stage.pools().patch("default", &PatchParams::default(), &none).await?;
        let gone = || async { Ok(routes.get_opt("entry.default").await?.is_none().then_some(())) };
        eventually("end of the entry", SOON, gone).await.context("without an entry")
    })
    .await
}

/// The picture of a page, for the documentation where it is asked for.
async fn keep_picture(browser: &Browser) -> anyhow::Result<()> {
    let encoded = serde_json::from_value::<ByteString>(json!(browser.picture().await?))?;
    let path = std::env::var_os("WAKING_PICTURE").map_or_else(|| std::env::temp_dir().join("waking.png"), Into::into);
    std::fs::write(&path, encoded.0)?;
    println!("a picture of the page is in {}", path.display());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_sees_the_start_and_then_the_unit() -> anyhow::Result<()> {
    play("browser", |mut stage| async move {
        if !lead_here(&mut stage).await? {
            return Ok(());
        }
        let _operator = stage.start().await?;
        suspended(&stage, Mode::Query, &WAKES(), "ada").await?;
        // Long enough for a browser to be slow.
        let slow = Patch::Merge(json!({"spec": {"env": [{"name": "START_DELAY", "value": "10"}]}}));
        stage.units().patch("ada", &PatchParams::default(), &slow).await?;
        // Not a proxy's own port, which browsers refuse.
        let gateway = stage.cluster.gateway_address().await?;
        let url = format!("http://{gateway}{}?cuid={}", entry::path(&stage), stage.unit("ada").spec.cuid.unwrap());
        let browser = Browser::start().await?;
        browser.open(&url).await?;
        assert_eq!(browser.run("return document.title").await?, "ada is starting");
        assert_eq!(browser.run("return document.documentElement.lang").await?, "en");
        assert_eq!(browser.role("#say").await?, "status");
        assert_eq!(browser.role("#stages").await?, "list");
        browser.press("\u{e004}").await?;
        assert_eq!(browser.run("return document.activeElement.id").await?, "open", "the first stop of the keyboard");
        let others = "return performance.getEntriesByType('resource').filter(one => !one.name.startsWith(location.origin)).length";
        assert_eq!(browser.run(others).await?, 0, "nothing is loaded from anywhere else");
        // The stages pass by themselves; those of a quick start are told at its end.
        let passed = || async {
            let done = browser.run("return document.querySelectorAll('li[data-is=done]').length").await?;
            Ok((done.as_u64() >= Some(1)).then_some(()))
        };
        eventually("a stage", SOON, passed).await?;
        keep_picture(&browser).await?;
        // And then the unit itself, in the same window.
        let opened = || async {
            let text = browser.run("return document.body ? document.body.innerText : ''").await?;
            Ok(text.as_str().filter(|text| text.contains("\"unit\":\"ada\"")).map(str::to_owned))
        };
        eventually("the unit's own answer", SOON, opened).await?;
        assert_eq!(browser.run("return location.href").await?, url);
        browser.end().await
    })
    .await
}
