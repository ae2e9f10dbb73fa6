//! Texera as it is in 2026: requests with the number of a unit in their path, addresses of units that its database records, the agent
//! service, listings of its manager, Jupyter servers of users. `e2e::texera::sources` has the files that the stand-ins follow.

use computing_unit_api::Phase;
use e2e::{
    fixture::{Fixture, SOON},
    idle, standin,
    texera::{
        self, Answer,
        agent::Agent,
        curl, deploy, deploy_recorded,
        jupyter::{self, BASE_PATH},
        manager::{Backend, Manager},
        standins,
    },
    units,
    wait::eventually,
};
use serde_json::json;

use super::with_fixture;

const SITE: &str = "http://texera.example.org";

async fn ask(fixture: &Fixture, method: &str, path: &str) -> anyhow::Result<Answer> {
    let args = ["--path-as-is", "--http1.1", "--request", method];
    curl(texera::proxy(fixture, 80).await?, &format!("{SITE}{path}"), &args).await
}

fn with_token(path: &str, token: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}access-token={token}")
}

/// Waits until the unit answers through the gateway.
async fn reached(fixture: &Fixture, method: &str, path: &str, unit: &str) -> anyhow::Result<()> {
    let answered = || async { Ok((ask(fixture, method, path).await?.engine() == Some(unit)).then_some(())) };
    eventually(path, SOON, answered).await
}

