//! A gRPC client reaches units over HTTP/2, from the client to the engine.

use std::net::SocketAddr;

use anyhow::ensure;
use computing_unit_api::Phase;
use e2e::{
    fixture::SOON,
    units::{self, Mode, with},
    wait::{eventually, until},
};
use kube::ResourceExt;
use serde_json::json;
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::with_fixture;

/// The response of the health service behind `proxy` under that host name.
async fn check(proxy: SocketAddr, host: &str) -> anyhow::Result<bool> {
    let endpoint =
        Endpoint::from_shared(format!("http://{proxy}"))?.origin(format!("http://{host}").parse()?).timeout(SOON);
    let mut client = HealthClient::new(endpoint.connect().await?);
    let request = HealthCheckRequest { service: "engine".to_owned() };
    Ok(client.check(request).await?.into_inner().status() == ServingStatus::Serving)
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_client_reaches_a_unit_of_a_pool_with_h2c() -> anyhow::Result<()> {
    with_fixture("grpc", |fixture| async move {
        let mut pool = serde_json::to_value(fixture.pool(Mode::Host))?;
        let engine = &mut pool["spec"]["template"]["spec"]["containers"][0];
        engine["command"] = json!(["/grpc"]);
        // The kubelet is a client as well.
        engine["readinessProbe"] = json!({"grpc": {"port": 8085}, "periodSeconds": 1});
        pool["spec"]["protocol"] = json!("H2C");
        fixture.create_pool(&serde_json::from_value(pool)?).await?;
        let _operator = fixture.start().await?;
        let unit = fixture.unit("ada");
        fixture.create(&unit).await?;
        let ready = fixture.until("ada", Phase::Ready).await?;
        let proxy = fixture.cluster.proxies().await?[0];
        let (host, _) = units::address(Mode::Host, &unit);
        ensure!(check(proxy, &host).await?, "SERVING, as soon as the unit is Ready");
        let service = fixture.services().get("ada").await?;
        let protocol = |service: &k8s_openapi::api::core::v1::Service| {
            service.spec.as_ref()?.ports.as_ref()?[0].app_protocol.clone()
        };
        assert_eq!(protocol(&service).as_deref(), Some("kubernetes.io/h2c"));

        // With HTTP/1.1 the engine does not understand the gateway.
        fixture.edit_pool(json!({"protocol": "HTTP"})).await?;
        until("another protocol", SOON, fixture.services(), "ada", |service| {
            service.and_then(protocol).as_deref() == Some("http")
        })
        .await?;
        eventually("a failure", SOON, || async { Ok(check(proxy, &host).await.is_err().then_some(())) }).await?;
        fixture.edit_pool(json!({"protocol": "H2C"})).await?;
        eventually("a success", SOON, || async {
            Ok(check(proxy, &host).await.is_ok_and(|serving| serving).then_some(()))
        })
        .await?;
        ensure!(fixture.pods().get("ada").await?.uid().is_some() && ready.uid().is_some());
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn protocol_that_somebody_else_has_set_is_kept() -> anyhow::Result<()> {
    with_fixture("app-protocol", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        fixture.create(&with(&fixture.unit("ada"), &json!({}))).await?;
        fixture.until("ada", Phase::Ready).await?;
        let port = json!([{"op": "add", "path": "/spec/ports/0/appProtocol", "value": "kubernetes.io/ws"},
                          {"op": "add", "path": "/spec/selector/more", "value": "narrow"}]);
        let patch = kube::api::Patch::Json::<()>(serde_json::from_value(port)?);
        fixture.services().patch("ada", &kube::api::PatchParams::default(), &patch).await?;
        let repaired = |service: Option<&k8s_openapi::api::core::v1::Service>| {
            let spec = service.and_then(|service| service.spec.as_ref());
            spec.is_some_and(|spec| !spec.selector.iter().flatten().any(|(key, _)| key == "more"))
        };
        let service = until("the repair of the selector", SOON, fixture.services(), "ada", repaired).await?;
        let ports = service.and_then(|service| service.spec?.ports).unwrap_or_default();
        assert_eq!(ports[0].app_protocol.as_deref(), Some("kubernetes.io/ws"));
        fixture.delete("ada").await
    })
    .await
}
