//! A headless browser that is controlled by the WebDriver protocol. It is installed at first use.

use std::{
    process::Stdio,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use anyhow::{Context, ensure};
use k8s_openapi::ByteString;
use reqwest::{Client, Method};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::{cluster::packages, tool, wait::eventually};

/// The deadline for the start of the browser.
const UP: Duration = Duration::from_secs(90);
/// The deadline for an element of a page, which a real application draws with large scripts.
const DRAWN: Duration = Duration::from_mins(3);
/// Flags that disable background requests and persistent state.
const FLAGS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // A page without an address may send requests to private addresses.
    "--disable-features=LocalNetworkAccessChecks",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--window-size=760,640",
];

/// A browser with one window. It is closed on drop.
pub struct Browser {
    _driver: Driver,
    client: Client,
    session: String,
}

/// The driver and the browser that it starts. The browser would outlive a driver that is killed, so the process group of
/// both is killed on drop.
struct Driver(Child);

impl Driver {
    fn start(port: u16) -> anyhow::Result<Self> {
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        Ok(Self(command.spawn().context("start chromedriver")?))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(group) = self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Browser {
    /// Starts a browser with a new profile.
    ///
    /// # Errors
    /// If it cannot be installed or started.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts a browser that gives `origin` the features that other browsers only give to HTTPS, such as service workers.
    ///
    /// # Errors
    /// If it cannot be installed or started.
    pub async fn start_trusting(origin: &str) -> anyhow::Result<Self> {
        Self::start_with(&[format!("--unsafely-treat-insecure-origin-as-secure={origin}")]).await
    }

    /// Starts a browser with more flags. Of a flag that is given twice, the last one counts.
    ///
    /// # Errors
    /// If it cannot be installed or started.
    pub async fn start_with(more: &[String]) -> anyhow::Result<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        tokio::task::spawn_blocking(packages::browser).await??;
        let first = u16::try_from(std::process::id() % 1000).unwrap_or(0);
        let port = 31_000 + first + NEXT.fetch_add(1, Ordering::Relaxed);
        let driver = Driver::start(port)?;
        let flags: Vec<_> = FLAGS.iter().map(|flag| (*flag).to_owned()).chain(more.iter().cloned()).collect();
        let client = Client::builder().no_proxy().build()?;
        let server = format!("http://127.0.0.1:{port}");
        let options = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": flags}}}});
        let session = || async {
            let Ok(answer) = call(&client, Method::POST, &format!("{server}/session"), Some(&options)).await else {
                return Ok(None);
            };
            Ok(answer["sessionId"].as_str().map(|id| format!("{server}/session/{id}")))
        };
        let session = eventually("browser", UP, session).await?;
        Ok(Self { _driver: driver, client, session })
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        call(&self.client, Method::POST, &format!("{}/{path}", self.session), Some(body)).await
    }

    /// Opens a URL.
    ///
    /// # Errors
    /// If the browser reports an error.
    pub async fn open(&self, url: &str) -> anyhow::Result<()> {
        self.post("url", &json!({"url": url})).await.map(drop)
    }

    /// Runs a script in the page. Returns its result, or that of the promise that it returns.
    ///
    /// # Errors
    /// If it fails.
    pub async fn run(&self, script: &str) -> anyhow::Result<Value> {
        self.post("execute/sync", &json!({"script": script, "args": []})).await
    }

    /// Presses keys together, and releases them.
    ///
    /// # Errors
    /// If the browser reports an error.
    pub async fn press(&self, keys: &[&str]) -> anyhow::Result<()> {
        let act = |act: &'static str| move |key: &&str| json!({"type": act, "value": key});
        let keys: Vec<_> = keys.iter().map(act("keyDown")).chain(keys.iter().rev().map(act("keyUp"))).collect();
        self.post("actions", &json!({"actions": [{"type": "key", "id": "keys", "actions": keys}]})).await.map(drop)
    }

    /// Types a text where the cursor is.
    ///
    /// # Errors
    /// If the browser reports an error.
    pub async fn enter(&self, text: &str) -> anyhow::Result<()> {
        for key in text.chars() {
            self.press(&[&key.to_string()]).await?;
        }
        Ok(())
    }

    /// Waits until a script returns something other than `null` or `false`.
    ///
    /// # Errors
    /// If it does not within `deadline`. The error contains the text of the page.
    pub async fn until(&self, what: &str, deadline: Duration, script: &str) -> anyhow::Result<Value> {
        let found = || async {
            let value = self.run(script).await?;
            Ok((!value.is_null() && value != json!(false)).then_some(value))
        };
        match eventually(what, deadline, found).await {
            Ok(value) => Ok(value),
            Err(error) => {
                let text = self.run("return document.body ? document.body.innerText : ''").await.unwrap_or_default();
                Err(error.context(format!("the page: {text}")))
            }
        }
    }

    /// Clicks on an element, once it exists and nothing covers it.
    ///
    /// # Errors
    /// If it does not exist in time, or cannot be clicked.
    pub async fn click(&self, selector: &str) -> anyhow::Result<()> {
        self.until(selector, DRAWN, &format!("return document.querySelector('{selector}') !== null")).await?;
        let click = || async {
            let id = self.element(selector).await?;
            self.post(&format!("element/{id}/click"), &json!({})).await.map(drop)
        };
        // A page that is still being drawn replaces the element, or does not show it yet.
        match eventually("click", DRAWN, || async { Ok(click().await.ok()) }).await {
            Ok(()) => Ok(()),
            Err(_) => click().await,
        }
    }

    async fn element(&self, selector: &str) -> anyhow::Result<String> {
        let found = self.post("element", &json!({"using": "css selector", "value": selector})).await?;
        let id = found.as_object().and_then(|one| one.values().next()).and_then(Value::as_str).context("no element")?;
        Ok(id.to_owned())
    }

    /// The ARIA role of an element.
    ///
    /// # Errors
    /// If there is no such element.
    pub async fn role(&self, selector: &str) -> anyhow::Result<String> {
        let id = self.element(selector).await?;
        let role =
            call(&self.client, Method::GET, &format!("{}/element/{id}/computedrole", self.session), None).await?;
        Ok(role.as_str().unwrap_or_default().to_owned())
    }

    /// Saves a screenshot of the window in the folder of the variable `PICTURES`. `make pictures` writes those of the
    /// documentation.
    ///
    /// # Errors
    /// If the browser returns none, or it cannot be written.
    pub async fn keep_picture(&self, name: &str) -> anyhow::Result<()> {
        let picture = call(&self.client, Method::GET, &format!("{}/screenshot", self.session), None).await?;
        let encoded = serde_json::from_value::<ByteString>(picture)?;
        let folder =
            std::env::var("PICTURES").map_or_else(|_| std::env::temp_dir(), |folder| tool::file(&folder).into());
        let path = folder.join(name);
        std::fs::write(&path, encoded.0)?;
        println!("a picture of the page is in {}", path.display());
        Ok(())
    }

    /// Closes the browser.
    ///
    /// # Errors
    /// If the driver does not answer.
    pub async fn end(self) -> anyhow::Result<()> {
        call(&self.client, Method::DELETE, &self.session, None).await.map(drop)
    }
}

async fn call(client: &Client, method: Method, url: &str, body: Option<&Value>) -> anyhow::Result<Value> {
    let request = client.request(method, url);
    let request = match body {
        Some(body) => request.header("content-type", "application/json").body(body.to_string()),
        None => request,
    };
    let answer = request.send().await?;
    let status = answer.status();
    let said: Value = serde_json::from_slice(&answer.bytes().await?)?;
    ensure!(status.is_success(), "{url}: {}", said["value"]["message"]);
    Ok(said["value"].clone())
}
