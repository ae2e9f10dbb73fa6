//! The README's first five minutes and the tutorials, command by command as they are written.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use anyhow::Context;
use e2e::{
    activator::{self, WAKES, serve_activator},
    applications::bring,
    browser::Browser,
    cluster::application_images::Application,
    documented, gateway, tool,
    units::Mode,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::with_fixture;

/// The tutorials, each with a test of its own.
const TUTORIALS: [&str; 5] = ["agent-sandbox", "code-server", "gpu-pool", "jupyterlab-class", "persistent-homes"];

/// How long a page of a real application loads on a busy machine.
const START: Duration = Duration::from_mins(3);
/// The window of a picture.
const WINDOW: &str = "--window-size=1100,720";
/// Keys in the protocol of the browser.
const ENTER: &str = "\u{e007}";
const SHIFT: &str = "\u{e008}";

async fn tutorial(name: &'static str) -> anyhow::Result<()> {
    tutorial_of(name, None, None, async |_: &Path| Ok(())).await
}

/// Runs a tutorial of a real application, and `check` before the section with the heading `before`.
async fn tutorial_of(
    name: &'static str,
    application: Option<Application>,
    before: Option<&'static str>,
    check: impl AsyncFnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    with_fixture(name, |fixture| async move {
        if !gateway::is_ours(&fixture.cluster).await? {
            println!("NOT RUN: the tutorials use the images of the local cluster");
            return Ok(());
        }
        if let Some(application) = application {
            bring(application).await?;
        }
        // As the namespace of the demo.
        let strict =
            Patch::Merge(json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}));
        let namespaces = Api::<Namespace>::all(fixture.cluster.client());
        namespaces.patch(&fixture.namespace, &PatchParams::default(), &strict).await?;
        let _operator = fixture.start().await?;
        documented::run_pausing(&fixture, &format!("docs/tutorials/{name}.md"), before, check).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn sandbox_for_an_agent() -> anyhow::Result<()> {
    tutorial(TUTORIALS[0]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn code_server_for_each_user() -> anyhow::Result<()> {
    let check = async |work: &Path| {
        let read = |name: &str| fs::read_to_string(work.join(name)).map(|text| text.trim().to_owned());
        let (address, key) = (read("address")?, read("key")?);
        let flags = [
            format!("--host-resolver-rules=MAP *.ide.example.org {address}"),
            format!("--ignore-certificate-errors-spki-list={key}"),
            WINDOW.to_owned(),
        ];
        let browser = Browser::start_with(&flags).await?;
        browser.open("https://ada.ide.example.org/").await?;
        browser.click("input.password").await?;
        browser.enter(&read("password")?).await?;
        browser.press(&[ENTER]).await?;
        browser.until("explorer", START, "return document.querySelector('.explorer-folders-view') !== null").await?;
        // The list and the content come over the WebSocket of the page.
        let file = ".explorer-folders-view [aria-label*=\".bashrc\"]";
        browser.click(file).await?;
        let open = "const line = document.querySelector('.editor-instance .view-lines');
                    return line !== null && line.innerText.includes('PS1')";
        browser.until("content of the file", START, open).await?;
        browser.keep_picture("code-server.png").await?;
        browser.end().await
    };
    tutorial_of(TUTORIALS[1], Some(Application::CodeServer), Some("## Clean up"), check).await
}

#[tokio::test(flavor = "multi_thread")]
async fn gpu_pool() -> anyhow::Result<()> {
    tutorial(TUTORIALS[2]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn jupyterlab_for_a_class() -> anyhow::Result<()> {
    let check = async |work: &Path| {
        let links = fs::read_to_string(work.join("links"))?;
        let link = links.lines().find_map(|line| line.strip_prefix("ada: ")).context("no link for ada")?;
        let browser = Browser::start_with(&[WINDOW.to_owned()]).await?;
        browser.open(link).await?;
        browser.click(".jp-LauncherCard[data-category=\"Notebook\"]").await?;
        // The indicator of the notebook is idle before the kernel is connected; the status bar is not.
        browser.until("kernel", START, "return document.body.innerText.includes('(ipykernel) | Idle')").await?;
        browser.click(".jp-Notebook .jp-Cell .cm-content").await?;
        browser.enter("print(*[n * n for n in range(1, 6)])").await?;
        browser.press(&[SHIFT, ENTER]).await?;
        let output = "const output = document.querySelector('.jp-OutputArea-output');
                      return output !== null && output.innerText.trim() === '1 4 9 16 25'";
        browser.until("output of the cell", START, output).await?;
        // The question whether to show news is not for every reader.
        browser.run("document.querySelectorAll('.Toastify').forEach(one => one.remove())").await?;
        browser.keep_picture("jupyterlab.png").await?;
        browser.end().await
    };
    tutorial_of(TUTORIALS[3], Some(Application::JupyterLab), Some("## After the lesson"), check).await
}

#[tokio::test(flavor = "multi_thread")]
async fn persistent_homes() -> anyhow::Result<()> {
    tutorial(TUTORIALS[4]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn first_five_minutes() -> anyhow::Result<()> {
    with_fixture("readme", |mut fixture| async move {
        if !serve_activator(&mut fixture).await? {
            return Ok(());
        }
        let _operator = fixture.start().await?;
        activator::create_pool(&fixture, &activator::pool(&fixture, Mode::Query, &WAKES())).await?;
        documented::run(&fixture, "README.md").await
    })
    .await
}

#[test]
fn every_tutorial_has_a_test() {
    let pages = fs::read_dir(tool::file("docs/tutorials")).unwrap();
    let names = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<_> = names.filter(|name| name != "README.md").collect();
    assert_eq!(names, TUTORIALS.map(|name| format!("{name}.md")).into());
}
