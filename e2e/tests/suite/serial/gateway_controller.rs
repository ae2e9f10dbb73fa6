//! The gateway's controller is stopped, or what it writes is counted.

use computing_unit_api::Phase;
use e2e::{bench::server, gateway, units::Mode};
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

#[tokio::test(flavor = "multi_thread")]
async fn routes_do_not_make_the_gateway_apply_its_proxies_again() -> anyhow::Result<()> {
    with_fixture("applied", |fixture| async move {
        if !gateway::is_ours(&fixture.cluster).await? {
            println!("NOT RUN: it depends on the EnvoyProxy of the local cluster");
            return Ok(());
        }
        fixture.create_default_pool(Mode::Path).await?;
        let _operator = fixture.start().await?;
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
        Ok(())
    })
    .await
}
