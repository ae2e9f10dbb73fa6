//! Other ports of a unit have addresses of their own, and a unit knows its address.

use anyhow::{Context, ensure};
use computing_unit_api::{ComputingUnit, Phase};
use e2e::{
    fixture::{Fixture, SOON},
    texera::curl,
    traffic::{Reuse, Socket, Target, first_success},
    units::{ENGINE, Mode, with},
};
use serde_json::{Value, json};

use super::with_fixture;

/// A pool whose units have a server on another port, and a port on which nothing listens.
async fn create_pool(fixture: &Fixture, mode: Mode) -> anyhow::Result<()> {
    let mut pool = serde_json::to_value(fixture.pool(mode))?;
    let spec = &mut pool["spec"];
    spec["ports"] = json!([{"name": "tensorboard", "port": 6006}, {"name": "unused", "port": 7007}]);
    let server = json!({"name": "tensorboard", "image": ENGINE, "env": [
        {"name": "PORT", "value": "6006"}, {"name": "COMPUTING_UNIT_NAME", "value": "tensorboard"},
    ]});
    spec["template"]["spec"]["containers"].as_array_mut().context("containers")?.push(server);
    fixture.create_pool(&serde_json::from_value(pool)?).await.map(drop)
}

/// The environment variables of the engine that the operator sets.
async fn variables(fixture: &Fixture) -> anyhow::Result<Vec<(String, String)>> {
    let pod = fixture.pods().get("ada").await?;
    let engine = pod.spec.context("a spec")?.containers.remove(0);
    let all = engine.env.unwrap_or_default().into_iter();
    let own =
        all.filter(|variable| ["COMPUTING_UNIT_URL", "COMPUTING_UNIT_BASE_PATH"].contains(&variable.name.as_str()));
    Ok(own.map(|variable| (variable.name, variable.value.unwrap_or_default())).collect())
}

/// Host and path of a URL.
fn parts(url: &str) -> anyhow::Result<(String, String)> {
    let (_, rest) = url.split_once("://").context("a scheme")?;
    let (host, path) = rest.split_once('/').context("a path")?;
    Ok((host.to_owned(), format!("/{path}")))
}

async fn reached(mode: Mode, name: &str) -> anyhow::Result<()> {
    with_fixture(name, |fixture| async move {
        create_pool(&fixture, mode).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        let status = fixture.until("ada", Phase::Ready).await?.status.context("a status")?;
        let url = status.url.context("a URL")?;
        let base = if mode == Mode::Path { parts(&url)?.1 } else { "/".to_owned() };
        let known = [("COMPUTING_UNIT_BASE_PATH".to_owned(), base), ("COMPUTING_UNIT_URL".to_owned(), url.clone())];
        assert_eq!(variables(&fixture).await?, known);

        let proxy = fixture.cluster.proxies().await?[0];
        let port = |name: &str| status.ports.iter().find(|port| port.name == name).map(|port| port.url.clone());
        let tensorboard = port("tensorboard").context("a URL of the port")?;
        let (host, path) = parts(&tensorboard)?;
        for (url, engine) in [(&url, "ada"), (&tensorboard, "tensorboard")] {
            let (host, path) = parts(url)?;
            let target = Target::new(&host, &format!("{path}some/file?x=1"))?.engine(engine);
            let answer = first_success(proxy, &target, Reuse::Fresh, SOON).await?.answer;
            let echoed: Value = serde_json::from_slice(&answer.body)?;
            let prefix = path.trim_end_matches('/');
            assert_eq!(echoed["path"], "/some/file", "{url}");
            let forwarded = &echoed["headers"]["x-forwarded-prefix"];
            assert_eq!(forwarded.as_str().unwrap_or_default(), prefix, "{url}");
        }
        let mut socket = Socket::open(proxy, &host, &format!("{path}wsapi")).await?;
        assert_eq!(socket.by().engine.as_deref(), Some("tensorboard"));
        socket.echo("hello").await?;
        // The value of the client does not reach the unit.
        let forged = ["--header", "X-Forwarded-Prefix: /elsewhere"];
        let echoed = curl(proxy, &format!("http://{host}{path}"), &forged).await?.echoed()?;
        let seen = echoed["headers"]["x-forwarded-prefix"].as_str().unwrap_or_default().to_owned();
        ensure!(mode != Mode::Path || seen == path.trim_end_matches('/'), "{seen}");

        // Nothing listens there, and the unit is Ready nevertheless.
        let (unused, path) = parts(&port("unused").context("a URL")?)?;
        let refused = curl(proxy, &format!("http://{unused}{path}"), &[]).await?;
        ensure!(refused.status == 503, "{refused:?}");
        ensure!(refused.headers.contains("x-computing-unit: "), "under the route of the unit: {refused:?}");

        fixture.delete("ada").await?;
        let (host, path) = parts(&tensorboard)?;
        let gone = curl(proxy, &format!("http://{host}{path}"), &[]).await?;
        ensure!(gone.status == 404, "{gone:?}");
        if mode == Mode::Host {
            let name = with::<ComputingUnit>(&fixture.unit("dev--ada"), &json!({}));
            fixture.create(&name).await?;
            fixture.until_condition("dev--ada", "Accepted", "False", "NameNotAllowed").await?;
            fixture.delete("dev--ada").await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn port_of_a_unit_is_reached_by_its_path() -> anyhow::Result<()> {
    reached(Mode::Path, "port-path").await
}

#[tokio::test(flavor = "multi_thread")]
async fn port_of_a_unit_is_reached_by_its_host_name() -> anyhow::Result<()> {
    reached(Mode::Host, "port-host").await
}
