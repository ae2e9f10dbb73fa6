//! Callers inside the cluster, such as Texera's agent service, use the Gateway under one address. A request for a suspended
//! unit is authorized there like any other, starts the unit, and reaches it with its body.

use computing_unit_api::Phase;
use e2e::{
    activator,
    fixture::{Fixture, SOON},
    idle,
    texera::{self, Answer, Authorization, agent::Agent, certificate, curl, deploy_authorized, standins},
    tool, units,
    wait::eventually,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::with_fixture;

/// More than proxies and sockets buffer.
const BODY: usize = 3 << 20;

/// A unit, and the agent service that runs workflows in it.
struct Caller<'a> {
    fixture: &'a Fixture,
    agent: Agent,
    cuid: i64,
    name: String,
    body: tempfile::NamedTempFile,
}

impl<'a> Caller<'a> {
    async fn create(fixture: &'a Fixture) -> anyhow::Result<Self> {
        let cuid = texera::unit(fixture, "ada").await?;
        let name = format!("computing-unit-{cuid}");
        fixture.until(&name, Phase::Ready).await?;
        let agent = Agent::create(fixture, &address(fixture)).await?;
        let body = tempfile::NamedTempFile::new()?;
        std::fs::write(body.path(), content())?;
        Ok(Self { fixture, agent, cuid, name, body })
    }

    /// Lets the agent service run a workflow with this token, and these headers.
    async fn execute(&self, token: &str, headers: &[String]) -> anyhow::Result<Answer> {
        let bearer = format!("authorization: Bearer {token}");
        let data = format!("@{}", self.body.path().display());
        let mut args = vec!["--data-binary", &data, "--header", &bearer];
        args.extend(headers.iter().flat_map(|header| ["--header", header]));
        self.agent.execute_with(self.cuid, &args).await
    }

    /// The same with the token of the unit. The unit answers, and has received the whole body.
    async fn reaches(&self, headers: &[String]) -> anyhow::Result<()> {
        let answer = self.execute(&format!("for-{}", self.cuid), headers).await?;
        assert_eq!(answer.status, 200, "{headers:?}: {answer:?}");
        let echoed = answer.echoed()?;
        assert_eq!((&echoed["unit"], &echoed["received"]), (&json!(self.name), &json!(BODY)), "{echoed}");
        assert_eq!(echoed["sha256"], format!("{:x}", Sha256::digest(content())));
        assert_eq!(echoed["path"], format!("/api/execution/1/{}/run", self.cuid));
        Ok(())
    }

    async fn suspend(&self) -> anyhow::Result<()> {
        idle::suspend(self.fixture, &self.name).await
    }

    /// The host name of the unit's pod.
    fn own_name(&self) -> String {
        format!("{}.{}.{}.svc", self.name, standins::UNITS_SERVICE, self.fixture.namespace)
    }
}

fn content() -> Vec<u8> {
    (0..BODY).map(|index| u8::try_from(index % 251).unwrap_or_default()).collect()
}

fn address(fixture: &Fixture) -> String {
    format!("http://computing-units.{}.svc", fixture.namespace)
}

/// A deployment with a host name of the site and these values.
async fn wakes(name: &str, values: &'static str) -> anyhow::Result<()> {
    with_fixture(name, |mut fixture| async move {
        let values = [values, "gateway.hostname=texera.example.org"];
        if values[0].contains("https") {
            certificate(&fixture, "texera-tls").await?;
        }
        let authorization = Authorization { execution: true, ..Authorization::default() };
        if !deploy_authorized(&mut fixture, &values, &authorization).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        let caller = Caller::create(&fixture).await?;
        let token = format!("for-{}", caller.cuid);
        let reached = || async { Ok((caller.execute(&token, &[]).await?.status == 200).then_some(())) };
        eventually("response of the unit", SOON, reached).await?;
        // The unit's own DNS name, without the gateway.
        let direct = format!("x-endpoint: http://{}:8085", caller.own_name());
        for headers in [&[][..], &[direct]] {
            caller.reaches(headers).await?;
        }

        caller.suspend().await?;
        // The own name of the unit, sent to the same address.
        let own_name = format!("x-host: {}", caller.own_name());
        let complete = format!("x-host: {}.cluster.local:8085", caller.own_name());
        let activator = format!("x-endpoint: http://{}.{}.svc", activator::SERVICE, fixture.namespace);
        for headers in [&[][..], std::slice::from_ref(&own_name), std::slice::from_ref(&complete)] {
            for token in ["", "nonsense", "for-1"] {
                assert_eq!(caller.execute(token, headers).await?.status, 403, "{token} {headers:?}");
            }
        }
        assert_eq!(caller.execute(&token, &[activator]).await?.status, 404, "beside the gateway");
        let unit = fixture.units().get_opt(&caller.name).await?;
        assert_eq!(units::phase(unit.as_ref()), Some(Phase::Suspended));

        for headers in [&[][..], &[own_name], &[complete]] {
            let phase = units::phase(fixture.units().get_opt(&caller.name).await?.as_ref());
            if phase != Some(Phase::Suspended) {
                caller.suspend().await?;
            }
            caller.reaches(headers).await?;
        }
        // As a client with this proxy setting.
        caller.suspend().await?;
        let proxy = texera::proxy(&fixture, 80).await?;
        let url =
            format!("http://{}:8085/api/execution/1/{cuid}/run?cuid={cuid}", caller.own_name(), cuid = caller.cuid);
        let (through, bearer) = (format!("http://{proxy}"), format!("authorization: Bearer {token}"));
        let limits = ["--silent", "--location", "--max-time", "60"];
        let args = ["--proxy", &through, "--header", &bearer, "--data", "{}", &url];
        let answer = tool::run(&fixture.cluster, "curl", &[&limits[..], &args].concat()).await?;
        let answer: Value = serde_json::from_str(&answer)?;
        assert_eq!((&answer["unit"], &answer["received"]), (&json!(caller.name), &json!(2)), "{answer}");
        // The static routes are not served under these names.
        let site = curl(proxy, &format!("{}/api/config/gui", address(&fixture)), &[]).await?;
        assert_eq!((site.status, site.engine()), (404, None));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_in_the_cluster_starts_a_unit_by_host_lookup() -> anyhow::Result<()> {
    wakes("in-cluster-host", "units.pool.lookup=Host").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_in_the_cluster_starts_a_unit_by_linear_lookup() -> anyhow::Result<()> {
    wakes("in-cluster-linear", "units.pool.lookup=Linear").await
}

/// The site has TLS only, and callers in the cluster need no certificate.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_in_the_cluster_starts_a_unit_of_a_site_with_tls() -> anyhow::Result<()> {
    wakes("in-cluster-tls", "gateway.http.enabled=false,gateway.https.enabled=true").await
}
