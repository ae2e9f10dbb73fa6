//! The README's first five minutes and the tutorials, command by command as they are written.

use std::{collections::BTreeSet, fs};

use e2e::{
    activator::{self, WAKES, serve_activator},
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

async fn tutorial(name: &'static str) -> anyhow::Result<()> {
    with_fixture(name, |fixture| async move {
        if !gateway::is_ours(&fixture.cluster).await? {
            println!("NOT RUN: the tutorials use the images of the local cluster");
            return Ok(());
        }
        // As the namespace of the demo.
        let strict =
            Patch::Merge(json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}));
        let namespaces = Api::<Namespace>::all(fixture.cluster.client());
        namespaces.patch(&fixture.namespace, &PatchParams::default(), &strict).await?;
        let _operator = fixture.start().await?;
        documented::run(&fixture, &format!("docs/tutorials/{name}.md")).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn sandbox_for_an_agent() -> anyhow::Result<()> {
    tutorial(TUTORIALS[0]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn code_server_for_each_user() -> anyhow::Result<()> {
    tutorial(TUTORIALS[1]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn gpu_pool() -> anyhow::Result<()> {
    tutorial(TUTORIALS[2]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn jupyterlab_for_a_class() -> anyhow::Result<()> {
    tutorial(TUTORIALS[3]).await
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