/// Odd forms of requests for Python environments, from a client that may reach only unit MINE.
const ODDITIES: [&str; 22] = [
    "/api/pve/pves/OTHER",
    "/api/pve/OTHER/env/packages/a",
    "/api/pve/pves/OTHER?cuid=MINE",
    "/api/pve/pves/MINE?cuid=OTHER",
    "/api/pve/OTHER/env/packages/a?cuid=MINE",
    "/api/pve/pves/OTHER?cuid=MINE&cuid=OTHER",
    "/api/pve/pves/OTHER?%63uid=MINE",
    "/api/pve/pves/OTHER?cuid=&cuid=MINE",
    "/api/pve/pves/%30OTHER",
    "/api/pve/pves/0MINE",
    "/api/pve/pves/0OTHER?cuid=MINE",
    "/api/pve/pves/+MINE",
    "/api/pve/pves/MINE/",
    "/api/pve/pves/OTHER/?cuid=MINE",
    "/api/pve/pves/OTHER/../MINE",
    "/api/pve/pves/MINE/%2e%2e/OTHER",
    "/api/pve/pves/OTHER;MINE",
    "/api/pve/pves/MINE%00",
    "/api/pve//pves/OTHER?cuid=MINE",
    "/wsapi/pve/pves/MINE",
    "/wsapi/../api/pve/pves/OTHER?cuid=MINE",
    "/api/pve/pves/",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_number_in_the_path_reaches_and_starts_its_unit_and_no_other() -> anyhow::Result<()> {
    with_fixture("texera-path", |mut fixture| async move {
        let numbers = ["mine", "other", "lost"].map(|name| fixture.unit(name).spec.cuid.unwrap_or_default());
        let [mine, other, lost] = numbers;
        // The address of a unit is what Texera's `generatePodURI` builds. The URL of a unit is not.
        let recorded = [
            (mine, standins::pod_uri(&mine.to_string(), &fixture.namespace)),
            (lost, format!("{SITE}/wsapi?cuid={lost}")),
        ];
        if !deploy_recorded(&mut fixture, &[], &recorded).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        let [my, others] = [mine, other].map(|cuid| format!("computing-unit-{cuid}"));
        for name in ["mine", "other", "lost"] {
            let cuid = texera::unit(&fixture, name).await?;
            fixture.until(&format!("computing-unit-{cuid}"), Phase::Ready).await?;
        }
        let token = format!("for-{mine}");
        let delete = with_token(&format!("/api/pve/pves/{mine}"), &token);
        reached(&fixture, "DELETE", &delete, &my).await?;
        for (method, path) in [
            ("DELETE", format!("/api/pve/{mine}/my%20env/packages/numpy%3D%3D2.0")),
            ("GET", format!("/api/pve/pves?cuid={mine}")),
            ("GET", format!("/api/pve/db?cuid={mine}")),
            ("GET", format!("/wsapi/workflow-websocket?cuid={mine}")),
        ] {
            let answer = ask(&fixture, method, &with_token(&path, &token)).await?;
            assert_eq!((answer.status, answer.engine()), (200, Some(my.as_str())), "{method} {path}");
            assert_eq!(answer.echoed()?["headers"]["x-user-id"], "7");
        }
        for form in ODDITIES {
            let path = form.replace("MINE", &mine.to_string()).replace("OTHER", &other.to_string());
            let answer = ask(&fixture, "DELETE", &with_token(&path, &token)).await?;
            println!("{form}: {} {:?}", answer.status, answer.engine());
            let refused = answer.engine().is_none() && (400..500).contains(&answer.status);
            assert!(refused || answer.engine() == Some(&my), "{form}: {answer:?}");
        }
        // Texera's service has no method PUT, and answers OPTIONS itself, with neither a user nor a host name.
        let put = ask(&fixture, "PUT", &with_token(&format!("/api/pve/db/1?cuid={mine}"), &token)).await?;
        assert_eq!((put.status, put.engine()), (405, None));
        let options = ask(&fixture, "OPTIONS", &format!("/api/pve/pves/{mine}")).await?;
        assert_eq!((options.status, options.engine()), (421, None));
        for path in [format!("/api/pve/pves/{mine}"), "/api/pve/pves".to_owned(), with_token("/api/pve/pves", &token)] {
            assert_eq!(ask(&fixture, "DELETE", &path).await?.status, 403, "{path}");
        }
        // A URL in the database is a host name that no route has.
        let answer =
            ask(&fixture, "GET", &with_token(&format!("/api/pve/pves/{lost}"), &format!("for-{lost}"))).await?;
        assert!(answer.engine().is_none() && (400..500).contains(&answer.status), "{answer:?}");

        for (token, status) in [("", 401), ("nonsense", 403), ("for-1", 200)] {
            assert_eq!(ask(&fixture, "GET", &with_token("/api/agents", token)).await?.status, status, "{token}");
        }

        // Suspended, and requested by a path.
        idle::suspend(&fixture, &my).await?;
        for form in ODDITIES.iter().filter(|form| form.contains("OTHER")) {
            let path = form.replace("MINE", &mine.to_string()).replace("OTHER", &other.to_string());
            let answer = ask(&fixture, "GET", &with_token(&path, &format!("for-{other}"))).await?;
            assert!(answer.engine().is_none_or(|engine| engine == others), "{form}: {answer:?}");
        }
        let unit = fixture.units().get_opt(&my).await?;
        assert_eq!(units::phase(unit.as_ref()), Some(Phase::Suspended), "nobody else can start it");
        let answer = ask(&fixture, "DELETE", &delete).await?;
        assert_eq!(answer.status, 307, "{answer:?}");
        reached(&fixture, "DELETE", &delete, &my).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_unit_is_lost_unless_the_manager_looks_for_computing_units() -> anyhow::Result<()> {
    with_fixture("texera-list", |mut fixture| async move {
        if !deploy(&mut fixture, &[]).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        let cuid = texera::unit(&fixture, "ada").await?;
        let name = format!("computing-unit-{cuid}");
        fixture.until(&name, Phase::Ready).await?;
        let [mut pods, mut operator] = [Backend::Pods, Backend::Operator].map(|backend| Manager::new(backend, &[cuid]));
        assert_eq!((pods.list(&fixture).await?, operator.list(&fixture).await?), (vec![cuid], vec![cuid]));
        // The agent service finds the pod by DNS.
        let agent =
            Agent::create(&fixture, &format!("http://{}", standins::pod_uri("{cuid}", &fixture.namespace))).await?;
        let executed = || async { Ok((agent.execute(cuid).await?.status == 200).then_some(())) };
        eventually("execution by the agent service", SOON, executed).await?;
        let answer = agent.execute(cuid).await?.echoed()?;
        assert_eq!((&answer["unit"], &answer["path"]), (&json!(name), &json!(format!("/api/execution/1/{cuid}/run"))));

        fixture.set_mode(&name, "Suspended").await?;
        fixture.until(&name, Phase::Suspended).await?;
        assert_eq!((pods.list(&fixture).await?, operator.list(&fixture).await?), (vec![], vec![cuid]));
        // It has no address, so the agent service neither reaches nor starts it.
        let unreachable = || async { Ok((agent.execute(cuid).await?.status == 502).then_some(())) };
        eventually("DNS error", SOON, unreachable).await?;
        let unit = fixture.units().get_opt(&name).await?;
        assert_eq!(units::phase(unit.as_ref()), Some(Phase::Suspended));

        fixture.set_mode(&name, "Running").await?;
        fixture.until(&name, Phase::Ready).await?;
        assert_eq!(
            (pods.list(&fixture).await?, operator.list(&fixture).await?),
            (vec![], vec![cuid]),
            "terminated for good"
        );
        Ok(())
    })
    .await
}

/// Jupyter servers, and a unit that Texera has recorded elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_unit_of_the_pool_is_resolved() -> anyhow::Result<()> {
    with_fixture("texera-resolve", |mut fixture| async move {
        let remote = format!("remote.{}.svc.cluster.local", fixture.namespace);
        let [away, hidden] = ["away", "hidden"].map(|name| fixture.unit(name).spec.cuid.unwrap_or_default());
        let secret = format!("secret.{}.svc.cluster.local:8085", fixture.namespace);
        let recorded = [(away, format!("{remote}:8085")), (hidden, secret)];
        let servers = format!("*.{}", jupyter::domain(&fixture.namespace));
        let resolver =
            format!("resolver.enabled=true,resolver.paths={{{BASE_PATH}}},resolver.hostnames={{{remote},{servers}}}");
        let values = ["gateway.hostname=texera.example.org", resolver.as_str()];
        if !deploy_recorded(&mut fixture, &values, &recorded).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        for service in ["remote", "secret"] {
            standin::static_service(&fixture, service).await?;
        }
        jupyter::create(&fixture, 7).await?;
        let own = texera::unit(&fixture, "own").await?;
        fixture.until(&format!("computing-unit-{own}"), Phase::Ready).await?;

        reached(&fixture, "GET", &format!("{BASE_PATH}/7/lab"), "jupyter-7").await?;
        let socket = |cuid: i64| format!("/wsapi/workflow-websocket?cuid={cuid}");
        reached(&fixture, "GET", &with_token(&socket(away), &format!("for-{away}")), "remote").await?;
        let environment = with_token(&format!("/api/pve/pves/{away}"), &format!("for-{away}"));
        reached(&fixture, "DELETE", &environment, "remote").await?;
        reached(&fixture, "GET", &with_token(&socket(own), &format!("for-{own}")), &format!("computing-unit-{own}"))
            .await?;

        // Only host names in the list are resolved, regardless of the origin of the name. OPTIONS is allowed without one.
        let answer = ask(&fixture, "GET", &with_token(&socket(hidden), &format!("for-{hidden}"))).await?;
        assert_eq!((answer.status, answer.engine()), (404, None), "no unit of the pool has this number");
        assert_eq!(ask(&fixture, "GET", &socket(away)).await?.status, 403);
        let proxy = texera::proxy(&fixture, 80).await?;
        for (method, host, path) in [
            ("GET", "secret", socket(away)),
            ("OPTIONS", "secret", format!("{BASE_PATH}/7")),
            ("GET", "secret", format!("{BASE_PATH}/7")),
            ("GET", "remote", "/".to_owned()),
            ("GET", "remote", socket(away)),
        ] {
            let url = format!("http://{host}.{}.svc.cluster.local{path}", fixture.namespace);
            let answer = curl(proxy, &url, &["--request", method]).await?;
            assert!(answer.engine().is_none() && (400..500).contains(&answer.status), "{method} {url}: {answer:?}");
        }
        let options = ask(&fixture, "OPTIONS", &format!("{BASE_PATH}/7")).await?;
        assert_eq!((options.status, options.engine()), (421, None));
        Ok(())
    })
    .await
}
