//! A browser that opens the address of a suspended unit shows its start, and then the unit.

use computing_unit_api::Phase;
use e2e::{
    activator::{self, WAKES, serve_activator, suspended},
    browser::Browser,
    fixture::SOON,
    idle,
    units::Mode,
    wait::eventually,
};
use serde_json::{Value, json};

use super::with_fixture;

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_start_and_then_the_unit() -> anyhow::Result<()> {
    with_fixture("browser", |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        suspended(&fixture, Mode::Query, &WAKES(), "ada").await?;
        // Long enough for a browser to be slow.
        fixture.edit("ada", json!({"env": [{"name": "START_DELAY", "value": "10"}]})).await?;
        // Not a proxy's own port, which browsers refuse.
        let gateway = fixture.cluster.gateway_address().await?;
        let url = format!("http://{gateway}{}?cuid={}", activator::path(&fixture), fixture.unit("ada").spec.cuid.unwrap());
        let browser = Browser::start().await?;
        browser.open(&url).await?;
        assert_eq!(browser.run("return document.title").await?, "ada is starting");
        assert_eq!(browser.run("return document.documentElement.lang").await?, "en");
        assert_eq!(browser.role("#detail").await?, "status");
        assert_eq!(browser.role("#stages").await?, "list");
        browser.press(&["\u{e004}"]).await?;
        assert_eq!(browser.run("return document.activeElement.id").await?, "open", "the first stop of the keyboard");
        let others = "return performance.getEntriesByType('resource').filter(one => !one.name.startsWith(location.origin)).length";
        assert_eq!(browser.run(others).await?, 0, "nothing is loaded from anywhere else");
        // The page updates the stages. Those of a quick start are complete at once.
        let passed = || async {
            let done = browser.run("return document.querySelectorAll('li[data-status=complete]').length").await?;
            Ok((done.as_u64() >= Some(1)).then_some(()))
        };
        eventually("a passed stage", SOON, passed).await?;
        let waits = || async {
            let text = browser.run("return document.getElementById('elapsed').textContent").await?;
            Ok(text.as_str().is_some_and(|text| text.starts_with("Waiting for ")).then_some(()))
        };
        eventually("the waiting time", SOON, waits).await?;
        let sizing = "return getComputedStyle(document.querySelector('li'), '::before').boxSizing";
        assert_eq!(browser.run(sizing).await?, "border-box", "the marks of stages are centered on their line");
        browser.keep_picture("waking.png").await?;
        // And then the unit itself, in the same window.
        let opened = || async {
            let text = browser.run("return document.body ? document.body.innerText : ''").await?;
            Ok(text.as_str().filter(|text| text.contains("\"unit\":\"ada\"")).map(str::to_owned))
        };
        eventually("the unit's own answer", SOON, opened).await?;
        assert_eq!(browser.run("return location.href").await?, url);
        // A unit that a request does not start.
        fixture.edit_pool(json!({"activator": {"wake": "Never"}})).await?;
        fixture.set_mode("ada", "Suspended").await?;
        fixture.until("ada", Phase::Suspended).await?;
        browser.open(&url).await?;
        assert_eq!(browser.run("return document.title").await?, "ada is suspended");
        let command = browser.run("return document.querySelector('#command code').innerText").await?;
        let patch = format!("kubectl patch computingunit ada -n {} ", fixture.namespace);
        assert!(command.as_str().unwrap().starts_with(&patch), "{command}");
        // The name of the test's namespace says nothing to a reader of the documentation.
        let rename = format!(
            "const code = document.querySelector('#command code');
             code.textContent = code.textContent.replace('{}', 'computing-units')",
            fixture.namespace
        );
        browser.run(&rename).await?;
        browser.keep_picture("suspended.png").await?;
        browser.end().await
    })
    .await
}

/// A script that sends a request with these options of `fetch`, and returns what a page can read of the response.
fn fetch(url: &str, options: &str) -> String {
    format!(
        "return fetch('{url}', {options}).then(async response => ({{status: response.status, \
         reason: response.headers.get('x-computing-unit-not-started'), body: await response.json()}}))"
    )
}

/// The requests of a page that is open do not undo the suspension of its unit, pages of any origin can read that, and a body is not lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_reads_why_a_unit_does_not_start_and_its_post_arrives_whole() -> anyhow::Result<()> {
    with_fixture("fetch", |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        suspended(&fixture, Mode::Query, &json!({"hold": "30s"}), "ada").await?;
        fixture.set_mode("ada", "Running").await?;
        fixture.until("ada", Phase::Ready).await?;
        idle::suspend(&fixture, "ada").await?;
        let origin = format!("http://{}", fixture.cluster.gateway_address().await?);
        let path = activator::path(&fixture);
        let url = format!("{origin}{path}?cuid={}", fixture.unit("ada").spec.cuid.unwrap());
        // Browsers describe requests to such an origin as they do with HTTPS.
        let browser = Browser::start_trusting(&origin).await?;
        browser.open(&format!("{origin}{path}?cuid={}", fixture.unit("nobody").spec.cuid.unwrap())).await?;
        let polled = browser.run(&fetch(&url, "{}")).await?;
        assert_eq!((&polled["status"], &polled["reason"]), (&json!(503), &json!("quiet_period")), "{polled}");
        let posted = browser.run(&fetch(&url, "{method: 'POST', body: 'x'.repeat(3 << 20)}")).await?;
        assert_eq!((&posted["status"], &posted["reason"]), (&json!(200), &Value::Null), "{posted}");
        assert_eq!(
            (&posted["body"]["unit"], &posted["body"]["received"]),
            (&json!("ada"), &json!(3 << 20)),
            "{posted}"
        );
        // Another origin, with a preflight.
        idle::suspend(&fixture, "ada").await?;
        browser.open("about:blank").await?;
        let other = browser.run(&fetch(&url, "{method: 'DELETE', headers: {'x-own': '1'}}")).await?;
        assert_eq!((&other["status"], &other["reason"]), (&json!(503), &json!("cross_site")), "{other}");
        assert_eq!(other["body"]["state"], "suspended");
        browser.end().await
    })
    .await
}
