//! A unit that cannot run yet says why and what to do, and goes on by itself when that is done.

#![allow(clippy::unwrap_used, missing_docs)]

use anyhow::ensure;
use computing_unit_api::{ComputingUnitPool, GatewayRef, Phase, gateway::Gateway};
use e2e::{
    gateway, namespace,
    stage::{SOON, Stage, play},
    units::{self, Mode, with},
    wait::{eventually, until},
};
use k8s_openapi::api::core::v1::{Namespace, ResourceQuota};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

async fn until_says(stage: &Stage, name: &str, said: (&str, &str), words: &[&str]) -> anyhow::Result<()> {
    let message = stage.until_says(name, said.0, "False", said.1).await?;
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
async fn for_its_pool() -> anyhow::Result<()> {
    play("pool", |stage| async move {
        let _operator = stage.start().await?;
        stage.make(&stage.unit("ada")).await?;
        let words = ["no ComputingUnitPool \"default\" in namespace", "create it"];
        until_says(&stage, "ada", ("Accepted", "PoolNotFound"), &words).await?;
        stage.make_pool(Mode::Query).await?;
        stage.until("ada", Phase::Ready).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn for_an_image_that_its_pool_offers() -> anyhow::Result<()> {
    play("image", |stage| async move {
        let offers = json!({"spec": {"images": [{"name": "engine", "image": units::ENGINE}]}});
        stage.put_pool(&with(&stage.pool(Mode::Query), &offers)).await?;
        let _operator = stage.start().await?;
        for name in ["ada", "bob"] {
            stage.make(&with(&stage.unit(name), &json!({"spec": {"image": "nightly"}}))).await?;
            let words = ["does not offer image \"nightly\"", "choose one of engine"];
            until_says(&stage, name, ("Accepted", "ImageNotOffered"), &words).await?;
        }
        // By its user for one, by the deployer for the other.
        merge(&stage.units(), "ada", &json!({"spec": {"image": "engine"}})).await?;
        stage.until("ada", Phase::Ready).await?;
        let more = json!({"spec": {"images": [
            {"name": "engine", "image": units::ENGINE}, {"name": "nightly", "image": units::ENGINE},
        ]}});
        merge(&stage.pools(), "default", &more).await?;
        stage.until("bob", Phase::Ready).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn for_its_gateway_and_the_listener() -> anyhow::Result<()> {
    play("gateway", |stage| async move {
        if !gateway::is_ours(&stage.cluster).await? {
            println!("NOT RUN: what the proxies of the cluster in use are made from is not known");
            return Ok(());
        }
        let own = GatewayRef {
            name: "own".to_owned(),
            namespace: stage.namespace.clone(),
            section_name: Some("units".to_owned()),
        };
        stage.put_pool(&with(&stage.pool(Mode::Query), &json!({"spec": {"gatewayRef": own}}))).await?;
        let mut operator = stage.operator.clone().gateways(&[&stage.namespace]).start()?;
        operator.ready(SOON).await?;
        stage.make(&stage.unit("ada")).await?;
        let words = ["does not exist", "create it, or correct spec.gatewayRef of the pool"];
        until_says(&stage, "ada", ("RouteAccepted", "GatewayNotFound"), &words).await?;

        let gateways = Api::<Gateway>::namespaced(stage.cluster.client(), &stage.namespace);
        let shared = Api::<Gateway>::namespaced(stage.cluster.client(), &stage.cluster.gateway().namespace);
        let class = shared.get(&stage.cluster.gateway().name).await?.spec.gateway_class_name.clone();
        let listeners = |name: &str| json!({"spec": {"listeners": [{"name": name, "port": 80, "protocol": "HTTP"}]}});
        let gateway = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"name": "own"},
            "spec": {"gatewayClassName": class, "infrastructure": {"parametersRef": {
                "group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "own",
            }}},
        });
        gateway::copy_proxy(&stage.cluster, &stage.namespace, "own").await?;
        let gateway = serde_json::from_value(with(&gateway, &listeners("others")))?;
        gateways.create(&PostParams::default(), &gateway).await?;
        let words = ["no listener \"units\"", "correct spec.gatewayRef.sectionName of the pool to one of: others"];
        until_says(&stage, "ada", ("RouteAccepted", "ListenerNotFound"), &words).await?;

        merge(&gateways, "own", &listeners("units")).await?;
        stage.until("ada", Phase::Ready).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn for_its_namespace_to_be_admitted() -> anyhow::Result<()> {
    play("admitted", |stage| async move {
        if !gateway::is_ours(&stage.cluster).await? {
            println!("NOT RUN: which namespaces the Gateway of the cluster in use admits is not known");
            return Ok(());
        }
        let namespaces = Api::<Namespace>::all(stage.cluster.client());
        let labelled = |value: Value| json!({"metadata": {"labels": {namespace::ADMITTED: value}}});
        merge(&namespaces, &stage.namespace, &labelled(Value::Null)).await?;
        stage.make_pool(Mode::Query).await?;
        let _operator = stage.start().await?;
        stage.make(&stage.unit("ada")).await?;
        let words = [&format!("let a listener of the Gateway admit namespace {:?}", stage.namespace), "allowedRoutes"];
        until_says(&stage, "ada", ("RouteAccepted", "NotAllowedByListeners"), &words).await?;
        merge(&namespaces, &stage.namespace, &labelled(json!("true"))).await?;
        stage.until("ada", Phase::Ready).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn for_its_key() -> anyhow::Result<()> {
    play("key", |stage| async move {
        stage.make_pool(Mode::Query).await?;
        let _operator = stage.start().await?;
        let first = stage.unit("ada");
        stage.make(&first).await?;
        stage.until("ada", Phase::Ready).await?;
        let same = json!({"spec": {"cuid": first.spec.cuid}});
        stage.make(&with(&stage.unit("bob"), &same)).await?;
        until_says(&stage, "bob", ("Accepted", "KeyConflict"), &["\"ada\""]).await?;
        stage.delete("ada").await?;
        stage.until("bob", Phase::Ready).await.map(drop)
    })
    .await
}

/// Who has the key in another namespace is nobody's business.
#[tokio::test(flavor = "multi_thread")]
async fn for_its_key_in_another_namespace() -> anyhow::Result<()> {
    play("here", |stage| async move {
        let cluster = stage.cluster.clone();
        namespace::within(&cluster, "there", |there| async move {
            stage.make_pool(Mode::Query).await?;
            let pools = Api::<ComputingUnitPool>::namespaced(stage.cluster.client(), &there);
            let pool = units::pool(&there, stage.cluster.gateway(), Mode::Query);
            pools.create(&PostParams::default(), &pool).await?;
            let mut operator = stage.operator.clone().watch(&[&there]).start()?;
            operator.ready(SOON).await?;
            let first = units::unit(&there, "ada", stage.unit("bob").spec.cuid.unwrap());
            let others = Api::namespaced(stage.cluster.client(), &there);
            others.create(&PostParams::default(), &first).await?;
            let ready = |unit: Option<&_>| units::phase(unit) == Some(Phase::Ready);
            until("Ready", SOON, others.clone(), "ada", ready).await?;
            stage.make(&stage.unit("bob")).await?;
            let message = stage.until_says("bob", "Accepted", "False", "KeyConflictElsewhere").await?;
            ensure!(!message.contains(&there) && !message.contains("\"ada\""), "{message}");
            others.delete("ada", &DeleteParams::default()).await?;
            // A key that was another tenant's is not taken up by itself: requests meant for that one may still come.
            let had = |unit: Option<&_>| {
                units::says(unit, "Accepted", "False").is_some_and(|(_, words)| words.contains("had this key"))
            };
            until("free key", SOON, stage.units(), "bob", had).await?;
            merge(&stage.units(), "bob", &json!({"spec": {"env": [{"name": "A", "value": "b"}]}})).await?;
            stage.until("bob", Phase::Ready).await.map(drop)
        })
        .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn for_a_pool_that_overlaps_no_other() -> anyhow::Result<()> {
    play("overlap", |stage| async move {
        stage.make_pool(Mode::Path).await?;
        // Ages are told apart by seconds.
        let first = stage.pools().get("default").await?;
        let inner = json!({
            "metadata": {"name": "inner"},
            "spec": {"routing": {"path": {"prefix": format!("/{}/inner", stage.namespace)}}},
        });
        let made_later = || async {
            let made = stage.put_pool(&with(&stage.pool(Mode::Path), &inner)).await?;
            if made.metadata.creation_timestamp > first.metadata.creation_timestamp {
                return Ok(Some(()));
            }
            stage.pools().delete("inner", &DeleteParams::default()).await?;
            Ok(None)
        };
        eventually("younger pool", SOON, made_later).await?;
        let _operator = stage.start().await?;
        stage.make(&with(&stage.unit("ada"), &json!({"spec": {"poolName": "inner"}}))).await?;
        let words = ["overlap those of an older pool", "(default)", "give the pool other paths"];
        until_says(&stage, "ada", ("Accepted", "PoolNotAccepted"), &words).await?;
        stage.pools().delete("default", &DeleteParams::default()).await?;
        stage.until("ada", Phase::Ready).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn for_room_in_the_quota_of_its_namespace() -> anyhow::Result<()> {
    play("quota", |stage| async move {
        stage.make_pool(Mode::Query).await?;
        let quotas = Api::<ResourceQuota>::namespaced(stage.cluster.client(), &stage.namespace);
        let none = json!({"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}});
        quotas.create(&PostParams::default(), &serde_json::from_value(none)?).await?;
        let counted =
            |quota: Option<&ResourceQuota>| quota.and_then(|quota| quota.status.as_ref()?.hard.as_ref()).is_some();
        until("count", SOON, quotas.clone(), "none", counted).await?;
        let _operator = stage.start().await?;
        stage.make(&stage.unit("ada")).await?;
        until_says(&stage, "ada", ("PodReady", "Forbidden"), &["exceeded quota: none"]).await?;
        quotas.delete("none", &DeleteParams::default()).await?;
        stage.until("ada", Phase::Ready).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn for_a_template_that_the_api_server_takes() -> anyhow::Result<()> {
    play("template", |stage| async move {
        let containers = |policy: &str| json!({"spec": {"template": {"spec": {"dnsPolicy": policy}}}});
        stage.put_pool(&with(&stage.pool(Mode::Query), &containers("Sometimes"))).await?;
        let _operator = stage.start().await?;
        stage.make(&stage.unit("ada")).await?;
        let words = ["the API server refuses the Pod", "spec.dnsPolicy: Unsupported value: \"Sometimes\""];
        until_says(&stage, "ada", ("Accepted", "ChildRefused"), &words).await?;
        merge(&stage.pools(), "default", &containers("Default")).await?;
        stage.until("ada", Phase::Ready).await.map(drop)
    })
    .await
}
