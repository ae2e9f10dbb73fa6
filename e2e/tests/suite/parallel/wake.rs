//! A request for a suspended unit is answered by the activator and starts the unit once, if its pool allows it.

use std::time::{Duration, Instant};

use computing_unit_api::Phase;
use e2e::{
    activator::{self, WAKES, problem, send, serve_activator, starts, suspended},
    faults::LastWrite,
    fixture::SOON,
    killer::Killer,
    traffic::{Reuse, Socket, Target, first_success, refusal},
    units::Mode,
    wait::eventually,
};
use futures::future::try_join_all;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use super::with_fixture;

async fn wakes(mode: Mode, name: &str) -> anyhow::Result<()> {
    with_fixture(name, |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        let target = suspended(&fixture, mode, &WAKES(), "ada").await?;
        for _ in 0..2 {
            let before = fixture.proxy.quiet(Duration::from_secs(2), SOON).await?;
            let begun = Instant::now();
            let answers = try_join_all((0..20).map(|_| send(&fixture, &target))).await?;
            let reached = begun.elapsed();
            for answer in &answers {
                assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT, "{}", answer.start(300));
                assert_eq!(answer.headers["cache-control"], "no-store");
            }
            // The same place answers at once, for everybody.
            let again = try_join_all((0..20).map(|_| send(&fixture, &target))).await?;
            assert!(again.iter().all(|answer| answer.status == 200), "{:?}", again[0]);
            assert_eq!(starts(&fixture, &before), 1, "{}", fixture.proxy.describe(&before));
            println!("{mode:?}: 20 requests were held until 200 for {reached:?}");
            fixture.set_mode("ada", "Suspended").await?;
            fixture.until("ada", Phase::Suspended).await?;
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
async fn each_kind_of_path_leads_to_the_unit_or_to_the_activator() -> anyhow::Result<()> {
    with_fixture("precedence", |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        suspended(&fixture, Mode::Query, &WAKES(), "ada").await?;
        let cuid = fixture.unit("ada").spec.cuid.unwrap();
        let (path, namespace) = (activator::path(&fixture), &fixture.namespace);
        let paths = [path.clone(), format!("{path}/exactly"), format!("/api/{namespace}/executions/7")];
        let target = |path: &str, cuid: i64| Target::new("localhost", &format!("{path}?cuid={cuid}"));
        assert_eq!(send(&fixture, &target(&paths[2], cuid)?).await?.status, StatusCode::TEMPORARY_REDIRECT);
        for path in &paths {
            assert_eq!(send(&fixture, &target(path, cuid)?).await?.status, StatusCode::OK, "{path}");
            let nobody = send(&fixture, &target(path, cuid + 1)?).await?;
            assert_eq!((nobody.status, problem(&nobody)?["state"].clone()), (StatusCode::NOT_FOUND, json!("unknown")));
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_whose_policy_is_never_starts_nothing() -> anyhow::Result<()> {
    with_fixture("silent", |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        let target = suspended(&fixture, Mode::Query, &json!({"wake": "Never"}), "ada").await?;
        let before = fixture.proxy.quiet(Duration::from_secs(3), SOON).await?;
        let answer = send(&fixture, &target).await?;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        let said = problem(&answer)?;
        assert_eq!((said["state"].as_str(), said["phase"].as_str()), (Some("suspended"), Some("Suspended")));
        let command = format!("kubectl patch computingunit ada -n {} ", fixture.namespace);
        assert!(said["command"].as_str().unwrap().starts_with(&command), "{said}");
        assert_eq!(
            (&said["notStarted"], &answer.headers["x-computing-unit-not-started"]),
            (&json!("never"), &HeaderValue::from_static("never"))
        );
        fixture.proxy.quiet(Duration::from_secs(2), SOON).await?;
        assert_eq!(fixture.proxy.counts().since(&before).writes(), 0, "{}", fixture.proxy.describe(&before));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_handshake_starts_a_unit_and_gets_retry_after() -> anyhow::Result<()> {
    with_fixture("socket", |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        let immediate = json!({"wake": "Always", "quietPeriod": "0s"});
        let target = suspended(&fixture, Mode::Query, &immediate, "ada").await?;
        let handshake = [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let handshake = handshake.into_iter().fold(target, |target, (name, value)| {
            target.header(HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        let answer = send(&fixture, &handshake).await?;
        assert_eq!(
            (answer.status, &answer.headers["retry-after"]),
            (StatusCode::SERVICE_UNAVAILABLE, &HeaderValue::from(2))
        );
        assert!(answer.took < Duration::from_secs(2), "it was held for {:?}", answer.took);
        let proxy = fixture.cluster.proxies().await?[0];
        let path = format!("{}?cuid={}", activator::path(&fixture), fixture.unit("ada").spec.cuid.unwrap());
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
async fn a_wake_survives_an_operator_crash_at_any_write() -> anyhow::Result<()> {
    with_fixture("killed", |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let mut killer = Killer::start(&fixture).await?;
        let target = suspended(&fixture, Mode::Query, &WAKES(), "ada").await?;
        let proxy = fixture.cluster.proxies().await?[0];
        let round = async |killer: &mut Killer| {
            let target = target.clone();
            // The client retries after each 503 response.
            let asking =
                async { Ok(tokio::spawn(async move { first_success(proxy, &target, Reuse::Fresh, SOON).await })) };
            let done = async || fixture.until("ada", Phase::Ready).await.map(drop);
            killer.during(asking, done).await?.await??;
            fixture.set_mode("ada", "Suspended").await?;
            fixture.until("ada", Phase::Suspended).await.map(drop)
        };
        let lasts = [LastWrite::Refused, LastWrite::Unanswered, LastWrite::Answered];
        let kills = killer.at_each_write(&lasts, 5, round).await?;
        assert!(kills >= 9, "{kills} kills");
        Ok(())
    })
    .await
}
