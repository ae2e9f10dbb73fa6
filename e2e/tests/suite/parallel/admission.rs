//! Mutating admission changes what the operator writes. The operator does not fight it, and reports what matters.

use std::time::Duration;

use anyhow::Context;
use computing_unit_api::{ConditionType, Conditions, Phase};
use e2e::{
    fixture::{Fixture, SOON},
    units::ENGINE,
    wait::eventually,
};
use futures::FutureExt;
use k8s_openapi::api::core::v1::LimitRange;
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::with_fixture;

/// For how long the operator has to write nothing.
const QUIET: Duration = Duration::from_mins(1);

/// Without calls for that long, the start is over.
const SETTLED: Duration = Duration::from_secs(3);

/// A policy for one kind of object.
pub(super) struct Policy {
    group: &'static str,
    version: &'static str,
    resources: &'static [&'static str],
    operations: &'static [&'static str],
    /// CEL that gives a list of JSON patch operations.
    patch: String,
}

impl Policy {
    pub(super) fn of_pods(operations: &'static [&'static str], patch: String) -> Self {
        Self { group: "", version: "v1", resources: &["pods"], operations, patch }
    }
}

fn api(fixture: &Fixture, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
    let mut resource = ApiResource::from_gvk(&kind);
    resource.plural = resource.plural.replace("policys", "policies");
    Api::all_with(fixture.cluster.client(), &resource)
}

const KINDS: [&str; 2] = ["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"];

/// What the API server would store of an object that every policy changes.
async fn stored(fixture: &Fixture, policy: &Policy) -> anyhow::Result<Value> {
    let resource = policy.resources[0];
    let (kind, spec) = match resource {
        "pods" => {
            ("Pod", json!({"containers": [{"name": "a", "image": ENGINE, "resources": {"requests": {"cpu": "1m"}}}]}))
        }
        "services" => ("Service", json!({"ports": [{"port": 80}]})),
        _ => {
            ("HTTPRoute", json!({"rules": [{"filters": [{"type": "URLRewrite", "urlRewrite": {"hostname": "a.b"}}]}]}))
        }
    };
    let kind = GroupVersionKind::gvk(policy.group, policy.version, kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, resource);
    let api: Api<DynamicObject> = Api::namespaced_with(fixture.cluster.client(), &fixture.namespace, &resource);
    let mut object = DynamicObject::new("probe", &resource).data(json!({"spec": spec}));
    object.metadata.labels = Some(std::iter::once(("a".to_owned(), "b".to_owned())).collect());
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let stored = api.create(&params, &object).await?;
    // The names of volumes that the API server adds are random.
    let containers = stored.data["spec"]["containers"].as_array().cloned().unwrap_or_default();
    let containers: Vec<_> = containers.iter().map(|each| json!([each["name"], each["resources"]])).collect();
    Ok(json!([stored.metadata.labels, containers, stored.data["spec"]["rules"]]))
}

/// Creates a policy, and waits until it is in effect.
pub(super) async fn create(fixture: &Fixture, policy: &Policy) -> anyhow::Result<()> {
    let before = stored(fixture, policy).await?;
    let name = &fixture.namespace;
    let rule = json!({
        "apiGroups": [policy.group], "apiVersions": [policy.version], "operations": policy.operations,
        "resources": policy.resources,
    });
    let specs = [
        json!({
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
                "resourceRules": [rule],
            },
            "failurePolicy": "Fail",
            "reinvocationPolicy": "IfNeeded",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": policy.patch}}],
        }),
        json!({"policyName": name}),
    ];
    for (kind, spec) in KINDS.into_iter().zip(specs) {
        let object = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec,
        });
        api(fixture, kind).create(&PostParams::default(), &serde_json::from_value(object)?).await.context(kind)?;
    }
    eventually("the policy", SOON, || async { Ok((stored(fixture, policy).await? != before).then_some(())) }).await
}

pub(super) async fn remove(fixture: &Fixture) -> anyhow::Result<()> {
    for kind in KINDS {
        if api(fixture, kind).get_opt(&fixture.namespace).await?.is_some() {
            api(fixture, kind).delete(&fixture.namespace, &DeleteParams::default()).await?;
        }
    }
    Ok(())
}

