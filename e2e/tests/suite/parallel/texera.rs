//! A deployment of the shape of Texera behind one gateway: each static path leads to its service, units are authorized, and missing
//! references are reported.

use std::net::SocketAddr;

use computing_unit_api::{
    Phase,
    gateway::{Gateway, HTTPRoute},
};
use e2e::{
    fixture::{Fixture, SOON},
    proxies,
    texera::{self, Answer, STORE, curl, deploy},
    traffic::{Hammer, Report, Socket, Target},
    wait::{eventually, until},
};
use futures::future::try_join_all;
use kube::{Api, api::DeleteParams};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use super::with_fixture;

/// Uploads at a time, and the bytes of each: those that a proxy buffers on a route with a limit.
const UPLOADS: usize = 50;
const BODY: usize = 256 << 10;
/// The memory that a proxy may need for all of them.
const MEMORY: u64 = 64 << 20;

/// Each path of Texera, and its service.
const PATHS: [(&str, &str); 18] = [
    ("/", "webserver-svc"),
    ("/dashboard/user/workflow", "webserver-svc"),
    ("/api/auth/login", "webserver-svc"),
    ("/api/computing-unit/create", "workflow-computing-unit-manager-svc"),
    ("/api/access/computing-unit/list/1", "workflow-computing-unit-manager-svc"),
    ("/api/cu-image", "workflow-computing-unit-manager-svc"),
    ("/api/compile", "workflow-compiling-service-svc"),
    ("/api/workflow-to-python", "workflow-compiling-service-svc"),
    ("/api/dataset/list", "file-service-svc"),
    ("/api/access/dataset/1", "file-service-svc"),
    ("/api/model/1", "file-service-svc"),
    ("/api/access/model/1", "file-service-svc"),
    ("/api/config/gui", "config-service-svc"),
    ("/api/notebook-migration/1", "notebook-migration-service-svc"),
    ("/api/models", "access-control-service"),
    ("/api/chat/completions", "access-control-service"),
    ("/api/agents/7", "agent-service-svc"),
    ("/rtc/room", "y-websocket-server-svc"),
];

async fn served(fixture: &Fixture) -> anyhow::Result<()> {
    let proxy = texera::proxy(fixture, 80).await?;
    for (path, _) in PATHS {
        let answers = || async {
            let token = ["--header", "Authorization: Bearer for-1"];
            let answer = curl(proxy, &format!("http://texera.example.org{path}"), &token).await?;
            Ok((answer.status == 200).then_some(()))
        };
        eventually(path, SOON, answers).await?;
    }
    Ok(())
}

