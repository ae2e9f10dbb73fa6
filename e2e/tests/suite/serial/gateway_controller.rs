//! The gateway's controller is stopped, or what it writes is counted.

use computing_unit_api::{
    Phase,
    gateway::{HTTPRoute, is_guarded},
};
use e2e::{
    bench::server,
    faults::{Call, Fault, Verb},
    fixture::SOON,
    gateway,
    units::Mode,
    wait::{eventually, until},
};
use http::StatusCode;
use k8s_openapi::api::events::v1::Event;
use kube::{Api, api::ListParams};
use serde_json::json;

use super::with_fixture;

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_deleted_while_the_gateway_controller_is_down() -> anyhow::Result<()> {
    with_fixture("stopped", |fixture| async move {
        let cluster = fixture.cluster.clone();
        let test = async {
            fixture.create_pool_with(&json!({"drainTimeout": "1s"})).await?;
            let _operator = fixture.start().await?;
            fixture.create(&fixture.unit("ada")).await?;
            fixture.until("ada", Phase::Ready).await?;
            gateway::scale_controller(&cluster, 0).await?;
            // No proxy is updated: after the deadline, the deletion goes on with an event.
            fixture.delete("ada").await?;
            let events =
                Api::<Event>::namespaced(cluster.client(), &fixture.namespace).list(&ListParams::default()).await?;
            let overdue = events.iter().find(|event| {
                event.type_.as_deref() == Some("Warning")
                    && event.regarding.as_ref().is_some_and(|it| it.kind.as_deref() == Some("ComputingUnit"))
            });
            println!("{:?}", overdue.map(|event| (&event.reason, &event.note)));
            assert!(overdue.is_some(), "an event says that the proxies were not seen to give the route up");
            fixture.until_nothing_is_left("ada").await
        };
        gateway::changed_by(&cluster, test).await.map(drop)
    })
    .await
}

/// The proxies do not have the open route before they get the opening either.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_kept_while_the_proxies_may_still_get_the_opening_of_its_route() -> anyhow::Result<()> {
    with_fixture("opening", |fixture| async move {
        let cluster = fixture.cluster.clone();
        let test = async {
            fixture.create_default_pool(Mode::Query).await?;
            let operator = fixture.start().await?;
            let opens = |call: &Call| call.resource == "httproutes" && call.is_write() && call.verb != Verb::Create;
            fixture.proxy.inject(Fault::answer(StatusCode::SERVICE_UNAVAILABLE).always().when(opens));
            fixture.create(&fixture.unit("ada")).await?;
            eventually("an attempt to open the route", SOON, || async {
                Ok((fixture.proxy.counts().only(opens).total() > 0).then_some(()))
            })
            .await?;
            gateway::scale_controller(&cluster, 0).await?;
            fixture.proxy.restore().await;
            let route =
                |guarded| move |found: Option<&HTTPRoute>| found.is_some_and(|route| is_guarded(route) == guarded);
            until("the opening", SOON, fixture.routes(), "ada", route(false)).await?;
            fixture.set_mode("ada", "Suspended").await?;
            until("the closing", SOON, fixture.routes(), "ada", route(true)).await?;
            // More than a proxy without the open route is asked to confirm that.
            let asked = || async {
                let not_matched = operator.metric("probes_total{goal=\"withdrawn\",result=\"not_matched\"}").await?;
                Ok(not_matched.filter(|count| *count >= 10))
            };
            eventually("probes of the proxies", SOON, asked).await?;
            let pod = fixture.pods().get("ada").await?;
            assert!(pod.metadata.deletion_timestamp.is_none(), "no proxy has confirmed that the route is closed");
            gateway::scale_controller(&cluster, 1).await?;
            fixture.until("ada", Phase::Suspended).await?;
            fixture.delete("ada").await
        };
        gateway::changed_by(&cluster, test).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_do_not_make_the_gateway_apply_its_proxies_again() -> anyhow::Result<()> {
    with_fixture("applied", |fixture| async move {
        if !gateway::is_ours(&fixture.cluster).await? {
            println!("NOT RUN: it depends on the EnvoyProxy of the local cluster");
            return Ok(());
        }
        fixture.create_default_pool(Mode::Path).await?;
        let operator = fixture.start().await?;
        let before = server::proxies_applied(&fixture.cluster.client()).await?;
        for name in ["ada", "bob"] {
            fixture.create(&fixture.unit(name)).await?;
            fixture.until(name, Phase::Ready).await?;
            fixture.delete(name).await?;
            fixture.until_nothing_is_left(name).await?;
        }
        assert_eq!(
            server::proxies_applied(&fixture.cluster.client()).await?,
            before,
            "the infrastructure is unchanged"
        );
        assert!(operator.closed_routes_seen().await? >= 6, "three probes for each deletion");
        Ok(())
    })
    .await
}
