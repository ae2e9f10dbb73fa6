//! Volumes of a unit survive its pods, and are deleted or retained as the pool says. Foreign claims are not touched.

use std::{fs, path::PathBuf};

use anyhow::Context;
use computing_unit_api::{ComputingUnit, ComputingUnitPool, Phase, names::labels};
use e2e::{
    attach::Cluster,
    fixture::{Fixture, SOON},
    proxies::processes,
    units::{self, Mode},
    wait::until,
};
use k8s_openapi::api::{
    core::v1::{PersistentVolumeClaim, Pod},
    storage::v1::StorageClass,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::{Value, json};

use super::with_fixture;

const CLAIM: &str = "data-ada";

/// Whether the cluster provisions volumes for claims without a storage class.
async fn provisioned() -> anyhow::Result<bool> {
    let classes = Api::<StorageClass>::all(Cluster::attach().await?.client()).list(&ListParams::default()).await?;
    let default = "storageclass.kubernetes.io/is-default-class";
    let any = classes.iter().any(|class| class.annotations().get(default).is_some_and(|is| is == "true"));
    if !any {
        eprintln!("SKIPPED: the cluster has no default StorageClass; `make down cluster` gives the local one its own");
    }
    Ok(any)
}

/// A pool whose units have a volume under `/data`.
fn pool(fixture: &Fixture, policy: &str, more: &Value) -> ComputingUnitPool {
    let mut claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}});
    claim.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut pool = serde_json::to_value(fixture.pool(Mode::Query)).unwrap();
    pool["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": claim}]);
    pool["spec"]["persistentVolumeClaimRetentionPolicy"] = json!({"whenDeleted": policy});
    pool["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    serde_json::from_value(pool).unwrap()
}

/// A file on the volume, by the root of the engine's process on this machine.
fn file(pod: &Pod) -> anyhow::Result<PathBuf> {
    let uid = pod.uid().context("a UID")?;
    let process = processes(&uid)?.find(|process| process.join("root/data").is_dir());
    let process = process.with_context(|| format!("no process of pod {uid} runs on this machine"))?;
    Ok(process.join("root/data/file"))
}

async fn start(fixture: &Fixture) -> anyhow::Result<Pod> {
    fixture.create(&fixture.unit("ada")).await?;
    fixture.until("ada", Phase::Ready).await?;
    Ok(fixture.pods().get("ada").await?)
}

fn owned_by(claim: Option<&PersistentVolumeClaim>, unit: &ComputingUnit) -> bool {
    claim.is_some_and(|claim| claim.owner_references().iter().any(|owner| Some(&owner.uid) == unit.uid().as_ref()))
}

#[tokio::test(flavor = "multi_thread")]
async fn data_survives_a_suspension_and_is_deleted_with_its_unit() -> anyhow::Result<()> {
    if !provisioned().await? {
        return Ok(());
    }
    with_fixture("volume", |fixture| async move {
        fixture.create_pool(&pool(&fixture, "Delete", &json!({}))).await?;
        let _operator = fixture.start().await?;
        let before = start(&fixture).await?;
        fs::write(file(&before)?, "work of hours")?;
        let claim = fixture.claims().get(CLAIM).await?;
        assert_eq!(claim.labels().get(labels::UNIT).map(String::as_str), Some("ada"));

        fixture.set_mode("ada", "Suspended").await?;
        fixture.until("ada", Phase::Suspended).await?;
        assert_eq!(fixture.claims().get(CLAIM).await?.uid(), claim.uid(), "it is kept");
        fixture.set_mode("ada", "Running").await?;
        fixture.until("ada", Phase::Ready).await?;
        let after = fixture.pods().get("ada").await?;
        assert_ne!(after.uid(), before.uid());
        assert_eq!(fs::read_to_string(file(&after)?)?, "work of hours");

        fixture.delete("ada").await?;
        fixture.until_nothing_is_left("ada").await?;
        until("end of the claim", SOON, fixture.claims(), CLAIM, |claim| claim.is_none()).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_claim_is_used_again() -> anyhow::Result<()> {
    if !provisioned().await? {
        return Ok(());
    }
    with_fixture("kept", |fixture| async move {
        fixture.create_pool(&pool(&fixture, "Retain", &json!({}))).await?;
        let _operator = fixture.start().await?;
        fs::write(file(&start(&fixture).await?)?, "work of days")?;
        let claim = fixture.claims().get(CLAIM).await?;
        assert!(claim.owner_references().is_empty(), "it belongs to no object");
        fixture.delete("ada").await?;
        fixture.until_nothing_is_left("ada").await?;

        let again = start(&fixture).await?;
        let found = fixture.claims().get(CLAIM).await?;
        assert_eq!((found.uid(), found.metadata.deletion_timestamp), (claim.uid(), None));
        assert_eq!(fs::read_to_string(file(&again)?)?, "work of days");

        // The policy holds for claims that are there.
        let unit = fixture.units().get("ada").await?;
        for (policy, owned) in [("Delete", true), ("Retain", false), ("Delete", true)] {
            fixture.edit_pool(json!({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": policy}})).await?;
            until(policy, SOON, fixture.claims(), CLAIM, |claim| owned_by(claim, &unit) == owned).await?;
        }
        fixture.delete("ada").await?;
        until("end of the claim", SOON, fixture.claims(), CLAIM, |claim| claim.is_none()).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_claim_is_not_touched() -> anyhow::Result<()> {
    if !provisioned().await? {
        return Ok(());
    }
    with_fixture("foreign", |fixture| async move {
        fixture.create_pool(&pool(&fixture, "Delete", &json!({}))).await?;
        let _operator = fixture.start().await?;
        let theirs: PersistentVolumeClaim = serde_json::from_value(json!({
            "metadata": {"name": CLAIM, "labels": {"of": "somebody"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
        }))?;
        let theirs = fixture.claims().create(&PostParams::default(), &theirs).await?;
        fixture.create(&fixture.unit("ada")).await?;
        let words = fixture.until_condition("ada", "Accepted", "False", "ChildNotOwned").await?;
        assert!(words.contains("PersistentVolumeClaim \"data-ada\""), "{words}");
        assert!(fixture.pods().get_opt("ada").await?.is_none(), "no pod mounts it");
        let still = fixture.claims().get(CLAIM).await?;
        assert_eq!((still.uid(), still.labels(), still.owner_references()), (theirs.uid(), theirs.labels(), &[][..]));
        fixture.claims().delete(CLAIM, &DeleteParams::default()).await?;
        fixture.until("ada", Phase::Ready).await?;
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unbound_claim_is_reported_and_does_not_block_deletion() -> anyhow::Result<()> {
    with_fixture("unbound", |fixture| async move {
        let class = json!({"storageClassName": "e2e-nowhere"});
        fixture.create_pool(&pool(&fixture, "Delete", &class)).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        let words = fixture.until_condition("ada", "PodReady", "False", "VolumePending").await?;
        assert!(
            words.contains("PersistentVolumeClaim \"data-ada\" is Pending (storage class \"e2e-nowhere\")"),
            "{words}"
        );
        assert_eq!(units::phase(Some(&fixture.units().get("ada").await?)), Some(Phase::Pending));
        fixture.delete("ada").await?;
        fixture.until_nothing_is_left("ada").await?;
        until("end of the claim", SOON, fixture.claims(), CLAIM, |claim| claim.is_none()).await?;
        Ok(())
    })
    .await
}
