//! Requests that the gateway denies and requests for unknown keys start nothing and cause no API call.

use std::time::{Duration, Instant};

use anyhow::ensure;
use computing_unit_api::Phase;
use e2e::{
    activator::{self, WAKES, send, serve_activator, suspended},
    faults::Class,
    fixture::SOON,
    traffic::{Connection, Reuse, Target, first_success},
    units::{self, Mode},
    wait::eventually,
};
use futures::future::try_join_all;
use http::StatusCode;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use super::with_fixture;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_denied_by_the_gateway_starts_nothing() -> anyhow::Result<()> {
    with_fixture("refused", |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        let target = suspended(&fixture, Mode::Query, &WAKES(), "ada").await?;
        let nobody = activator::target(&fixture, Mode::Query, &fixture.unit("nobody"))?;
        let deny = serde_json::from_value(json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1",
            "kind": "SecurityPolicy",
            "metadata": {"name": "closed"},
            "spec": {
                "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "activator.default"}],
                "authorization": {"defaultAction": "Deny"},
            },
        }))?;
        let policies = activator::policies(&fixture);
        policies.create(&PostParams::default(), &deny).await?;
        let refused = |status: StatusCode| status == StatusCode::FORBIDDEN;
        let closed = || async { Ok(refused(send(&fixture, &nobody).await?.status).then_some(())) };
        eventually("refusal", SOON, closed).await?;
        let before = fixture.proxy.quiet(Duration::from_secs(3), SOON).await?;
        for answer in try_join_all((0..50).map(|_| send(&fixture, &target))).await? {
            assert!(refused(answer.status), "{}", answer.status);
        }
        fixture.proxy.quiet(Duration::from_secs(3), SOON).await?;
        assert_eq!(fixture.proxy.counts().since(&before).total(), 0, "{}", fixture.proxy.describe(&before));
        assert_eq!(units::phase(fixture.units().get_opt("ada").await?.as_ref()), Some(Phase::Suspended));
        policies.delete("closed", &DeleteParams::default()).await?;
        let proxy = fixture.cluster.proxies().await?[0];
        first_success(proxy, &target, Reuse::Fresh, SOON).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unknown_keys_causes_no_api_call() -> anyhow::Result<()> {
    with_fixture("flood", |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        suspended(&fixture, Mode::Query, &WAKES(), "ada").await?;
        let before = fixture.proxy.quiet(Duration::from_secs(3), SOON).await?;
        let proxy = fixture.cluster.proxies().await?[0];
        let begun = Instant::now();
        let flood = (0..10_i64).map(|part| {
            let fixture = &fixture;
            async move {
                let mut connection = Connection::open(proxy).await?;
                for number in 0..500 {
                    let path = format!("{}?cuid={}", activator::path(fixture), 5_000_000_000 + part * 500 + number);
                    // A policy that another test makes gives the proxy another listener, which ends the connections of the old.
                    if connection.closed().await {
                        connection = Connection::open(proxy).await?;
                    }
                    let answer = connection.send(&Target::new("localhost", &path)?).await?;
                    ensure!(answer.status == 404, "{}: {}", answer.status, answer.start(200));
                }
                Ok(())
            }
        });
        try_join_all(flood).await?;
        println!("5000 made-up keys were answered within {:?}", begun.elapsed());
        // The pool's counts are written when they have stood for a while.
        let cost = fixture.proxy.counts().since(&before).only(|call| call.resource != "computingunitpools");
        assert_eq!(cost.of(Class::Read) + cost.of(Class::Write) + cost.of(Class::Event), 0, "{cost}");
        Ok(())
    })
    .await
}
