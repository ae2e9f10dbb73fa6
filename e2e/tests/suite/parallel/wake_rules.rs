//! A request starts what was suspended for being idle, if somebody means it. The reason why another one does not is in its answer and
//! in `kubectl cu describe`.

use std::time::Duration;

use computing_unit_api::Phase;
use e2e::{
    activator::{problem, send, serve_activator, suspended},
    fixture::{Fixture, SOON},
    idle, tool,
    traffic::{Answer, Target},
    units::Mode,
    wait::eventually,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::json;

use super::with_fixture;

const HANDSHAKE: [(&str, &str); 4] = [
    ("upgrade", "websocket"),
    ("connection", "Upgrade"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

fn with(target: &Target, method: Method, headers: &[(&'static str, &'static str)]) -> Target {
    let add = |target: Target, (name, value): &(&'static str, &'static str)| {
        target.header(HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    headers.iter().fold(target.clone().method(method), add)
}

fn not_started(answer: &Answer) -> Option<&str> {
    answer.headers.get("x-computing-unit-not-started")?.to_str().ok()
}

/// Waits until the activator's replica has seen the state of the unit, and gives this reason.
async fn until_refused(fixture: &Fixture, target: &Target, reason: &str) -> anyhow::Result<Answer> {
    let refused = || async {
        let answer = send(fixture, target).await?;
        Ok((not_started(&answer) == Some(reason)).then_some(answer))
    };
    eventually(reason, SOON, refused).await
}

async fn described(fixture: &Fixture) -> anyhow::Result<String> {
    tool::line(&fixture.cluster, &format!("kubectl cu describe ada --show-events=false -n {}", fixture.namespace)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_idle_is_started_and_only_by_a_request_that_somebody_means() -> anyhow::Result<()> {
    with_fixture("meant", |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        // Suspended by its owner.
        let target = suspended(&fixture, Mode::Query, &json!({"hold": "30s"}), "ada").await?;
        let answer = until_refused(&fixture, &target, "not_idle").await?;
        let details = problem(&answer)?;
        assert_eq!((answer.status, &details["notStarted"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("not_idle")));
        for text in [details["detail"].as_str().unwrap_or_default(), &described(&fixture).await?] {
            let text = text.to_lowercase();
            assert!(text.contains("a request does not start it: it was suspended by its owner"), "{text}");
            assert!(text.contains("kubectl cu resume ada"), "{text}");
        }

        fixture.set_mode("ada", "Running").await?;
        fixture.until("ada", Phase::Ready).await?;
        idle::suspend(&fixture, "ada").await?;
        until_refused(&fixture, &with(&target, Method::HEAD, &[]), "head").await?;
        let before = fixture.proxy.quiet(Duration::from_secs(2), SOON).await?;
        for (method, headers, reason) in [
            (Method::GET, &HANDSHAKE[..], "quiet_period"),
            (Method::GET, &[("sec-fetch-mode", "cors"), ("sec-fetch-site", "same-origin")], "quiet_period"),
            (Method::GET, &[("sec-fetch-mode", "no-cors"), ("sec-fetch-site", "cross-site")], "cross_site"),
            (Method::GET, &[("sec-purpose", "prefetch")], "prefetch"),
            (Method::OPTIONS, &[], "options"),
        ] {
            let answer = send(&fixture, &with(&target, method, headers)).await?;
            assert_eq!(
                (answer.status, not_started(&answer)),
                (StatusCode::SERVICE_UNAVAILABLE, Some(reason)),
                "{headers:?}"
            );
        }
        let preflight = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
        let answer = send(&fixture, &with(&target, Method::OPTIONS, &preflight)).await?;
        assert_eq!(
            (answer.status, &answer.headers["access-control-allow-methods"]),
            (StatusCode::NO_CONTENT, &HeaderValue::from_static("POST"))
        );
        // The explanation costs no write.
        assert_eq!(fixture.proxy.counts().since(&before).writes(), 0, "{}", fixture.proxy.describe(&before));
        let description = described(&fixture).await?;
        assert!(description.contains("a request for its URL starts it"), "{description}");
        assert_eq!(send(&fixture, &target).await?.status, StatusCode::TEMPORARY_REDIRECT);
        assert!(!described(&fixture).await?.contains("Requests:"));
        Ok(())
    })
    .await
}
