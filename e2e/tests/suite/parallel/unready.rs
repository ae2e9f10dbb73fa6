//! What clients get from a unit whose engine is not ready for a while. Its route stays open, for the WebSockets that it has.

use computing_unit_api::Phase;
use e2e::{
    fixture::Fixture,
    traffic::{Connection, Socket, refusal},
    units::{self, Mode},
};
use http::Request;

use super::with_fixture;

/// Sets whether the health check of the engine succeeds.
async fn set_healthy(fixture: &Fixture, healthy: bool) -> anyhow::Result<()> {
    let (namespace, port) = (&fixture.namespace, computing_unit_api::names::PORT);
    let path = format!("/api/v1/namespaces/{namespace}/pods/ada:{port}/proxy/api/healthcheck?healthy={healthy}");
    fixture.cluster.client().request_text(Request::post(path).body(vec![])?).await?;
    Ok(())
}

/// The status of the response to a WebSocket handshake. 101 if it succeeds.
async fn handshake(fixture: &Fixture, mode: Mode) -> anyhow::Result<u16> {
    let (host, path) = units::address(mode, &fixture.unit("ada"));
    match Socket::open(fixture.cluster.proxies().await?[0], &host, &path).await {
        Ok(_) => Ok(101),
        Err(error) => refusal(&error).ok_or(error),
    }
}

async fn request(fixture: &Fixture, mode: Mode) -> anyhow::Result<u16> {
    let mut connection = Connection::open(fixture.cluster.proxies().await?[0]).await?;
    Ok(connection.send(&units::target(mode, &fixture.unit("ada"))?).await?.status.as_u16())
}

async fn serves(mode: Mode, name: &'static str) -> anyhow::Result<()> {
    with_fixture(name, |fixture| async move {
        fixture.create_default_pool(mode).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        fixture.until("ada", Phase::Ready).await?;
        assert_eq!(handshake(&fixture, mode).await?, 101);

        // The only endpoint is unready. Envoy is in panic mode and sends it requests nevertheless.
        set_healthy(&fixture, false).await?;
        fixture.until("ada", Phase::NotReady).await?;
        assert_eq!((request(&fixture, mode).await?, handshake(&fixture, mode).await?), (200, 101));

        set_healthy(&fixture, true).await?;
        fixture.until("ada", Phase::Ready).await?;
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn unready_unit_is_served_by_query() -> anyhow::Result<()> {
    serves(Mode::Query, "unready-query").await
}

#[tokio::test(flavor = "multi_thread")]
async fn unready_unit_is_served_by_host() -> anyhow::Result<()> {
    serves(Mode::Host, "unready-host").await
}
