//! A child that is deleted or edited by hand is restored. An object of another owner is not touched.

use anyhow::Context;
use computing_unit_api::{ComputingUnitStatus, ConditionType, Conditions, Phase, gateway::HTTPRoute};
use e2e::{
    fixture::{Fixture, SOON},
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

use super::with_fixture;

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

async fn one_ready(fixture: &Fixture) -> anyhow::Result<()> {
    fixture.create_default_pool(Mode::Query).await?;
    fixture.create(&fixture.unit("ada")).await?;
    fixture.until("ada", Phase::Ready).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn edited_children_are_restored() -> anyhow::Result<()> {
    with_fixture("edited", |fixture| async move {
        let _operator = fixture.start().await?;
        one_ready(&fixture).await?;
        let labelled = |labels: Option<&String>| labels.is_some_and(|unit| unit == "ada");
        let unit = "texera.apache.org/unit";
        let pod = fixture.pods().get("ada").await?.uid();

        let hosts = json!({"spec": {"hostnames": ["elsewhere.example.org"]}});
        edited(fixture.routes(), "no host name", &hosts, |route: &HTTPRoute| route.spec.hostnames.is_none()).await?;
        // A rule without matches would take the requests of other tests.
        let matches = json!([{"path": {"type": "PathPrefix", "value": format!("/{}/edited", fixture.namespace)}}]);
        let rules = json!({"spec": {"rules": [{"matches": matches, "backendRefs": [{"name": "bob", "port": 8085}]}]}});
        edited(fixture.routes(), "its own backend", &rules, |route: &HTTPRoute| backend(route) == Some("ada")).await?;
        let stripped = json!({"metadata": {"labels": {unit: null}}});
        edited(fixture.routes(), "a label", &stripped, |route: &HTTPRoute| labelled(route.labels().get(unit))).await?;
        let selector = json!({"spec": {"selector": {unit: "bob"}}});
        let selects = |service: &Service| labelled(service.spec.as_ref().unwrap().selector.as_ref().unwrap().get(unit));
        edited(fixture.services(), "a selector", &selector, selects).await?;
        let more = json!({"spec": {"selector": {"more": "than-asked-for"}}});
        let alone = |service: &Service| service.spec.as_ref().unwrap().selector.as_ref().unwrap().len() == 1;
        edited(fixture.services(), "no other selector", &more, alone).await?;
        edited(fixture.pods(), "a pod's label", &stripped, |pod: &Pod| labelled(pod.labels().get(unit))).await?;
        let moved = json!({"metadata": {"labels": {unit: "bob"}}});
        edited(fixture.pods(), "a pod's own label", &moved, |pod: &Pod| labelled(pod.labels().get(unit))).await?;

        fixture.until("ada", Phase::Ready).await?;
        assert_eq!(fixture.pods().get("ada").await?.uid(), pod, "the pod was not replaced by any of it");
        fixture.delete("ada").await
    })
    .await
}

/// Labels by which the operator watches its children.
const SELECTOR: [&str; 2] = ["app.kubernetes.io/managed-by", "app.kubernetes.io/name"];

/// Removes each label of the selector from a child, and waits until it is restored.
async fn unlabelled<K>(api: Api<K>, kind: &str) -> anyhow::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned + Send + 'static,
{
    for label in SELECTOR {
        let patch = json!({"metadata": {"labels": {label: null}}});
        edited(api.clone(), &format!("{label} of the {kind}"), &patch, |child: &K| child.labels().contains_key(label))
            .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn children_without_the_labels_of_the_selector_are_restored() -> anyhow::Result<()> {
    with_fixture("unlabelled", |fixture| async move {
        let _operator = fixture.start().await?;
        one_ready(&fixture).await?;
        let before = fixture.units().get("ada").await?.status.context("a status")?;
        let pod = fixture.pods().get("ada").await?.uid();
        unlabelled(fixture.routes(), "route").await?;
        unlabelled(fixture.services(), "Service").await?;
        unlabelled(fixture.pods(), "pod").await?;
        let after = fixture.until("ada", Phase::Ready).await?.status.context("a status")?;
        let ready = |status: &ComputingUnitStatus| status.conditions.find(ConditionType::Ready).cloned();
        assert_eq!(ready(&after), ready(&before), "it stayed Ready");
        assert_eq!((after.last_failure, fixture.pods().get("ada").await?.uid()), (None, pod), "its pod was not lost");
        fixture.delete("ada").await?;
        fixture.until_nothing_is_left("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn children_that_lost_their_labels_while_no_operator_ran_are_withdrawn_and_stopped() -> anyhow::Result<()> {
    with_fixture("unlabelled-suspend", |fixture| async move {
        let operator = fixture.start().await?;
        one_ready(&fixture).await?;
        operator.kill().await?;
        let patch = Patch::Merge(json!({"metadata": {"labels": {SELECTOR[0]: null}}}));
        fixture.routes().patch("ada", &PatchParams::default(), &patch).await?;
        fixture.pods().patch("ada", &PatchParams::default(), &patch).await?;
        fixture.set_mode("ada", "Suspended").await?;
        let _operator = fixture.start().await?;
        fixture.until("ada", Phase::Suspended).await?;
        assert!(fixture.routes().get_opt("ada").await?.is_none(), "the route is withdrawn");
        assert!(fixture.pods().get_opt("ada").await?.is_none(), "the pod is stopped");
        fixture.delete("ada").await
    })
    .await
}

async fn deleted<K>(fixture: &Fixture, api: Api<K>) -> anyhow::Result<()>
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
    until("readiness", SOON, fixture.units(), "ada", proven).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_children_are_recreated() -> anyhow::Result<()> {
    with_fixture("deleted", |fixture| async move {
        let _operator = fixture.start().await?;
        one_ready(&fixture).await?;
        deleted(&fixture, fixture.routes()).await?;
        deleted(&fixture, fixture.services()).await?;
        deleted(&fixture, fixture.pods()).await?;
        fixture.delete("ada").await?;
        fixture.until_nothing_is_left("ada").await
    })
    .await
}

/// A foreign object with the name of a unit.
async fn foreign<K>(fixture: &Fixture, api: Api<K>, kind: &str, object: Value) -> anyhow::Result<()>
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
    object["metadata"] = json!({"name": name, "namespace": fixture.namespace});
    let theirs: K = api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    fixture.create(&fixture.unit(&name)).await?;
    let message = fixture.until_condition(&name, "Accepted", "False", "ChildNotOwned").await?;
    assert!(message.contains(kind) && message.contains("delete it"), "{message}");
    let now = api.get(&name).await?;
    assert_eq!(
        (theirs.uid(), theirs.labels(), theirs.owner_references()),
        (now.uid(), now.labels(), now.owner_references()),
        "it is left alone"
    );
    // Once it is out of the way the unit goes on by itself.
    api.delete(&name, &DeleteParams::default().grace_period(0)).await?;
    fixture.until(&name, Phase::Ready).await?;
    fixture.delete(&name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_objects_are_not_touched() -> anyhow::Result<()> {
    with_fixture("foreign", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        let service = json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]}});
        foreign(&fixture, fixture.services(), "Service", service).await?;
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "x", "image": e2e::units::ENGINE}]}});
        foreign(&fixture, fixture.pods(), "Pod", pod).await?;
        let route = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "spec": {"hostnames": ["mine.example.org"]}});
        foreign(&fixture, fixture.routes(), "HTTPRoute", route).await
    })
    .await
}
