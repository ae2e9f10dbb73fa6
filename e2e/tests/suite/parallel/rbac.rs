//! The operator uses every permission that it is granted, and no other.

use std::collections::BTreeSet;

use computing_unit_api::{Phase, rbac};
use e2e::{
    faults::{Operator, Verb},
    fixture::{Fixture, SOON},
    units::{self, Mode},
    wait::{eventually, until},
};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::with_fixture;

/// Group, resource and verb.
type Right = (String, String, String);

fn granted() -> BTreeSet<Right> {
    rbac::USED
        .iter()
        .flat_map(|access| {
            access.verbs.iter().map(|verb| (access.group.to_owned(), access.resource.to_owned(), (*verb).to_owned()))
        })
        // Admission asks for these when an owner reference is written; they are no calls.
        .filter(|(_, resource, verb)| {
            resource != "computingunits/finalizers" && (resource != "persistentvolumeclaims" || verb != "delete")
        })
        .collect()
}

fn used(fixture: &Fixture) -> BTreeSet<Right> {
    let right = |call: &e2e::faults::Call| {
        let verb = match call.verb {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
        };
        let slash = if call.subresource.is_empty() { "" } else { "/" };
        (call.group.clone(), format!("{}{slash}{}", call.resource, call.subresource), verb.to_owned())
    };
    fixture.proxy.counts().iter().filter(|(call, _)| !call.resource.is_empty()).map(|(call, _)| right(call)).collect()
}

fn volume() -> Value {
    json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}})
}

/// Creates foreign objects with the names of children, which the operator has to read, and deletes them again.
async fn in_the_way(fixture: &Fixture) -> anyhow::Result<()> {
    let metadata = json!({"name": "ada"});
    let pod = json!({"metadata": metadata, "spec": {"containers": [{"name": "x", "image": units::ENGINE}]}});
    let service = json!({"metadata": metadata, "spec": {"ports": [{"port": 80}]}});
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": metadata, "spec": {"hostnames": ["mine.example.org"]},
    });
    let params = PostParams::default();
    fixture.pods().create(&params, &serde_json::from_value(pod)?).await?;
    fixture.services().create(&params, &serde_json::from_value::<Service>(service)?).await?;
    fixture.routes().create(&params, &serde_json::from_value(route)?).await?;
    let claim = json!({"metadata": {"name": "data-ada"}, "spec": volume()});
    fixture.claims().create(&params, &serde_json::from_value(claim)?).await?;
    fixture.create(&fixture.unit("ada")).await?;
    fixture.until_condition("ada", "Accepted", "False", "ChildNotOwned").await?;
    let now = DeleteParams::default().grace_period(0);
    // The pod is not tried before its claim is there.
    fixture.claims().delete("data-ada", &now).await?;
    let asked = || async {
        let gets = fixture.proxy.counts().only(|call| call.resource == "pods" && call.verb == Verb::Get);
        Ok((gets.total() > 0).then_some(()))
    };
    eventually("read of the pod", SOON, asked).await?;
    fixture.pods().delete("ada", &now).await?;
    fixture.services().delete("ada", &now).await?;
    // The node cannot mount the Secret of the pod, and only the Events of the pod say so.
    fixture.until_condition("ada", "PodReady", "False", "VolumeMountFailed").await?;
    fixture.create_secret("later").await?;
    fixture.until_condition("ada", "Accepted", "False", "ChildNotOwned").await?;
    let asked = || async {
        let gets = fixture.proxy.counts().only(|call| call.resource == "httproutes" && call.verb == Verb::Get);
        Ok((gets.total() > 0).then_some(()))
    };
    eventually("read of the route", SOON, asked).await?;
    fixture.routes().delete("ada", &now).await?;
    fixture.until("ada", Phase::Ready).await.map(drop)
}

/// Makes the operator restore each child once, and repeat one event.
async fn repaired(fixture: &Fixture) -> anyhow::Result<()> {
    let unlabel = Patch::Merge(json!({"metadata": {"labels": {"texera.apache.org/unit": null}}}));
    let params = PatchParams::default();
    fixture.pods().patch("ada", &params, &unlabel).await?;
    fixture.claims().patch("data-ada", &params, &unlabel).await?;
    let unselect = Patch::Merge(json!({"spec": {"selector": {"other": "yes"}}}));
    fixture.services().patch("ada", &params, &unselect).await?;
    for _ in 0..2 {
        let pod = fixture.pods().get("ada").await?;
        fixture.pods().delete("ada", &DeleteParams::default().grace_period(0)).await?;
        let new = |found: Option<&Pod>| found.is_some_and(|found| found.uid() != pod.uid());
        until("new pod", SOON, fixture.pods(), "ada", new).await?;
        fixture.until("ada", Phase::Ready).await?;
    }
    Ok(())
}

fn resized(pod: &Pod) -> bool {
    let resources = pod.spec.as_ref().and_then(|spec| spec.containers[0].resources.as_ref());
    resources.and_then(|all| all.requests.as_ref()?.get("cpu")).is_some_and(|cpu| cpu.0 == "7m")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_granted_permission_is_used_and_no_other() -> anyhow::Result<()> {
    with_fixture("rights", |fixture| async move {
        let log = std::env::temp_dir().join(format!("{}.log", fixture.namespace));
        let mut operator = Operator::new(fixture.proxy.kubeconfig(), &log)
            .watch(&[&fixture.namespace])
            .gateways(&[&fixture.cluster.gateway().namespace])
            .leader(Some((&fixture.namespace, "rights")))
            .start()?;
        let claims = json!({"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": volume()}]});
        let pool = units::with(&fixture.pool(Mode::Query), &json!({"spec": claims}));
        fixture.create_pool(&units::with_secret(&pool, "later")).await?;
        operator.ready(SOON).await?;
        in_the_way(&fixture).await?;
        repaired(&fixture).await?;
        fixture.edit("ada", json!({"resources": {"requests": {"cpu": "7m"}}})).await?;
        let so = |pod: Option<&Pod>| pod.is_some_and(resized);
        until("new amount", SOON, fixture.pods(), "ada", so).await?;
        for (mode, phase) in [("Suspended", Phase::Suspended), ("Running", Phase::Ready)] {
            fixture.set_mode("ada", mode).await?;
            fixture.until("ada", phase).await?;
        }
        fixture.delete("ada").await?;
        let over =
            json!({"spec": {"lifecycle": {"shutdownTime": "2026-01-01T00:00:00Z", "ttlSecondsAfterFinished": 0}}});
        fixture.create(&units::with(&fixture.unit("over"), &over)).await?;
        fixture.until_gone("over").await?;
        // A call is counted after its response, and a watch may be quicker.
        let counted = || async { Ok(granted().is_subset(&used(&fixture)).then_some(())) };
        let _ = eventually("use of each permission", SOON, counted).await;
        let (granted, used) = (granted(), used(&fixture));
        let (unused, missing) = (granted.difference(&used), used.difference(&granted));
        assert_eq!(
            (unused.collect::<Vec<_>>(), missing.collect::<Vec<_>>()),
            (vec![], vec![]),
            "(unused, not granted)"
        );
        Ok(())
    })
    .await
}
