//! In a browser, HTML of a hostile unit cannot act on the site whose origin it shares, unless the pool allows it.

use anyhow::ensure;
use computing_unit_api::{Isolation, Phase, gateway::HTTPRoute};
use e2e::{
    browser::Browser,
    fixture::{Fixture, SOON},
    traffic::{Connection, Target},
    units::{self, Mode},
    wait::{eventually, until},
};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::with_fixture;

/// What the hostile page tries. Its results are in `window.results`.
const PAGE: &str = r"<!doctype html><script>
const attempt = async (action) => { try { return String(await action()) } catch (error) { return error.name } };
const attack = async () => ({
    token: await attempt(() => localStorage.getItem('access_token')),
    cookie: await attempt(() => { document.cookie = 'by-script=1; path=/'; return 'set' }),
    worker: await attempt(async () => (await navigator.serviceWorker.register(location.href + '&script', {scope: '/'})).scope),
    site: await attempt(async () => (await fetch('SITE', {credentials: 'include'})).text()),
});
attack().then(results => { window.results = results });
</script>";
/// Headers with which the hostile unit answers.
const HEADERS: &str = "Set-Cookie: by-header=1; Path=/
Service-Worker-Allowed: /
Clear-Site-Data: \"cache\"
Strict-Transport-Security: max-age=1
Alt-Svc: h3=\":9\"
NEL: {}
Report-To: {}
Content-Security-Policy: default-src * 'unsafe-inline'
X-Content-Type-Options: off";
/// Those that must not reach a browser.
const REMOVED: [&str; 6] =
    ["set-cookie", "clear-site-data", "strict-transport-security", "alt-svc", "nel", "report-to"];

/// The site of the deployer: a unit of another pool, on the same host.
async fn create_site(fixture: &Fixture) -> anyhow::Result<String> {
    let prefix = format!("/{}-site", fixture.namespace);
    let pool = units::with(
        &fixture.pool(Mode::Path),
        &json!({
            "metadata": {"name": "site"},
            "spec": {"routing": {"isolation": "None", "path": {"prefix": prefix}}},
        }),
    );
    fixture.create_pool(&pool).await?;
    let page = "<!doctype html><title>site</title>secret of the site";
    let unit = json!({"spec": {"poolName": "site", "env": [{"name": "PAGE", "value": page}]}});
    fixture.create(&units::with(&fixture.unit("site"), &unit)).await?;
    fixture.until("site", Phase::Ready).await?;
    Ok(format!("{prefix}/site/"))
}

/// A hostile unit, whose isolation is not set yet. Returns its path.
async fn create_hostile(fixture: &Fixture, site: &str, isolation: Isolation) -> anyhow::Result<String> {
    // Directly below the root, so that a service worker may have the root as its scope.
    let path = format!("/{}-hostile", fixture.namespace);
    let pool = units::with(
        &fixture.pool(Mode::Query),
        &json!({"spec": {"routing": {
            "isolation": isolation, "query": {"parameter": "hostile", "paths": [{"value": path}]},
        }}}),
    );
    fixture.create_pool(&pool).await?;
    let env = [
        ("PAGE", PAGE.replace("SITE", site)),
        ("HEADERS", HEADERS.to_owned()),
        ("SCRIPT", "addEventListener('fetch', () => {})".to_owned()),
    ];
    let env: Vec<Value> = env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let unit = units::with(&fixture.unit("hostile"), &json!({"spec": {"env": env}}));
    let unit = fixture.create(&unit).await?;
    fixture.until("hostile", Phase::Ready).await?;
    Ok(format!("{path}?hostile={}", unit.spec.cuid.unwrap_or_default()))
}

async fn isolate(fixture: &Fixture, isolation: Isolation) -> anyhow::Result<()> {
    fixture.edit_pool(json!({"routing": {"isolation": isolation}})).await?;
    let modifies_requests = |route: Option<&HTTPRoute>| {
        let rules = route.and_then(|route| route.spec.rules.clone()).unwrap_or_default();
        rules
            .iter()
            .flat_map(|rule| rule.filters.iter().flatten())
            .any(|filter| filter.request_header_modifier.is_some())
    };
    let applied = move |route: Option<&HTTPRoute>| modifies_requests(route) == (isolation == Isolation::Sandbox);
    until("isolated route", SOON, fixture.routes(), "hostile", applied).await.map(drop)
}

/// Whether the proxy isolates responses of `path`, once its configuration agrees with `isolation`.
async fn until_isolated(fixture: &Fixture, path: &str, isolation: Isolation) -> anyhow::Result<()> {
    let proxy = fixture.cluster.proxies().await?[0];
    let target = Target::new("localhost", path)?;
    let isolated = || async {
        let answer = Connection::open(proxy).await?.send(&target).await?;
        let policy = answer.headers.get("content-security-policy").and_then(|policy| policy.to_str().ok());
        let sandboxed = policy.is_some_and(|policy| policy.starts_with("sandbox"));
        Ok((answer.status == 200 && sandboxed == (isolation == Isolation::Sandbox)).then_some(answer.headers))
    };
    let headers = eventually("isolation at the proxy", SOON, isolated).await?;
    for name in REMOVED {
        ensure!(headers.contains_key(name) == (isolation == Isolation::None), "{name}: {headers:?}");
    }
    if isolation == Isolation::Sandbox {
        ensure!(
            headers["x-content-type-options"] == "nosniff"
                && headers.get_all("x-content-type-options").iter().count() == 1
        );
        let policies: Vec<_> = headers.get_all("content-security-policy").iter().collect();
        ensure!(policies.len() == 1 && !policies[0].to_str()?.contains("allow-same-origin"), "{policies:?}");
    }
    Ok(())
}

