//! Query mode with an internal host name for each unit, which the authorization returns, and with the key in the query or in the
//! path. Nobody who is authorized for one unit reaches another.

use std::net::SocketAddr;

use anyhow::Context;
use computing_unit_api::{PathMatch, PathMatchType, Phase, QueryLookup};
use e2e::{
    activator::{self, WAKES, problem, send, serve_activator},
    fixture::{Fixture, SOON},
    standin,
    traffic::{Connection, Hammer, Reuse, Socket, Target, first_success},
    units::{self, Mode},
    wait::eventually,
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::with_fixture;

/// Creates a pool, and an authorization with that parser of query strings.
async fn set_up(fixture: &Fixture, lookup: QueryLookup, parser: &str, headers: &[&str]) -> anyhow::Result<()> {
    let domain_name = (lookup == QueryLookup::Host).then(|| domain(fixture));
    let query = json!({"spec": {"routing": {"query": {"lookup": lookup, "lookupDomain": domain_name}}}});
    let mut pool = units::with(&activator::pool(fixture, Mode::Query, &WAKES()), &query);
    let base = activator::path(fixture);
    let keyed = [
        (PathMatchType::Exact, format!("{base}/pve/pves/{{key}}")),
        (PathMatchType::RegularExpression, format!("^{base}/pve/{{key}}/[^/]+/packages/.+$")),
    ];
    let paths = &mut pool.spec.routing.query.as_mut().context("Query mode")?.paths;
    paths.extend(keyed.map(|(r#type, value)| PathMatch { r#type, value }));
    // With a port, as Texera's service answers.
    let host = format!("computing-unit-{{cuid}}.{}:8085", domain(fixture));
    standin::authorization(fixture, &[("PARSER", parser.to_owned()), ("UNIT_HOST", host)], headers).await?;
    activator::create_pool(fixture, &pool).await?;
    // The proxies have the policy once it refuses a request without a token.
    let nobody = Target::new("localhost", &activator::path(fixture))?;
    let refused = || async { Ok((send(fixture, &nobody).await?.status == StatusCode::UNAUTHORIZED).then_some(())) };
    eventually("refusal", SOON, refused).await
}

fn domain(fixture: &Fixture) -> String {
    format!("{}.units.internal", fixture.namespace)
}

/// Creates a unit with the name that Texera gives it. Returns its key.
async fn make(fixture: &Fixture, name: &str) -> anyhow::Result<i64> {
    let cuid = fixture.unit(name).spec.cuid.unwrap_or_default();
    fixture.create(&units::unit(&fixture.namespace, &format!("computing-unit-{cuid}"), cuid)).await?;
    Ok(cuid)
}

async fn ready(fixture: &Fixture, cuid: i64) -> anyhow::Result<String> {
    let unit = fixture.until(&format!("computing-unit-{cuid}"), Phase::Ready).await?;
    Ok(unit.status.and_then(|status| status.url).unwrap_or_default())
}

/// Suspends a unit several times while it is requested: the activator starts it, and no request gets an error of the gateway.
async fn starts_on_request(
    fixture: &Fixture,
    cuid: i64,
    proxy: SocketAddr,
    target: &Target,
    times: usize,
) -> anyhow::Result<()> {
    let name = format!("computing-unit-{cuid}");
    let load = Hammer::new(&[proxy], target.clone()).connections(2).start()?;
    for _ in 0..times {
        fixture.set_mode(&name, "Suspended").await?;
        load.answer_more(20, SOON).await?;
        fixture.until(&name, Phase::Ready).await?;
    }
    let report = load.stop().await?;
    println!("{report}");
    report.assert_only(&[200, 307, 503])
}

fn target(fixture: &Fixture, host: &str, query: &str) -> anyhow::Result<Target> {
    below(fixture, host, &format!("?{query}"))
}

/// A request for what follows the path of the test.
fn below(fixture: &Fixture, host: &str, rest: &str) -> anyhow::Result<Target> {
    Target::new(host, &format!("{}{rest}", activator::path(fixture)))
}

/// The unit that has answered, or the status of an answer of no unit.
async fn answers(fixture: &Fixture, host: &str, rest: &str) -> anyhow::Result<Result<String, StatusCode>> {
    let answer = send(fixture, &below(fixture, host, rest)?).await?;
    Ok(match answer.headers.get("x-engine") {
        Some(engine) => Ok(engine.to_str()?.to_owned()),
        None => Err(answer.status),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_reached_and_started_by_its_key() -> anyhow::Result<()> {
    with_fixture("lookup", |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let operator = fixture.start().await?;
        set_up(&fixture, QueryLookup::Host, "strict", &["host", "x-user-name"]).await?;
        let proxy: SocketAddr = fixture.cluster.proxies().await?[0];
        let cuid = make(&fixture, "ada").await?;
        let url = ready(&fixture, cuid).await?;
        assert!(
            url.ends_with(&format!("{}?cuid={cuid}", activator::path(&fixture))) && !url.contains("internal"),
            "{url}"
        );
        let query = format!("cuid={cuid}&access-token=for-{cuid}");
        let known = target(&fixture, "localhost", &query)?.engine(&format!("computing-unit-{cuid}"));
        let answer = first_success(proxy, &known, Reuse::Fresh, SOON).await?;
        println!("{answer:?}");
        let said: Value = serde_json::from_slice(&send(&fixture, &known).await?.body)?;
        assert_eq!(said["headers"]["x-user-name"], "Ada");
        let bearer = HeaderValue::try_from(format!("Bearer for-{cuid}"))?;
        let by_header = target(&fixture, "localhost", &format!("cuid={cuid}"))?.header(header::AUTHORIZATION, bearer);
        assert_eq!(send(&fixture, &by_header).await?.status, StatusCode::OK);
        let mut socket = Socket::open(proxy, "localhost", &format!("{}?{query}", activator::path(&fixture))).await?;
        socket.echo("looked up").await?;

        starts_on_request(&fixture, cuid, proxy, &known, 2).await?;

        let other = format!("cuid={}&access-token=for-all", cuid + 1);
        let unknown = send(&fixture, &target(&fixture, "localhost", &other)?).await?;
        assert_eq!((unknown.status, &problem(&unknown)?["state"]), (StatusCode::NOT_FOUND, &json!("unknown")));
        let name = format!("computing-unit-{cuid}");
        fixture.delete(&name).await?;
        fixture.until_gone(&name).await?;
        assert!(operator.closed_routes_seen().await? >= 3);
        Ok(())
    })
    .await
}

/// The forms with a token for one unit that another unit has answered, over all host names.
async fn misled(lookup: QueryLookup, parser: &str, name: &str) -> anyhow::Result<Option<Vec<String>>> {
    with_fixture(name, |mut fixture| async move {
        let mut misled = vec![];
        if !serve_activator(&mut fixture).await? {
            return Ok(None);
        }
        let _operator = fixture.start().await?;
        let headers: &[&str] = if lookup == QueryLookup::Host { &["host"] } else { &["x-user-name"] };
        set_up(&fixture, lookup, parser, headers).await?;
        let (mine, others) = (make(&fixture, "mine").await?, make(&fixture, "others").await?);
        for cuid in [mine, others] {
            ready(&fixture, cuid).await?;
        }
        let (my, other) = (format!("computing-unit-{mine}"), format!("computing-unit-{others}"));
        let token = format!("access-token=for-{mine}");
        let reached = || async { Ok(answers(&fixture, "localhost", &format!("?cuid={mine}&{token}")).await?.ok()) };
        assert_eq!(eventually("own unit", SOON, reached).await?, my);
        let hosts =
            ["localhost".to_owned(), format!("{my}.{}", domain(&fixture)), format!("{other}.{}", domain(&fixture))];
        let encode =
            |key: i64| key.to_string().bytes().map(|digit| format!("%{digit:02X}")).collect::<Vec<_>>().concat();
        for form in ODDITIES {
            let sent = form.replace("ENCODED_OTHER", &encode(others)).replace("ENCODED", &encode(mine));
            let sent = sent.replace("MINE", &mine.to_string()).replace("OTHER", &others.to_string());
            let separator = if sent.contains('?') { '&' } else { '?' };
            for host in &hosts {
                let seen = answers(&fixture, host, &format!("{sent}{separator}{token}")).await?;
                println!("{lookup:?} {parser}: {host} {form}: {seen:?}");
                match seen {
                    Ok(engine) if engine == my => {}
                    Ok(_) => misled.push(form.to_owned()),
                    // Envoy redirects to the path with an unescaped slash.
                    Err(status) if status == StatusCode::TEMPORARY_REDIRECT => assert!(form.contains("%2F"), "{form}"),
                    Err(status) => assert!(status.is_client_error(), "{host} {form}: {status}"),
                }
            }
        }
        for form in ["/pve/pves/MINE", "/pve/MINE/env/packages/a/b"] {
            let sent = format!("{}?{token}", form.replace("MINE", &mine.to_string()));
            assert_eq!(answers(&fixture, "localhost", &sent).await?, Ok(my.clone()), "{form}");
        }
        // The other unit's own host name leads nobody past the authorization.
        for host in &hosts {
            let answer = answers(&fixture, host, &format!("?cuid={others}")).await?;
            assert!(matches!(answer, Err(StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND)), "{host}: {answer:?}");
        }
        let allowed = format!("?cuid={others}&access-token=for-{others}");
        assert_eq!(answers(&fixture, "localhost", &allowed).await?, Ok(other));
        Ok(Some(misled))
    })
    .await
}

/// Requests that two parsers may read differently, from a client that may reach only unit MINE.
const ODDITIES: [&str; 34] = [
    "?cuid=OTHER",
    "?cuid=MINE&cuid=OTHER",
    "?cuid=OTHER&cuid=MINE",
    "?%63uid=MINE&cuid=OTHER",
    "?cuid=OTHER&%63uid=MINE",
    "?CUID=MINE&cuid=OTHER",
    "?cuid=0MINE",
    "?cuid=%2BMINE",
    "?cuid=ENCODED",
    "?cuid=ENCODED&cuid=OTHER",
    "?cuid=&cuid=OTHER",
    "?cuid&cuid=OTHER",
    "?cuid=",
    "",
    "/pve/pves/OTHER",
    "/pve/OTHER/env/packages/a",
    "/pve/pves/MINE?cuid=OTHER",
    "/pve/pves/OTHER?cuid=MINE",
    "/pve/OTHER/env/packages/a?cuid=MINE",
    "/pve/pves/OTHER?%63uid=MINE",
    "/pve/pves/MINE?%63uid=OTHER",
    "/pve/pves/OTHER?cuid=&cuid=MINE",
    "/pve/pves/ENCODED",
    "/pve/pves/ENCODED_OTHER",
    "/pve/pves/ENCODED_OTHER?cuid=MINE",
    "/pve/pves/ENCODED?cuid=OTHER",
    "/pve/pves/0MINE",
    "/pve/pves/0OTHER?cuid=MINE",
    "/pve/pves/MINE/",
    "/pve/pves/OTHER/?cuid=MINE",
    "/pve/pves/MINE/../OTHER",
    "/pve/pves/MINE/%2E%2E/OTHER",
    "/pve/MINE/env/packages/a%2F..%2F..%2F..%2F..%2Fpves/OTHER",
    "/pve/OTHER/env%2Fpackages%2Fa?cuid=MINE",
];

/// The forms in which the path has the key of one unit, and the query, as the service decodes it, that of another.
const TWO_PLACES: [&str; 5] = [
    "?%63uid=MINE&cuid=OTHER",
    "/pve/pves/OTHER?cuid=MINE",
    "/pve/OTHER/env/packages/a?cuid=MINE",
    "/pve/pves/OTHER?%63uid=MINE",
    "/pve/pves/ENCODED_OTHER?cuid=MINE",
];

#[tokio::test(flavor = "multi_thread")]
async fn host_lookup_never_reaches_another_unit() -> anyhow::Result<()> {
    assert!(misled(QueryLookup::Host, "strict", "lookup-strict").await?.is_none_or(|misled| misled.is_empty()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn host_lookup_never_reaches_another_unit_if_the_authorization_decodes() -> anyhow::Result<()> {
    assert!(misled(QueryLookup::Host, "first-decoded", "lookup-decoded").await?.is_none_or(|misled| misled.is_empty()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn linear_lookup_never_reaches_another_unit_if_the_authorization_is_strict() -> anyhow::Result<()> {
    assert!(misled(QueryLookup::Linear, "strict", "linear-strict").await?.is_none_or(|misled| misled.is_empty()));
    Ok(())
}

/// Shows why `Linear` needs an authorization that parses queries like Envoy, and that these tests can fail.
#[tokio::test(flavor = "multi_thread")]
async fn linear_lookup_reaches_another_unit_if_the_authorization_decodes() -> anyhow::Result<()> {
    let misled = misled(QueryLookup::Linear, "first-decoded", "linear-decoded").await?;
    let only =
        |misled: Vec<String>| !misled.is_empty() && misled.iter().all(|form| TWO_PLACES.contains(&form.as_str()));
    assert!(misled.is_none_or(only));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_without_a_host_reaches_and_starts_nothing() -> anyhow::Result<()> {
    with_fixture("lookup-none", |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        set_up(&fixture, QueryLookup::Host, "strict", &["x-user-name"]).await?;
        let cuid = make(&fixture, "ada").await?;
        ready(&fixture, cuid).await?;
        let name = format!("computing-unit-{cuid}");
        let query = target(&fixture, "localhost", &format!("cuid={cuid}&access-token=for-{cuid}"))?;
        let proxy = fixture.cluster.proxies().await?[0];
        let mut connection = Connection::open(proxy).await?;
        let told = connection.send(&query).await?;
        assert_eq!((told.status, &problem(&told)?["state"]), (StatusCode::MISDIRECTED_REQUEST, &json!("misdirected")));
        fixture.set_mode(&name, "Suspended").await?;
        fixture.until(&name, Phase::Suspended).await?;
        assert_eq!(send(&fixture, &query).await?.status, StatusCode::MISDIRECTED_REQUEST);
        assert_eq!(units::phase(fixture.units().get_opt(&name).await?.as_ref()), Some(Phase::Suspended));
        Ok(())
    })
    .await
}

/// All paths have the key, so neither the URL nor probes have a parameter.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_reached_and_started_by_the_key_in_its_path() -> anyhow::Result<()> {
    with_fixture("lookup-path", |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        let base = format!("/{}", fixture.namespace);
        let paths = json!([
            {"type": "PathPrefix", "value": format!("{base}/{{key}}")},
            {"type": "RegularExpression", "value": format!("^{base}-files/{{key}}/[a-z]+$")},
        ]);
        let more = json!({"spec": {"routing": {"query": {"paths": paths}}}});
        let pool = units::with(&activator::pool(&fixture, Mode::Query, &WAKES()), &more);
        activator::create_pool(&fixture, &pool).await?;
        let mut forms = vec![];
        for name in ["ada", "bob"] {
            let cuid = make(&fixture, name).await?;
            let url = ready(&fixture, cuid).await?;
            assert!(url.ends_with(&format!("{base}/{cuid}")), "{url}");
            for path in
                [format!("{base}/{cuid}"), format!("{base}/{cuid}/more?x=1"), format!("{base}-files/{cuid}/abc")]
            {
                forms.push(Target::new("localhost", &path)?.engine(&format!("computing-unit-{cuid}")));
            }
        }
        let proxy: SocketAddr = fixture.cluster.proxies().await?[0];
        for form in &forms {
            let answer = first_success(proxy, form, Reuse::Fresh, SOON).await?;
            println!("{answer:?}");
        }
        let cuid = fixture.unit("ada").spec.cuid.unwrap_or_default();
        for path in [format!("{base}/{}", cuid + 1), format!("{base}/0{cuid}"), format!("{base}-files/{cuid}/ABC")] {
            assert_eq!(
                send(&fixture, &Target::new("localhost", &path)?).await?.status,
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }

        for form in &forms[..3] {
            starts_on_request(&fixture, cuid, proxy, form, 1).await?;
        }
        Ok(())
    })
    .await
}
