//! A child that is deleted or edited by hand is put back; one that belongs to somebody else is left alone.

#![allow(clippy::unwrap_used, missing_docs)]

use computing_unit_api::Phase;
use e2e::{
    stage::{SOON, Stage, play},
    units::Mode,
    wait::until,
};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use computing_unit_api::gateway::HTTPRoute;

async fn edited<K>(api: Api<K>, what: &str, patch: &Value, restored: impl Fn(&K) -> bool) -> anyhow::Result<()>
where
    K: Resource + Clone + std::fmt::Debug + Serialize + DeserializeOwned + Send + 'static,
{
    assert!(restored(&api.get("ada").await?), "{what}: it is right before");
    let broken = api.patch("ada", &PatchParams::default(), &Patch::Merge(patch)).await?;
    assert!(!restored(&broken), "{what}: the edit shows");
    until(what, SOON, api, "ada", |object| object.is_some_and(&restored)).await?;
    Ok(())
}

fn backend(route: &HTTPRoute) -> Option<&str> {
    let rule = route.spec.rules.as_ref()?.first()?;
    Some(rule.backend_refs.as_ref()?.first()?.name.as_str())
}

async fn one_ready(stage: &Stage) -> anyhow::Result<()> {
    stage.make_pool(Mode::Query).await?;
    stage.make(&stage.unit("ada")).await?;
    stage.until("ada", Phase::Ready).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_edited_is_put_back() -> anyhow::Result<()> {
    play("edited", |stage| async move {
        let _operator = stage.start().await?;
        one_ready(&stage).await?;
        let labelled = |labels: Option<&String>| labels.is_some_and(|unit| unit == "ada");
        let unit = "texera.apache.org/unit";
        let pod = stage.pods().get("ada").await?.uid();

        let hosts = json!({"spec": {"hostnames": ["elsewhere.example.org"]}});
        edited(stage.routes(), "no host name", &hosts, |route: &HTTPRoute| route.spec.hostnames.is_none()).await?;
        let rules = json!({"spec": {"rules": [{"backendRefs": [{"name": "bob", "port": 8085}]}]}});
        edited(stage.routes(), "its own backend", &rules, |route: &HTTPRoute| backend(route) == Some("ada")).await?;
        let stripped = json!({"metadata": {"labels": {unit: null}}});
        edited(stage.routes(), "a label", &stripped, |route: &HTTPRoute| labelled(route.labels().get(unit))).await?;
        let selector = json!({"spec": {"selector": {unit: "bob"}}});
        let selects = |service: &Service| labelled(service.spec.as_ref().unwrap().selector.as_ref().unwrap().get(unit));
        edited(stage.services(), "a selector", &selector, selects).await?;
        let more = json!({"spec": {"selector": {"more": "than-asked-for"}}});
        let alone = |service: &Service| service.spec.as_ref().unwrap().selector.as_ref().unwrap().len() == 1;
        edited(stage.services(), "no other selector", &more, alone).await?;
        edited(stage.pods(), "a pod's label", &stripped, |pod: &Pod| labelled(pod.labels().get(unit))).await?;
        let moved = json!({"metadata": {"labels": {unit: "bob"}}});
        edited(stage.pods(), "a pod's own label", &moved, |pod: &Pod| labelled(pod.labels().get(unit))).await?;

        stage.until("ada", Phase::Ready).await?;
        assert_eq!(stage.pods().get("ada").await?.uid(), pod, "the pod was not replaced by any of it");
        stage.delete("ada").await
    })
    .await
}

async fn deleted<K>(stage: &Stage, api: Api<K>) -> anyhow::Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let before = api.get("ada").await?.uid();
    api.delete("ada", &DeleteParams::default()).await?;
    until("successor", SOON, api, "ada", |object| object.is_some_and(|object| object.uid() != before)).await?;
    let proven = |unit: Option<&computing_unit_api::ComputingUnit>| {
        unit.and_then(|unit| unit.status.as_ref()).is_some_and(|status| status.phase == Some(Phase::Ready))
    };
    until("readiness", SOON, stage.units(), "ada", proven).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_is_made_again() -> anyhow::Result<()> {
    play("deleted", |stage| async move {
        let _operator = stage.start().await?;
        one_ready(&stage).await?;
        deleted(&stage, stage.routes()).await?;
        deleted(&stage, stage.services()).await?;
        deleted(&stage, stage.pods()).await?;
        stage.delete("ada").await?;
        stage.until_nothing_is_left("ada").await
    })
    .await
}

/// Somebody else's object of a unit's name.
async fn foreign<K>(stage: &Stage, api: Api<K>, kind: &str, object: Value) -> anyhow::Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned
        + Send
        + PartialEq
        + 'static,
{
    let name = format!("taken-{}", kind.to_lowercase());
    let mut object = object;
    object["metadata"] = json!({"name": name, "namespace": stage.namespace});
    let theirs: K = api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    stage.make(&stage.unit(&name)).await?;
    let message = stage.until_says(&name, "Accepted", "False", "ChildNotOwned").await?;
    assert!(message.contains(kind) && message.contains("delete it"), "{message}");
    let now = api.get(&name).await?;
    assert_eq!(
        (theirs.uid(), theirs.labels(), theirs.owner_references()),
        (now.uid(), now.labels(), now.owner_references()),
        "it is left alone"
    );
    // Once it is out of the way the unit goes on by itself.
    api.delete(&name, &DeleteParams::default().grace_period(0)).await?;
    stage.until(&name, Phase::Ready).await?;
    stage.delete(&name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_somebody_elses_is_left_alone() -> anyhow::Result<()> {
    play("foreign", |stage| async move {
        stage.make_pool(Mode::Query).await?;
        let _operator = stage.start().await?;
        let service = json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]}});
        foreign(&stage, stage.services(), "Service", service).await?;
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "x", "image": e2e::units::ENGINE}]}});
        foreign(&stage, stage.pods(), "Pod", pod).await?;
        let route = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "spec": {"hostnames": ["mine.example.org"]}});
        foreign(&stage, stage.routes(), "HTTPRoute", route).await
    })
    .await
}