/// The credentials of a request that reach the unit.
async fn credentials(fixture: &Fixture, path: &str) -> anyhow::Result<Value> {
    let proxy = fixture.cluster.proxies().await?[0];
    let target = Target::new("localhost", path)?
        .method(http::Method::POST)
        .header(HeaderName::from_static("cookie"), HeaderValue::from_static("session=1"))
        .header(HeaderName::from_static("authorization"), HeaderValue::from_static("Bearer 1"));
    let answer: Value = serde_json::from_slice(&Connection::open(proxy).await?.send(&target).await?.body)?;
    Ok(json!([answer["headers"]["cookie"], answer["headers"]["authorization"]]))
}

/// Opens the site, then the hostile page, then the site again. Returns what the page achieved.
async fn attack(origin: &str, site: &str, path: &str) -> anyhow::Result<Value> {
    let browser = Browser::start_trusting(origin).await?;
    browser.open(&format!("{origin}{site}")).await?;
    browser.run("localStorage.setItem('access_token', 'of the victim')").await?;
    browser.open(&format!("{origin}{path}")).await?;
    let done = || async { Ok(Some(browser.run("return window.results").await?).filter(|results| !results.is_null())) };
    let mut results = eventually("results of the hostile page", SOON, done).await?;
    browser.open(&format!("{origin}{site}")).await?;
    results["cookies"] = browser.run("return document.cookie").await?;
    results["stored"] = browser.run("return localStorage.getItem('access_token')").await?;
    results["workers"] =
        browser.run("return navigator.serviceWorker.getRegistrations().then(all => all.length)").await?;
    // The site itself uses the unit as before.
    let fetched = format!("return fetch('{path}').then(response => response.text())");
    ensure!(browser.run(&fetched).await?.as_str().is_some_and(|text| text.contains("attack")), "fetch by the site");
    let echoed = format!(
        "return new Promise((resolve, reject) => {{ const socket = new WebSocket(location.origin.replace('http', 'ws') + '{path}');
         socket.onopen = () => socket.send('hello'); socket.onmessage = event => resolve(event.data); socket.onerror = reject }})"
    );
    ensure!(browser.run(&echoed).await?.as_str().is_some_and(|text| text.contains("hello")), "WebSocket by the site");
    let registered = format!(
        "return navigator.serviceWorker.register('{path}&script', {{scope: '/'}}).then(() => 'registered', error => error.name)"
    );
    results["by_site"] = browser.run(&registered).await?;
    browser.end().await?;
    Ok(results)
}

#[tokio::test(flavor = "multi_thread")]
async fn html_of_a_unit_cannot_act_on_its_origin_unless_the_pool_allows_it() -> anyhow::Result<()> {
    with_fixture("isolation", |fixture| async move {
        let _operator = fixture.start().await?;
        let site = create_site(&fixture).await?;
        let path = create_hostile(&fixture, &site, Isolation::None).await?;
        let origin = format!("http://{}", fixture.cluster.gateway_address().await?);
        until_isolated(&fixture, &path, Isolation::None).await?;
        ensure!(credentials(&fixture, &path).await? == json!(["session=1", "Bearer 1"]));
        let open = attack(&origin, &site, &path).await?;
        ensure!(open["token"] == "of the victim", "{open}");
        ensure!(open["site"].as_str().is_some_and(|text| text.contains("secret of the site")), "{open}");
        ensure!(open["by_site"] == "registered", "{open}");
        ensure!(open["worker"] == format!("{origin}/") && open["workers"] == 1, "{open}");
        for cookie in ["by-script=1", "by-header=1"] {
            ensure!(open["cookies"].as_str().is_some_and(|cookies| cookies.contains(cookie)), "{open}");
        }

        isolate(&fixture, Isolation::Sandbox).await?;
        until_isolated(&fixture, &path, Isolation::Sandbox).await?;
        ensure!(credentials(&fixture, &path).await? == json!([null, null]));
        let sandboxed = attack(&origin, &site, &path).await?;
        ensure!(sandboxed["token"] == "SecurityError" && sandboxed["stored"] == "of the victim", "{sandboxed}");
        ensure!(sandboxed["cookie"] == "SecurityError" && sandboxed["cookies"] == "", "{sandboxed}");
        ensure!(sandboxed["worker"] == "SecurityError" && sandboxed["workers"] == 0, "{sandboxed}");
        ensure!(sandboxed["site"] == "TypeError", "{sandboxed}");
        ensure!(sandboxed["by_site"] == "SecurityError", "{sandboxed}");
        Ok(())
    })
    .await
}