async fn ask_unit(fixture: &Fixture, cuid: i64, token: &str, args: &[&str]) -> anyhow::Result<Answer> {
    let url = format!("http://texera.example.org/wsapi/workflow-websocket?wid=1&cuid={cuid}&access-token={token}");
    curl(texera::proxy(fixture, 80).await?, &url, args).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_path_leads_to_its_service_and_units_are_authorized() -> anyhow::Result<()> {
    with_fixture("texera", |mut fixture| async move {
        if !deploy(&mut fixture, &["proxy.accessLog.units=all", "authorization.timeout=2s"]).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        served(&fixture).await?;
        let proxy = texera::proxy(&fixture, 80).await?;
        for (path, service) in PATHS {
            for version in ["--http1.1", "--http2-prior-knowledge"] {
                let spoofed = [version, "--header", "X-User-Id: 1", "--header", "Authorization: Bearer for-1"];
                let answer = curl(proxy, &format!("http://texera.example.org{path}"), &spoofed).await?;
                assert_eq!((answer.status, answer.engine()), (200, Some(service)), "{path} {version}");
                if service != "access-control-service" {
                    // The authorization says who the user of an agent is.
                    let expected = if service == "agent-service-svc" { json!("7") } else { Value::Null };
                    let headers = &answer.echoed()?["headers"];
                    assert_eq!(headers["x-user-id"], expected, "{path}: {headers}");
                }
            }
        }
        for path in ["/rtc/room", "/python-language-server", "/api/agents/7/react?access-token=for-1"] {
            Socket::open(proxy, "texera.example.org", path).await?.echo(path).await?;
        }

        // A unit is asked for from before there is one: nobody without a token ever gets past the authorization.
        let cuid = fixture.unit("ada").spec.cuid.unwrap();
        let path = format!("/wsapi/workflow-websocket?cuid={cuid}");
        let refused = || async { Ok((ask_unit(&fixture, cuid, "", &[]).await?.status == 403).then_some(())) };
        eventually("refusal", SOON, refused).await?;
        let load = Hammer::new(&[proxy], Target::new("texera.example.org", &path)?).connections(4).start()?;
        texera::unit(&fixture, "ada").await?;
        let name = format!("computing-unit-{cuid}");
        let unit = fixture.until(&name, Phase::Ready).await?;
        load.answer_more(100, SOON).await?;
        load.stop().await?.assert_only(&[403])?;
        assert!(unit.status.and_then(|status| status.url).unwrap().contains("/wsapi?cuid="));

        let token = format!("for-{cuid}");
        let spoofed = ["--header", "X-User-Id: 1", "--header", "x-user-admin: true"];
        let passed = || async { Ok((ask_unit(&fixture, cuid, &token, &[]).await?.status == 200).then_some(())) };
        eventually("unit", SOON, passed).await?;
        let answer = ask_unit(&fixture, cuid, &token, &spoofed).await?;
        assert_eq!((answer.status, answer.engine()), (200, Some(name.as_str())));
        let headers = answer.echoed()?["headers"].clone();
        assert_eq!((&headers["x-user-id"], &headers["x-user-cu-access"]), (&"7".into(), &"WRITE".into()), "{headers}");
        assert!(headers.get("x-user-admin").is_none(), "{headers}");
        for (path, part) in [
            ("/wsapi/workflow-websocket", "workflow"),
            ("/api/executions/1/stats/2", "stats"),
            ("/api/executions/result/export", ""),
            ("/api/pve/list", "pve"),
        ] {
            let url = format!("http://texera.example.org{path}?cuid={cuid}&access-token={token}");
            let answer = curl(proxy, &url, &["--http2-prior-knowledge"]).await?;
            assert_eq!(
                (answer.status, answer.engine(), answer.version.as_str()),
                (200, Some(name.as_str()), "2"),
                "{path}"
            );
            assert!(part.is_empty() || answer.echoed()?["part"] == part, "{}", answer.body);
        }
        let mut socket = Socket::open(proxy, "texera.example.org", &format!("{path}&access-token={token}")).await?;
        socket.echo("for whom it is").await?;
        // A slow answer is waited for no longer than the chart says.
        for (token, status) in [("", 403), ("for-1", 403), ("nonsense", 403), ("slow", 503)] {
            assert_eq!(ask_unit(&fixture, cuid, token, &[]).await?.status, status, "{token}");
        }

        // The authorization goes: nobody passes who did not before, whenever that is, and nothing else is disturbed. Envoy
        // Gateway takes the question from the listener before it takes the routes away; what gets in between ends at the
        // activator (421), for no unit has the host name that it comes with.
        let report = lost(&fixture, &format!("{path}&access-token=for-1"), 500).await?;
        report.assert_only(&[403, 421, 500, 503])?;
        let refused = ask_unit(&fixture, cuid, &token, &[]).await?;
        assert!(refused.status == 500 && refused.engine().is_none(), "{refused:?}");
        assert_eq!(curl(proxy, "http://texera.example.org/api/config/gui", &[]).await?.status, 200);
        socket.echo("what is open stays open").await?;

        let log = texera::log(&fixture).await?;
        assert!(log.contains("/wsapi/workflow-websocket") && log.contains("/api/config/gui"), "{log}");
        assert!(!log.contains("access-token") && !log.contains(&token), "a token is in the log");
        Ok(())
    })
    .await
}

/// The responses to an unauthorized client at that path while the authorization is deleted, until after they have become `status`.
async fn lost(fixture: &Fixture, path: &str, status: u16) -> anyhow::Result<Report> {
    let proxy = texera::proxy(fixture, 80).await?;
    let load = Hammer::new(&[proxy], Target::new("texera.example.org", path)?).connections(8).start()?;
    load.answer_more(100, SOON).await?;
    fixture.pods().delete(texera::AUTHORIZATION, &DeleteParams::default().grace_period(0)).await?;
    until("end", SOON, fixture.pods(), texera::AUTHORIZATION, |pod| pod.is_none()).await?;
    let url = format!("http://texera.example.org{path}");
    let closed = || async { Ok((curl(proxy, &url, &[]).await?.status == status).then_some(())) };
    eventually("refusal, as where nobody is left who could be asked", SOON, closed).await?;
    load.answer_more(1000, SOON).await?;
    let report = load.stop().await?;
    println!("{report}");
    Ok(report)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_found_by_name_fails_closed_when_it_is_gone() -> anyhow::Result<()> {
    with_fixture("texera-name", |mut fixture| async move {
        if !deploy(&mut fixture, &["authorization.byName=true,units.pool.lookup=Linear"]).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        let cuid = texera::unit(&fixture, "ada").await?;
        fixture.until(&format!("computing-unit-{cuid}"), Phase::Ready).await?;
        let token = format!("for-{cuid}");
        let passed = || async { Ok((ask_unit(&fixture, cuid, &token, &[]).await?.status == 200).then_some(())) };
        eventually("unit", SOON, passed).await?;
        let report = lost(&fixture, &format!("/wsapi/workflow-websocket?cuid={cuid}&access-token=for-1"), 503).await?;
        report.assert_only(&[403, 503])
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_headers_are_limited_except_for_the_object_store() -> anyhow::Result<()> {
    with_fixture("texera-limits", |mut fixture| async move {
        if !deploy(&mut fixture, &["units.pool.create=false", "routes.config.body=64Ki"]).await? {
            return Ok(());
        }
        served(&fixture).await?;
        let proxy = texera::proxy(&fixture, 80).await?;
        let send = async |url: &str, bytes: u64| {
            let file = tempfile::NamedTempFile::new()?;
            file.as_file().set_len(bytes)?;
            let data = format!("@{}", file.path().display());
            curl(proxy, url, &["--request", "POST", "--data-binary", &data]).await
        };
        let config = "http://texera.example.org/api/config/gui";
        let at = send(config, 64 << 10).await?;
        assert_eq!((at.status, &at.echoed()?["received"]), (200, &(64 << 10).into()));
        assert_eq!(send(config, (64 << 10) + 1).await?.status, 413);
        let large = 300_u64 << 20;
        let stored = send(&format!("http://{STORE}/bucket/key"), large).await?;
        assert_eq!((stored.status, stored.engine()), (200, Some("texera-rustfs-svc")));
        assert_eq!(stored.echoed()?["received"], large);
        let preflight =
            ["--request", "OPTIONS", "--header", "Origin: http://x", "--header", "Access-Control-Request-Method: PUT"];
        let answer = curl(proxy, &format!("http://{STORE}/bucket/key"), &preflight).await?;
        assert!(answer.headers.contains("access-control-allow-methods"), "{}", answer.headers);

        // Envoy takes 60 KiB of headers.
        for (bytes, status) in [(59 << 10, 200), (61 << 10, 431)] {
            let header = format!("X-Large: {}", "a".repeat(bytes));
            assert_eq!(curl(proxy, config, &["--header", &header]).await?.status, status, "{bytes}");
        }
        Ok(())
    })
    .await
}

/// Begins an upload of which the last byte is never sent.
async fn upload(proxy: SocketAddr, path: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(proxy).await?;
    let head = format!("POST {path} HTTP/1.1\r\nhost: texera.example.org\r\ncontent-length: {BODY}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&vec![b'x'; BODY - 1]).await?;
    Ok(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_are_held_open_neither_fill_a_proxy_nor_stop_other_requests() -> anyhow::Result<()> {
    with_fixture("texera-uploads", |mut fixture| async move {
        let received = "limits.requestReceivedTimeout=15s";
        if !deploy(&mut fixture, &["units.pool.create=false", received]).await? {
            return Ok(());
        }
        served(&fixture).await?;
        let proxy = texera::proxy(&fixture, 80).await?;
        let before = proxies::resident_memory(&fixture.cluster, proxy).await?;
        // As much as a proxy buffers before it passes a request on, and as much to a service that is sent each byte at once.
        let paths = ["/api/computing-unit/create", "/api/compile"].into_iter().cycle().take(UPLOADS);
        let mut held = try_join_all(paths.map(|path| upload(proxy, path))).await?;
        for (path, service) in PATHS {
            let token = ["--header", "Authorization: Bearer for-1"];
            let answer = curl(proxy, &format!("http://texera.example.org{path}"), &token).await?;
            assert_eq!((answer.status, answer.engine()), (200, Some(service)), "{path}");
        }
        let grown = proxies::resident_memory(&fixture.cluster, proxy).await?.saturating_sub(before);
        println!("{UPLOADS} uploads of {BODY} bytes: {grown} bytes of memory");
        assert!(grown < MEMORY, "{grown} bytes for {UPLOADS} uploads");
        for stream in &mut held {
            let mut response = String::new();
            timeout(SOON, BufReader::new(stream).read_line(&mut response)).await??;
            assert!(response.starts_with("HTTP/1.1 408 "), "{response:?}");
        }

        texera::install(&fixture, &["units.pool.create=false", received, "limits.requestsPerSecond=5"]).await?;
        let limited = || async {
            let load = Hammer::new(&[proxy], Target::new("texera.example.org", "/api/config/gui")?).start()?;
            load.answer_more(20, SOON).await?;
            let report = load.stop().await?;
            Ok((report.count(429) > 0 && report.count(200) > 0).then_some(()))
        };
        eventually("limit of requests", SOON, limited).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_of_a_lost_client_is_closed_and_no_other() -> anyhow::Result<()> {
    with_fixture("texera-lost", |mut fixture| async move {
        let values = ["units.pool.create=false", "limits.tcpKeepalive.idleTime=2s,limits.tcpKeepalive.interval=1s"];
        if !deploy(&mut fixture, &values).await? {
            return Ok(());
        }
        served(&fixture).await?;
        let proxy = texera::proxy(&fixture, 80).await?;
        let mut stays = Socket::open(proxy, "texera.example.org", "/rtc/room").await?;
        let mut lost = Socket::open(proxy, "texera.example.org", "/rtc/room").await?;
        lost.echo("before").await?;
        let port = lost.port()?;
        let acknowledged = || async { Ok(proxies::acknowledged(&fixture.cluster, proxy, port).await?.then_some(())) };
        eventually("acknowledgment of the echo", SOON, acknowledged).await?;
        proxies::lose(&fixture.cluster, proxy, port).await?;
        let cut = || async { Ok((!proxies::holds(&fixture.cluster, proxy, port).await?).then_some(())) };
        eventually("end of the connection", SOON, cut).await?;
        stays.echo("although nothing was said for as long").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_references_are_reported_and_tls_works_once_its_secret_exists() -> anyhow::Result<()> {
    with_fixture("texera-missing", |mut fixture| async move {
        let values = [
            "units.pool.lookup=Linear,authorization.enabled=false",
            "gateway.https.enabled=true",
            "routes.extra.paths[0].value=/extra,routes.extra.service.name=nobody,routes.extra.service.port=1",
        ];
        if !deploy(&mut fixture, &values).await? {
            return Ok(());
        }
        let gateways = Api::<Gateway>::namespaced(fixture.cluster.client(), &fixture.namespace);
        let says = |gateway: Option<&Gateway>, reason: &str| {
            let status = serde_json::to_value(gateway.and_then(|gateway| gateway.status.clone())).unwrap_or_default();
            status.to_string().contains(reason)
        };
        let missing = |gateway: Option<&Gateway>| says(gateway, "InvalidCertificateRef") && says(gateway, "texera-tls");
        until("word of the missing Secret", SOON, gateways, "texera", missing).await?;
        let unknown = |route: Option<&HTTPRoute>| {
            let status = serde_json::to_value(route.and_then(|route| route.status.clone())).unwrap_or_default();
            let text = status.to_string();
            text.contains("BackendNotFound") && text.contains("nobody")
        };
        until("word of the unknown Service", SOON, fixture.routes(), "texera-extra", unknown).await?;

        texera::certificate(&fixture, "texera-tls").await?;
        let proxy = texera::proxy(&fixture, 443).await?;
        let url = "https://texera.example.org/api/config/gui";
        let secure = || async { Ok(curl(proxy, url, &["--http2"]).await.ok().filter(|answer| answer.status == 200)) };
        let answer = eventually("TLS", SOON, secure).await?;
        assert_eq!((answer.version.as_str(), answer.engine()), ("2", Some("config-service-svc")));
        let upgrade = [
            "--http1.1",
            "--max-time",
            "2",
            "--header",
            "Connection: Upgrade",
            "--header",
            "Upgrade: websocket",
            "--header",
            "Sec-WebSocket-Version: 13",
            "--header",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ];
        assert_eq!(curl(proxy, "https://texera.example.org/rtc/room", &upgrade).await?.status, 101);
        assert_eq!(curl(proxy, &format!("https://{STORE}/bucket"), &[]).await?.engine(), Some("texera-rustfs-svc"));
        Ok(())
    })
    .await
}
