//! The activator of a pool answers for keys without a unit. Its route is restored if it is edited, and it needs a `ReferenceGrant`
//! if its Service is in another namespace.

use std::time::Duration;

use anyhow::{Context, ensure};
use computing_unit_api::{ComputingUnitPool, Phase};
use e2e::{
    activator::{self, SERVICE, WAKES, problem, send, serve_activator, suspended, target, until_served},
    fixture::SOON,
    namespace,
    traffic::{Hammer, Target},
    units::Mode,
    wait::{eventually, until},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;

use super::with_fixture;

fn accepts(target: Target, what: &'static str) -> Target {
    target.header(header::ACCEPT, HeaderValue::from_static(what))
}

async fn unknown(mode: Mode, name: &str) -> anyhow::Result<()> {
    with_fixture(name, |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        activator::create_pool(&fixture, &activator::pool(&fixture, mode, &WAKES())).await?;
        let nobody = target(&fixture, mode, &fixture.unit("nobody"))?;
        let answer = until_served(&fixture, &nobody).await?;
        assert_eq!((answer.status, answer.headers.get("x-computing-unit")), (StatusCode::NOT_FOUND, None));
        assert_eq!(problem(&answer)?["title"], "Unit not found");
        let page = send(&fixture, &accepts(nobody.clone(), "text/html")).await?;
        assert!(page.status == 404 && page.start(15) == "<!DOCTYPE html>", "{}", page.start(200));
        // Whatever pool a client names, the gateway says which it is.
        let lie = (HeaderName::from_static("x-computing-unit-pool"), HeaderValue::from_static("other"));
        let unit = fixture.unit("ada");
        fixture.create(&unit).await?;
        let known = target(&fixture, mode, &unit)?;
        let answer = send(&fixture, &known.clone().header(lie.0, lie.1)).await?;
        ensure!(answer.status == 503 || answer.status == 404 || answer.status == 200, "{}", answer.status);
        // Its own route takes precedence over the route to the activator.
        fixture.until("ada", Phase::Ready).await?;
        assert_eq!(send(&fixture, &known).await?.status, StatusCode::OK);
        fixture.delete("ada").await?;
        until_served(&fixture, &known).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_gets_404_in_query_mode() -> anyhow::Result<()> {
    unknown(Mode::Query, "unknown-query").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_gets_404_in_path_mode() -> anyhow::Result<()> {
    unknown(Mode::Path, "unknown-path").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_gets_404_in_host_mode() -> anyhow::Result<()> {
    unknown(Mode::Host, "unknown-host").await
}

/// With an activator, no request for an existing unit gets a 404 from the gateway, whatever the state of its route.
async fn always_answered(mode: Mode, name: &str) -> anyhow::Result<()> {
    with_fixture(name, |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        let target = suspended(&fixture, mode, &json!({}), "ada").await?;
        let load = Hammer::new(&fixture.cluster.proxies().await?, target).connections(4).start()?;
        for _ in 0..2 {
            fixture.set_mode("ada", "Running").await?;
            fixture.until("ada", Phase::Ready).await?;
            load.answer_more(100, SOON).await?;
            fixture.set_mode("ada", "Suspended").await?;
            fixture.until("ada", Phase::Suspended).await?;
            load.answer_more(100, SOON).await?;
        }
        let report = load.stop().await?;
        println!("{mode:?}: {report}");
        report.assert_all_of(&[200, 503])
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_an_existing_unit_never_get_404_in_query_mode() -> anyhow::Result<()> {
    always_answered(Mode::Query, "always-query").await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_an_existing_unit_never_get_404_in_host_mode() -> anyhow::Result<()> {
    always_answered(Mode::Host, "always-host").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_activator_route_is_restored_and_a_disabled_one_is_deleted() -> anyhow::Result<()> {
    with_fixture("kept", |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        activator::create_pool(&fixture, &activator::pool(&fixture, Mode::Path, &WAKES())).await?;
        let routes = fixture.routes();
        let made = routes.get("activator.default").await?;
        let before = fixture.proxy.quiet(Duration::from_secs(12), SOON).await?;
        assert_eq!(fixture.proxy.counts().since(&before).total(), 0, "nothing is written while it is as it should be");
        let change = Patch::Merge(json!({"spec": {"hostnames": ["elsewhere.example.org"]}}));
        routes.patch("activator.default", &PatchParams::default(), &change).await?;
        let repaired = || async {
            let now = routes.get("activator.default").await?;
            Ok((now.spec == made.spec && now.uid() == made.uid()).then_some(()))
        };
        eventually("repair", SOON, repaired).await?;
        fixture.edit_pool(json!({"activator": null})).await?;
        let gone = || async { Ok(routes.get_opt("activator.default").await?.is_none().then_some(())) };
        eventually("deletion of the route to the activator", SOON, gone).await.context("pool without an activator")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activator_in_another_namespace_needs_a_reference_grant() -> anyhow::Result<()> {
    with_fixture("granted", |fixture| async move {
        let cluster = fixture.cluster.clone();
        namespace::within(&cluster, "operators", |operators| async move {
            let Some([address]) = activator::endpoints(&fixture, &operators).await? else { return Ok(()) };
            let service = format!("--activator-service={operators}/{SERVICE}:80");
            let operator = fixture.operator.clone().args([service, format!("--activator-address={address}")]);
            let mut operator = operator.start()?;
            operator.ready(SOON).await?;
            let pool = activator::pool(&fixture, Mode::Query, &WAKES());
            fixture.create_pool(&pool).await?;
            let refused = |pool: Option<&ComputingUnitPool>| {
                activator::condition(pool)
                    .is_some_and(|(status, reason, _)| status == "False" && reason == "RefNotPermitted")
            };
            let pool = until("refusal", SOON, fixture.pools(), "default", refused).await?;
            let (.., message) = activator::condition(pool.as_ref()).unwrap();
            println!("{message}");
            for word in ["ReferenceGrant", &operators, &fixture.namespace, "activator.namespaces"] {
                ensure!(message.contains(word), "{message:?} does not say {word:?}");
            }
            // By hand, as the message has it.
            let grant = serde_json::from_value(json!({
                "apiVersion": "gateway.networking.k8s.io/v1beta1",
                "kind": "ReferenceGrant",
                "metadata": {"name": "entries"},
                "spec": {
                    "from": [{
                        "group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": fixture.namespace,
                    }],
                    "to": [{"group": "", "kind": "Service", "name": SERVICE}],
                },
            }))?;
            let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1beta1", "ReferenceGrant");
            let kind = ApiResource::from_gvk_with_plural(&kind, "referencegrants");
            let grants = Api::<DynamicObject>::namespaced_with(fixture.cluster.client(), &operators, &kind);
            grants.create(&PostParams::default(), &grant).await?;
            activator::until_accepted(&fixture).await?;
            let nobody = target(&fixture, Mode::Query, &fixture.unit("nobody"))?;
            assert_eq!(until_served(&fixture, &nobody).await?.status, StatusCode::NOT_FOUND);
            Ok(())
        })
        .await
    })
    .await
}
