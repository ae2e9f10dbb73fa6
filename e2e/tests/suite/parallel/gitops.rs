//! Clients that compute the health of any object: Helm, whose `--wait` uses kstatus as Flux does, and `kubectl wait`.

use std::{fs, path::Path};

use anyhow::ensure;
use computing_unit_api::Phase;
use e2e::{
    fixture::{Fixture, SOON},
    tool,
    units::{Mode, with},
    wait::until,
};
use serde_json::{Value, json};

use super::with_fixture;

/// Writes a chart with these objects.
fn chart(folder: &Path, objects: &[Value]) -> anyhow::Result<()> {
    fs::create_dir_all(folder.join("templates"))?;
    fs::write(folder.join("Chart.yaml"), "apiVersion: v2\nname: units\nversion: 0.1.0\n")?;
    let texts: Vec<_> = objects.iter().map(Value::to_string).collect();
    Ok(fs::write(folder.join("templates/units.yaml"), texts.join("\n---\n"))?)
}

fn unit(fixture: &Fixture, name: &str, spec: &Value) -> Value {
    with(&json!(fixture.unit(name)), &json!({"spec": spec}))
}

async fn wait_for(fixture: &Fixture, object: &str, condition: &str) -> anyhow::Result<()> {
    let line = format!("kubectl wait {object} -n {} --for=condition={condition} --timeout=60s", fixture.namespace);
    tool::line(&fixture.cluster, &line).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_waits_for_running_units_and_fails_at_once_for_a_failed_one() -> anyhow::Result<()> {
    with_fixture("gitops", |fixture| async move {
        let _operator = fixture.start().await?;
        let folder = tempfile::tempdir()?;
        let mut objects = vec![
            with(&json!(fixture.pool(Mode::Query)), &json!({"spec": {"startTimeout": "20s"}})),
            unit(&fixture, "running", &json!({})),
            unit(&fixture, "suspended", &json!({"operatingMode": "Suspended"})),
            unit(&fixture, "done", &json!({"lifecycle": {"shutdownTime": "2020-01-01T00:00:00Z"}})),
        ];
        chart(folder.path(), &objects)?;
        let helm = |verb: &str| {
            let (folder, namespace) = (folder.path().display(), &fixture.namespace);
            format!("helm {verb} units {folder} -n {namespace} --wait --timeout 3m")
        };
        tool::line(&fixture.cluster, &helm("install")).await?;
        // It has waited for the running one.
        let now = |phase| move |unit: Option<&_>| e2e::units::phase(unit) == Some(phase);
        for (name, phase) in [("running", Phase::Ready), ("suspended", Phase::Suspended), ("done", Phase::Finished)] {
            let unit = fixture.units().get(name).await?;
            ensure!(now(phase)(Some(&unit)), "{name} is {:?}", unit.status);
        }

        objects.push(unit(&fixture, "failed", &json!({"env": [{"name": "FAIL_START", "value": "1"}]})));
        chart(folder.path(), &objects)?;
        let output = tool::output(&fixture.cluster, &helm("upgrade")).await?;
        ensure!(output.code != Some(0), "a failed unit does not fail the upgrade: {output:?}");
        ensure!(output.stderr.contains("failed") && output.stderr.contains("status: Failed"), "{}", output.stderr);
        until("failure", SOON, fixture.units(), "failed", now(Phase::Failed)).await?;

        for condition in ["Accepted", "PodReady", "RouteAccepted", "Reachable", "Ready"] {
            wait_for(&fixture, "computingunit/running", condition).await?;
        }
        wait_for(&fixture, "computingunit/suspended", "Suspended").await?;
        wait_for(&fixture, "computingunit/done", "Finished").await?;
        for condition in ["Finished", "Stalled", "Ready=False"] {
            wait_for(&fixture, "computingunit/failed", condition).await?;
        }
        for condition in ["Accepted", "GatewayFound", "Ready"] {
            wait_for(&fixture, "computingunitpool/default", condition).await?;
        }
        fixture.edit("running", json!({"env": [{"name": "A", "value": "b"}]})).await?;
        wait_for(&fixture, "computingunit/running", "UpdatePending").await?;
        tool::line(&fixture.cluster, &format!("helm uninstall units -n {} --wait", fixture.namespace)).await?;
        for name in ["running", "suspended", "done", "failed"] {
            fixture.until_gone(name).await?;
        }
        Ok(())
    })
    .await
}
