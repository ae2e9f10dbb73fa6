//! What the API server accepts and rejects by the CRDs, and its messages.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use computing_unit_api::{ComputingUnit, ComputingUnitPool};
use e2e::{fixture::Fixture, units::with};
use kube::{
    Api, Resource,
    api::{DeleteParams, DynamicObject, PostParams},
    core::ApiResource,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::with_fixture;

/// The same cases that the unit tests of the rules use.
#[derive(Deserialize)]
struct Cases {
    bases: BTreeMap<String, Value>,
    rules: Vec<Case>,
    bounds: BTreeMap<String, Vec<Value>>,
}

#[derive(Deserialize)]
struct Case {
    message: String,
    kind: String,
    from: Option<Value>,
    accepted: Vec<Value>,
    rejected: Vec<Value>,
}

fn cases() -> anyhow::Result<Cases> {
    Ok(serde_saphyr::from_str(include_str!("../../../../tests/rules.yaml"))?)
}

fn api(fixture: &Fixture, kind: &str) -> anyhow::Result<Api<DynamicObject>> {
    let resource = match kind {
        "ComputingUnit" => ApiResource::erase::<ComputingUnit>(&()),
        "ComputingUnitPool" => ApiResource::erase::<ComputingUnitPool>(&()),
        other => bail!("kind {other}"),
    };
    Ok(Api::namespaced_with(fixture.cluster.client(), &fixture.namespace, &resource))
}

fn params(dry_run: bool) -> PostParams {
    PostParams { dry_run, ..PostParams::default() }
}

/// The message with which the API server rejects an object, if it does. `before` is the stored object that it replaces.
async fn asked(
    api: &Api<DynamicObject>,
    object: &Value,
    before: Option<&DynamicObject>,
) -> anyhow::Result<Option<String>> {
    let mut object: DynamicObject = serde_json::from_value(object.clone())?;
    let answer = match before {
        None => api.create(&params(true), &object).await,
        Some(before) => {
            object.meta_mut().resource_version.clone_from(&before.meta().resource_version);
            api.replace(before.metadata.name.as_deref().unwrap_or_default(), &params(true), &object).await
        }
    };
    match answer {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.code == 422 || status.code == 400 => Ok(Some(status.message.clone())),
        Err(error) => Err(error.into()),
    }
}

async fn hold(fixture: &Fixture, case: &Case, base: &Value) -> anyhow::Result<()> {
    let api = api(fixture, &case.kind)?;
    let before = match &case.from {
        Some(from) => Some(api.create(&params(false), &serde_json::from_value(with(base, from))?).await?),
        None => None,
    };
    for accepted in &case.accepted {
        let said = asked(&api, &with(base, accepted), before.as_ref()).await?;
        ensure!(said.is_none(), "{}: {accepted} is rejected: {said:?}", case.message);
    }
    for rejected in &case.rejected {
        let said = asked(&api, &with(base, rejected), before.as_ref()).await?.unwrap_or_default();
        ensure!(said.contains(&case.message), "{}: {rejected}: {said:?}", case.message);
    }
    if let Some(before) = before {
        api.delete(before.metadata.name.as_deref().unwrap_or_default(), &DeleteParams::default()).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_enforces_each_rule() -> anyhow::Result<()> {
    with_fixture("rules", |fixture| async move {
        let cases = cases()?;
        for case in &cases.rules {
            hold(&fixture, case, &cases.bases[&case.kind]).await.with_context(|| case.message.clone())?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_enforces_each_limit() -> anyhow::Result<()> {
    with_fixture("bounds", |fixture| async move {
        let cases = cases()?;
        for (kind, bounds) in &cases.bounds {
            let (api, base) = (api(&fixture, kind)?, &cases.bases[kind]);
            ensure!(asked(&api, base, None).await?.is_none(), "the base of {kind} is taken");
            for bound in bounds {
                let said = asked(&api, &with(base, bound), None).await?;
                ensure!(said.as_ref().is_some_and(|said| said.contains("spec")), "{kind} {bound}: {said:?}");
            }
        }
        Ok(())
    })
    .await
}

/// The message that a user sees, verbatim.
#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_names_the_field_and_the_reason() -> anyhow::Result<()> {
    with_fixture("words", |fixture| async move {
        let unit = |patch: Value| with(&json!(fixture.unit("ada")), &patch);
        let api = api(&fixture, "ComputingUnit")?;
        for (object, words) in [
            (
                unit(json!({"spec": {"cuid": 0}})),
                "spec.cuid: Invalid value: 0: spec.cuid in body should be greater than or equal to 1",
            ),
            (
                unit(json!({"spec": {"cuid": "a"}})),
                "spec.cuid: Invalid value: \"string\": spec.cuid in body must be of type integer",
            ),
            (
                unit(json!({"spec": {"sharedMemory": "2Gi", "resources": {"limits": {"memory": "1Gi"}}}})),
                "spec.sharedMemory must not exceed spec.resources.limits.memory",
            ),
            (
                unit(json!({"spec": {"env": [{"name": "COMPUTING_UNIT_KEY", "value": "1"}]}})),
                "reserved for the operator",
            ),
            (unit(json!({"metadata": {"name": "1ada"}})), "metadata.name must have at most 63 characters"),
        ] {
            let said = asked(&api, &object, None).await?.unwrap_or_default();
            ensure!(said.contains(words), "{object}: {said}");
        }
        Ok(())
    })
    .await
}
