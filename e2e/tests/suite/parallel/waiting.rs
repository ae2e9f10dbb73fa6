//! A unit that cannot run yet reports why and what to do, and starts once that is done.

use anyhow::ensure;
use computing_unit_api::{ComputingUnitPool, GatewayRef, Phase, gateway::Gateway};
use e2e::{
    fixture::{Fixture, SOON},
    gateway, namespace,
    rights::Namespaces,
    units::{self, Mode, with},
    wait::{eventually, until},
};
use k8s_openapi::api::core::v1::{Namespace, ResourceQuota};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::with_fixture;

async fn until_says(fixture: &Fixture, name: &str, said: (&str, &str), words: &[&str]) -> anyhow::Result<()> {
    let message = fixture.until_condition(name, said.0, "False", said.1).await?;
    for word in words {
        ensure!(message.contains(word), "{} {}: {message:?} does not say {word:?}", said.0, said.1);
    }
    Ok(())
}

async fn merge<K>(api: &Api<K>, name: &str, patch: &Value) -> anyhow::Result<()>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_waits_for_its_pool() -> anyhow::Result<()> {
    with_fixture("pool", |fixture| async move {
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        let words = ["ComputingUnitPool \"default\" does not exist in namespace", "create it"];
        until_says(&fixture, "ada", ("Accepted", "PoolNotFound"), &words).await?;
        fixture.create_default_pool(Mode::Query).await?;
        fixture.until("ada", Phase::Ready).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_waits_for_an_image_of_its_pool() -> anyhow::Result<()> {
    with_fixture("image", |fixture| async move {
        let offers = json!({"spec": {"images": [{"name": "engine", "image": units::ENGINE}]}});
        fixture.create_pool(&with(&fixture.pool(Mode::Query), &offers)).await?;
        let _operator = fixture.start().await?;
        for name in ["ada", "bob"] {
            fixture.create(&with(&fixture.unit(name), &json!({"spec": {"image": "nightly"}}))).await?;
            let words = ["does not offer image \"nightly\"", "choose one of engine"];
            until_says(&fixture, name, ("Accepted", "ImageNotOffered"), &words).await?;
        }
        // By its user for one, by the deployer for the other.
        merge(&fixture.units(), "ada", &json!({"spec": {"image": "engine"}})).await?;
        fixture.until("ada", Phase::Ready).await?;
        let more = json!({"spec": {"images": [
            {"name": "engine", "image": units::ENGINE}, {"name": "nightly", "image": units::ENGINE},
        ]}});
        merge(&fixture.pools(), "default", &more).await?;
        fixture.until("bob", Phase::Ready).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_waits_for_its_gateway_and_listener() -> anyhow::Result<()> {
    with_fixture("gateway", |fixture| async move {
        if !gateway::is_ours(&fixture.cluster).await? {
            println!("NOT RUN: what the proxies of the cluster in use are made from is not known");
            return Ok(());
        }
        let own = GatewayRef {
            name: "own".to_owned(),
            namespace: fixture.namespace.clone(),
            section_name: Some("units".to_owned()),
        };
        fixture.create_pool(&with(&fixture.pool(Mode::Query), &json!({"spec": {"gatewayRef": own}}))).await?;
        let own = fixture.namespace.as_str();
        fixture.grant(Namespaces { units: &[own], gateways: &[own] }).await?;
        let mut operator = fixture.operator.clone().gateways(&[own]).start()?;
        operator.ready(SOON).await?;
        fixture.create(&fixture.unit("ada")).await?;
        let words = ["does not exist", "create it, or correct spec.gatewayRef of the pool"];
        until_says(&fixture, "ada", ("RouteAccepted", "GatewayNotFound"), &words).await?;

        let gateways = Api::<Gateway>::namespaced(fixture.cluster.client(), &fixture.namespace);
        let shared = Api::<Gateway>::namespaced(fixture.cluster.client(), &fixture.cluster.gateway().namespace);
        let class = shared.get(&fixture.cluster.gateway().name).await?.spec.gateway_class_name.clone();
        let listeners = |name: &str| json!({"spec": {"listeners": [{"name": name, "port": 80, "protocol": "HTTP"}]}});
        let gateway = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"name": "own"},
            "spec": {"gatewayClassName": class, "infrastructure": {"parametersRef": {
                "group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "own",
            }}},
        });
        gateway::copy_proxy(&fixture.cluster, &fixture.namespace, "own").await?;
        let gateway = serde_json::from_value(with(&gateway, &listeners("others")))?;
        gateways.create(&PostParams::default(), &gateway).await?;
        let words =
            ["no HTTP or HTTPS listener \"units\"", "set spec.gatewayRef.sectionName of the pool to one of: others"];
        until_says(&fixture, "ada", ("RouteAccepted", "ListenerNotFound"), &words).await?;

        merge(&gateways, "own", &listeners("units")).await?;
        fixture.until("ada", Phase::Ready).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_waits_for_a_listener_that_admits_its_namespace() -> anyhow::Result<()> {
    with_fixture("admitted", |fixture| async move {
        if !gateway::is_ours(&fixture.cluster).await? {
            println!("NOT RUN: which namespaces the Gateway of the cluster in use admits is not known");
            return Ok(());
        }
        let namespaces = Api::<Namespace>::all(fixture.cluster.client());
        let labelled = |value: Value| json!({"metadata": {"labels": {namespace::ADMITTED: value}}});
        merge(&namespaces, &fixture.namespace, &labelled(Value::Null)).await?;
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        let words = [&format!("allows routes of namespace {:?}", fixture.namespace), "allowedRoutes"];
        until_says(&fixture, "ada", ("Accepted", "PoolNotAccepted"), &words).await?;
        merge(&namespaces, &fixture.namespace, &labelled(json!("true"))).await?;
        fixture.until("ada", Phase::Ready).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_waits_for_its_key() -> anyhow::Result<()> {
    with_fixture("key", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        let first = fixture.unit("ada");
        fixture.create(&first).await?;
        fixture.until("ada", Phase::Ready).await?;
        let same = json!({"spec": {"cuid": first.spec.cuid}});
        fixture.create(&with(&fixture.unit("bob"), &same)).await?;
        until_says(&fixture, "bob", ("Accepted", "KeyConflict"), &["\"ada\""]).await?;
        fixture.delete("ada").await?;
        fixture.until("bob", Phase::Ready).await.map(drop)
    })
    .await
}

/// The holder of a key in another namespace is not disclosed.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_waits_for_its_key_in_another_namespace() -> anyhow::Result<()> {
    with_fixture("here", |fixture| async move {
        let cluster = fixture.cluster.clone();
        namespace::within(&cluster, "there", |there| async move {
            fixture.create_default_pool(Mode::Query).await?;
            let pools = Api::<ComputingUnitPool>::namespaced(fixture.cluster.client(), &there);
            let pool = units::pool(&there, fixture.cluster.gateway(), Mode::Query);
            pools.create(&PostParams::default(), &pool).await?;
            let gateways: &[&str] = &[&fixture.cluster.gateway().namespace];
            fixture.grant(Namespaces { units: &[&there], gateways }).await?;
            let mut operator = fixture.operator.clone().watch(&[&there]).start()?;
            operator.ready(SOON).await?;
            let first = units::unit(&there, "ada", fixture.unit("bob").spec.cuid.unwrap());
            let others = Api::namespaced(fixture.cluster.client(), &there);
            others.create(&PostParams::default(), &first).await?;
            let ready = |unit: Option<&_>| units::phase(unit) == Some(Phase::Ready);
            until("Ready", SOON, others.clone(), "ada", ready).await?;
            fixture.create(&fixture.unit("bob")).await?;
            let message = fixture.until_condition("bob", "Accepted", "False", "KeyConflictInOtherNamespace").await?;
            ensure!(!message.contains(&there) && !message.contains("\"ada\""), "{message}");
            others.delete("ada", &DeleteParams::default()).await?;
            // A key that was another tenant's is not taken up by itself: requests meant for that one may still come.
            let had = |unit: Option<&_>| {
                units::condition(unit, "Accepted", "False").is_some_and(|(_, words)| words.contains("had this key"))
            };
            until("free key", SOON, fixture.units(), "bob", had).await?;
            merge(&fixture.units(), "bob", &json!({"spec": {"env": [{"name": "A", "value": "b"}]}})).await?;
            fixture.until("bob", Phase::Ready).await.map(drop)
        })
        .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_waits_for_a_pool_without_overlaps() -> anyhow::Result<()> {
    with_fixture("overlap", |fixture| async move {
        fixture.create_default_pool(Mode::Path).await?;
        // The pools must differ in age, and creation timestamps have a resolution of one second.
        let first = fixture.pools().get("default").await?;
        let inner = json!({
            "metadata": {"name": "inner"},
            "spec": {"routing": {"path": {"prefix": format!("/{}/inner", fixture.namespace)}}},
        });
        let made_later = || async {
            let made = fixture.create_pool(&with(&fixture.pool(Mode::Path), &inner)).await?;
            if made.metadata.creation_timestamp > first.metadata.creation_timestamp {
                return Ok(Some(()));
            }
            fixture.pools().delete("inner", &DeleteParams::default()).await?;
            Ok(None)
        };
        eventually("younger pool", SOON, made_later).await?;
        let _operator = fixture.start().await?;
        fixture.create(&with(&fixture.unit("ada"), &json!({"spec": {"poolName": "inner"}}))).await?;
        let words = ["overlaps that of pool \"default\"", "give the pool other paths"];
        until_says(&fixture, "ada", ("Accepted", "PoolNotAccepted"), &words).await?;
        fixture.pools().delete("default", &DeleteParams::default()).await?;
        fixture.until("ada", Phase::Ready).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_waits_for_the_quota_of_its_namespace() -> anyhow::Result<()> {
    with_fixture("quota", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let quotas = Api::<ResourceQuota>::namespaced(fixture.cluster.client(), &fixture.namespace);
        let none = json!({"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}});
        quotas.create(&PostParams::default(), &serde_json::from_value(none)?).await?;
        let counted =
            |quota: Option<&ResourceQuota>| quota.and_then(|quota| quota.status.as_ref()?.hard.as_ref()).is_some();
        until("count", SOON, quotas.clone(), "none", counted).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        until_says(&fixture, "ada", ("PodReady", "Forbidden"), &["exceeded quota: none"]).await?;
        quotas.delete("none", &DeleteParams::default()).await?;
        fixture.until("ada", Phase::Ready).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_waits_for_a_valid_pod_template() -> anyhow::Result<()> {
    with_fixture("template", |fixture| async move {
        let containers = |policy: &str| json!({"spec": {"template": {"spec": {"dnsPolicy": policy}}}});
        fixture.create_pool(&with(&fixture.pool(Mode::Query), &containers("Sometimes"))).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        let words = ["the API server rejected the Pod", "spec.dnsPolicy: Unsupported value: \"Sometimes\""];
        until_says(&fixture, "ada", ("Accepted", "ChildRefused"), &words).await?;
        merge(&fixture.pools(), "default", &containers("Default")).await?;
        fixture.until("ada", Phase::Ready).await.map(drop)
    })
    .await
}