/// Starts a unit under a policy, and expects no write in a minute with several reconciles. `overridden` is part of the
/// message of the condition, if any.
async fn settles(fixture: &Fixture, overridden: Option<&str>) -> anyhow::Result<()> {
    let spec = json!({"resources": {"limits": {"cpu": "200m", "memory": "64Mi"}, "requests": {"cpu": "100m"}}});
    // Without filters of the request, so that a policy can add one.
    fixture.create_pool_with(&json!({"routing": {"isolation": "None"}})).await?;
    let mut operator = fixture.operator.clone().args(["--resync-period=10s"]).start()?;
    operator.ready(SOON).await?;
    fixture.create(&e2e::units::with(&fixture.unit("ada"), &json!({"spec": spec}))).await?;
    fixture.until("ada", Phase::Ready).await?;
    let before = fixture.proxy.quiet(SETTLED, SOON).await?;
    // Events of the children reconcile the unit.
    let noise = Patch::Merge(json!({"metadata": {"annotations": {"by": "hand"}}}));
    fixture.pods().patch("ada", &PatchParams::default(), &noise).await?;
    fixture.services().patch("ada", &PatchParams::default(), &noise).await?;
    fixture.routes().patch("ada", &PatchParams::default(), &noise).await?;
    fixture.proxy.quiet(QUIET, SOON * 3).await?;
    // The pool counts its units up to 10 s later.
    let writes = fixture.proxy.counts().since(&before).only(|call| call.resource != "computingunitpools").writes();
    assert_eq!(writes, 0, "{}", fixture.proxy.describe(&before));
    let unit = fixture.until("ada", Phase::Ready).await?;
    let condition = unit.status.as_ref().and_then(|status| status.conditions.find(ConditionType::Overridden));
    let message = condition.map(|condition| condition.message.as_str());
    match overridden {
        Some(words) => assert!(message.is_some_and(|message| message.contains(words)), "{message:?}"),
        None => assert_eq!(message, None),
    }
    fixture.set_mode("ada", "Suspended").await?;
    fixture.until("ada", Phase::Suspended).await?;
    fixture.delete("ada").await?;
    fixture.until_nothing_is_left("ada").await
}

async fn settles_under(name: &'static str, policy: Policy, overridden: Option<&'static str>) -> anyhow::Result<()> {
    with_fixture(name, |fixture| async move {
        create(&fixture, &policy).await?;
        let result = std::panic::AssertUnwindSafe(settles(&fixture, overridden)).catch_unwind().await;
        remove(&fixture).await?;
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn sidecar_comes_first() -> anyhow::Result<()> {
    let sidecar = format!(
        "object.spec.containers.exists(c, c.name == 'mesh') ? [] : [JSONPatch{{op: 'add', path: '/spec/containers/0', value: Object.spec.containers{{name: 'mesh', \
         image: '{ENGINE}', env: [Object.spec.containers.env{{name: 'PORT', value: '9999'}}]}}}}]"
    );
    settles_under("map-sidecar", Policy::of_pods(&["CREATE"], sidecar), None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_were_lowered_at_creation_stay() -> anyhow::Result<()> {
    let lowered = "[JSONPatch{op: 'replace', path: '/spec/containers/0/resources/requests/cpu', value: '20m'}]";
    let policy = Policy::of_pods(&["CREATE"], lowered.to_owned());
    settles_under("map-requests", policy, Some("requests.cpu is 20m instead of 100m")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_added_and_changed() -> anyhow::Result<()> {
    let labels = "[JSONPatch{op: 'add', path: '/metadata/labels/team', value: 'a'}, \
                  JSONPatch{op: 'add', path: '/metadata/labels/type', value: 'other'}]";
    let policy = Policy {
        group: "",
        version: "v1",
        resources: &["pods", "services"],
        operations: &["CREATE", "UPDATE"],
        patch: labels.to_owned(),
    };
    settles_under("map-labels", policy, Some("the Service")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn filter_is_added_to_routes() -> anyhow::Result<()> {
    let filter = "object.spec.rules[0].filters.exists(f, has(f.requestHeaderModifier)) ? [] : [JSONPatch{op: 'add', \
                  path: '/spec/rules/0/filters/-', value: Object.spec.rules.filters{type: 'RequestHeaderModifier', \
                  requestHeaderModifier: Object.spec.rules.filters.requestHeaderModifier{remove: ['x-team']}}}]";
    let policy = Policy {
        group: "gateway.networking.k8s.io",
        version: "v1",
        resources: &["httproutes"],
        operations: &["CREATE", "UPDATE"],
        patch: filter.to_owned(),
    };
    settles_under("map-filter", policy, Some("the HTTPRoute")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn limit_range_has_defaults() -> anyhow::Result<()> {
    with_fixture("map-limits", |fixture| async move {
        let ranges: Api<LimitRange> = Api::namespaced(fixture.cluster.client(), &fixture.namespace);
        let range = json!({"metadata": {"name": "defaults"}, "spec": {"limits": [{
            "type": "Container", "default": {"cpu": "300m", "ephemeral-storage": "1Gi"},
            "defaultRequest": {"cpu": "10m", "ephemeral-storage": "10Mi"},
        }]}});
        ranges.create(&PostParams::default(), &serde_json::from_value(range)?).await?;
        settles(&fixture, None).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("bob")).await?;
        fixture.until("bob", Phase::Ready).await?;
        let resources = json!(fixture.pods().get("bob").await?.spec.context("a spec")?.containers[0].resources);
        assert_eq!(resources["limits"]["cpu"], "300m");
        fixture.delete("bob").await
    })
    .await
}
