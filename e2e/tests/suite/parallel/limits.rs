//! The policies in `config/samples` change the limits of the gateway that `docs/data-path.md` names.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::{Context, ensure};
use computing_unit_api::Phase;
use e2e::{
    clusters::max_connections,
    fixture::{Fixture, SOON},
    proxies,
    texera::{Answer, curl},
    units::Mode,
    wait::eventually,
};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, PostParams},
};

use super::with_fixture;

/// Creates the policies for the Gateway of the test.
async fn create_policies(fixture: &Fixture) -> anyhow::Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/samples/gateway-policies.yaml");
    let gateway = &fixture.cluster.gateway().name;
    for text in fs::read_to_string(file)?.split("\n---\n") {
        let mut policy: DynamicObject = serde_saphyr::from_str(text)?;
        policy.metadata.namespace = Some(fixture.namespace.clone());
        policy.data["spec"]["targetRefs"][0]["name"] = serde_json::json!(gateway);
        let kind = policy.types.clone().context("a kind")?.kind;
        let kind = GroupVersionKind::gvk("gateway.envoyproxy.io", "v1alpha1", &kind);
        let mut resource = ApiResource::from_gvk(&kind);
        resource.plural = format!("{}policies", kind.kind.to_lowercase().trim_end_matches("policy"));
        let api: Api<DynamicObject> = Api::namespaced_with(fixture.cluster.client(), &fixture.namespace, &resource);
        api.create(&PostParams::default(), &policy).await.with_context(|| policy.name_any())?;
    }
    Ok(())
}

async fn ask(fixture: &Fixture, proxy: SocketAddr, rest: &str, bytes: usize) -> anyhow::Result<Answer> {
    let header = format!("X-Long: {}", "x".repeat(bytes));
    curl(proxy, &format!("http://localhost/{}/ada/{rest}", fixture.namespace), &["--header", &header]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_of_the_sample_raise_the_limits() -> anyhow::Result<()> {
    with_fixture("limits", |mut fixture| async move {
        if !proxies::own(&mut fixture).await? {
            return Ok(());
        }
        fixture.create_default_pool(Mode::Path).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        fixture.until("ada", Phase::Ready).await?;
        let proxy = fixture.cluster.proxies().await?[0];
        let slash = "files/a%2Fb";
        let before = ask(&fixture, proxy, slash, 1).await?;
        ensure!(before.status == 307 && before.headers.contains("files/a/b"), "{before:?}");
        let connections = async || max_connections(&fixture.cluster, &fixture.namespace, "ada").await;
        assert_eq!(connections().await?, [None], "1024");
        ensure!(ask(&fixture, proxy, "", 50 << 10).await?.status == 200);
        ensure!(ask(&fixture, proxy, "", 61 << 10).await?.status == 431);

        create_policies(&fixture).await?;
        let kept = || async {
            let answer = ask(&fixture, proxy, slash, 1).await?;
            Ok((answer.status == 200).then_some(answer))
        };
        let echoed = eventually("the path as it is", SOON, kept).await?.echoed()?;
        assert_eq!(echoed["path"], "/files/a%2Fb");
        eventually("the limit", SOON, || async { Ok((connections().await? == [Some(8192)]).then_some(())) }).await?;
        fixture.delete("ada").await
    })
    .await
}
