//! Containers that admission adds to the pod of a unit are not its engine.

use anyhow::ensure;
use computing_unit_api::Phase;
use e2e::{
    fixture::{Fixture, SOON},
    units::{self, ENGINE, with},
    wait::until,
};
use futures::FutureExt;
use serde_json::{Value, json};

use super::{
    admission::{self, Policy},
    with_fixture,
};

/// Runs `test` while each pod gets a container `mesh` before its own, with a variable.
async fn beside(
    fixture: &Fixture,
    (name, value): (&str, &str),
    test: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let variable = |name: &str, value: &str| format!("Object.spec.containers.env{{name: '{name}', value: '{value}'}}");
    let patch = format!(
        "object.spec.containers.exists(c, c.name == 'mesh') ? [] : [JSONPatch{{op: 'add', path: '/spec/containers/0', \
         value: Object.spec.containers{{name: 'mesh', image: '{ENGINE}', env: [{}, {}]}}}}]",
        variable("PORT", "9999"),
        variable(name, value),
    );
    admission::create(fixture, &Policy::of_pods(&["CREATE"], patch)).await?;
    let result = std::panic::AssertUnwindSafe(test()).catch_unwind().await;
    admission::remove(fixture).await?;
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A unit whose engine ends with that code.
fn ends(fixture: &Fixture, name: &str, code: &str) -> computing_unit_api::ComputingUnit {
    let env = json!([{"name": "FAIL_START", "value": code}, {"name": "FAIL_MESSAGE", "value": "out of cheese"}]);
    with(&fixture.unit(name), &json!({"spec": {"env": env}}))
}

async fn finishes(fixture: &Fixture) -> anyhow::Result<()> {
    fixture.create(&ends(fixture, "bob", "0")).await?;
    fixture.create(&ends(fixture, "eve", "3")).await?;
    let message = fixture.until_condition("bob", "Finished", "True", "PodSucceeded").await?;
    ensure!(message.contains("\"engine\" exited with code 0"), "{message}");
    let status = fixture.until("eve", Phase::Failed).await?.status.unwrap_or_default();
    let failure = status.last_failure.unwrap_or_default();
    ensure!(failure.container.as_deref() == Some("engine") && failure.exit_code == Some(3), "{failure:?}");
    for name in ["bob", "eve"] {
        until("end of the pod", SOON, fixture.pods(), name, |pod| pod.is_none()).await?;
        fixture.delete(name).await?;
    }
    Ok(())
}

fn policy(policy: &str) -> Value {
    json!({"template": {"spec": {"restartPolicy": policy}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_that_ends_beside_a_sidecar_that_runs_on_finishes_its_unit() -> anyhow::Result<()> {
    with_fixture("runs-on", |fixture| async move {
        fixture.create_pool_with(&policy("Never")).await?;
        let _operator = fixture.start().await?;
        beside(&fixture, ("NOTHING", "else"), async || finishes(&fixture).await).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn sidecar_that_fails_is_neither_the_end_nor_the_failure_of_the_engine() -> anyhow::Result<()> {
    with_fixture("crashes", |fixture| async move {
        fixture.create_pool_with(&policy("Never")).await?;
        let _operator = fixture.start().await?;
        beside(&fixture, ("FAIL_START", "7"), async || {
            finishes(&fixture).await?;
            // The endpoints do not have a pod of which a container has ended.
            fixture.create(&fixture.unit("ada")).await?;
            let message = fixture.until_condition("ada", "PodReady", "False", "CrashLoop").await?;
            ensure!(message.contains("container \"mesh\" exited with code 7"), "{message}");
            let unit = fixture.units().get("ada").await?;
            let status = unit.status.clone().unwrap_or_default();
            ensure!(status.image.as_deref() == Some(ENGINE) && status.last_failure.is_none(), "{status:?}");
            ensure!(units::condition(Some(&unit), "Finished", "True").is_none(), "{status:?}");
            fixture.delete("ada").await
        })
        .await
    })
    .await
}
