//! A browser that opens the address of a suspended unit shows its start, and then the unit.

use computing_unit_api::Phase;
use e2e::{
    activator::{self, WAKE_ON_REQUEST, serve_activator, suspended},
    browser::Browser,
    fixture::SOON,
    tool,
    units::Mode,
    wait::eventually,
};
use k8s_openapi::ByteString;
use serde_json::json;

use super::with_fixture;

/// Saves a screenshot of the page in the folder `PICTURES`. The documentation uses them: `PICTURES=docs/images`.
async fn keep_picture(browser: &Browser, name: &str) -> anyhow::Result<()> {
    let encoded = serde_json::from_value::<ByteString>(json!(browser.picture().await?))?;
    let folder = std::env::var("PICTURES").map_or_else(|_| std::env::temp_dir(), |folder| tool::file(&folder).into());
    let path = folder.join(name);
    std::fs::write(&path, encoded.0)?;
    println!("a picture of the page is in {}", path.display());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_start_and_then_the_unit() -> anyhow::Result<()> {
    with_fixture("browser", |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        suspended(&fixture, Mode::Query, &WAKE_ON_REQUEST(), "ada").await?;
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
        browser.press("\u{e004}").await?;
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
        keep_picture(&browser, "waking.png").await?;
        // And then the unit itself, in the same window.
        let opened = || async {
            let text = browser.run("return document.body ? document.body.innerText : ''").await?;
            Ok(text.as_str().filter(|text| text.contains("\"unit\":\"ada\"")).map(str::to_owned))
        };
        eventually("the unit's own answer", SOON, opened).await?;
        assert_eq!(browser.run("return location.href").await?, url);
        // A unit that a request does not start.
        fixture.edit_pool(json!({"activator": {"wakeOnRequest": false}})).await?;
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
        keep_picture(&browser, "suspended.png").await?;
        browser.end().await
    })
    .await
}
