//! `kubectl create computingunit`.

use std::process::Stdio;

use anyhow::{Context, ensure};
use computing_unit_api::{ComputingUnit, OperatingMode};
use e2e::{
    demo::show::ResolvedUrl,
    fixture::{Fixture, SOON},
    tool::{self, Output},
    units::Mode,
};
use kube::ResourceExt;
use tokio::{io::AsyncWriteExt, time::timeout};

use super::with_fixture;

/// Runs `kubectl create computingunit` in the namespace of the test.
async fn create(fixture: &Fixture, line: &str) -> anyhow::Result<Output> {
    tool::output(&fixture.cluster, &format!("kubectl create computingunit {line} -n {}", fixture.namespace)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_created_and_its_progress_is_shown_until_it_is_reachable() -> anyhow::Result<()> {
    with_fixture("create", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        let cuid = fixture.unit("ada").spec.cuid.unwrap();
        let line = format!(
            "ada --cuid {cuid} --cpu 100m --memory 64Mi --shared-memory 16Mi --env A=b --owner ada --wait --timeout=2m"
        );
        let output = create(&fixture, &line).await?;
        ensure!(output.code == Some(0), "{output:?}");
        let lines: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(lines[0], "computingunit.texera.apache.org/ada created");
        ResolvedUrl::of(lines[1]).await?.get().await?;
        let at = |stage: &str| output.stderr.find(stage).unwrap_or_else(|| panic!("{stage}: {output:?}"));
        ensure!(at("accepted") < at("pod ready") && at("pod ready") < at("reachable"), "{output:?}");
        let unit = fixture.units().get("ada").await?;
        assert_eq!((unit.spec.cuid, unit.spec.owner.as_deref()), (Some(cuid), Some("ada")));
        let taken = create(&fixture, "ada").await?;
        ensure!(taken.code == Some(1) && taken.stderr.contains("already exists in namespace"), "{taken:?}");
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_arguments_are_rejected_with_a_readable_message() -> anyhow::Result<()> {
    with_fixture("create-not", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        for (line, message) in [
            ("ada --cuid 0", "error: --cuid: must be at least 1"),
            ("1ada", "starting with a letter"),
            ("ada --memory 64Mi --shared-memory 128Mi", "error: --shared-memory must not exceed --memory"),
            ("ada --image none --wait --timeout=1m", "computing unit \"ada\" is not ready: ImageNotOffered"),
            (
                "bob --pool none --timeout=1s",
                "computing unit \"bob\" is not ready, waiting for the unit to be accepted",
            ),
        ] {
            let output = create(&fixture, line).await?;
            ensure!(
                output.code == Some(1) && output.stderr.contains(message),
                "{line} does not say {message:?}: {output:?}"
            );
            ensure!(!output.stderr.contains("\"kind\""), "no JSON: {output:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_from_stdin_is_changed_by_options() -> anyhow::Result<()> {
    with_fixture("create-file", |fixture| async move {
        let run = async |line: &str, manifest: &str| {
            let line = format!("kubectl create computingunit {line} -n {}", fixture.namespace);
            let mut command = tool::command(&fixture.cluster, &line)?;
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn()?;
            child.stdin.take().context("its input")?.write_all(manifest.as_bytes()).await?;
            let output = timeout(SOON, child.wait_with_output()).await.context("it does not end")??;
            anyhow::Ok((output.status.code(), String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
        };
        let manifest = |spec: &str| {
            format!(
                "{{apiVersion: texera.apache.org/v1alpha1, kind: ComputingUnit, metadata: {{name: ada}}, spec: {spec}}}"
            )
        };
        let line = "bob -f - --memory 8Gi --labels course=101,team=blue --annotations a/b=c --env-from secret/s \
                    --requests memory=1Gi --idle-timeout 30m --suspended";
        let (code, stdout, stderr) = run(line, &manifest("{cuid: 7, env: [{name: A, value: '1'}]}")).await?;
        ensure!(code == Some(0) && stdout.ends_with("/bob created\n"), "{stdout}{stderr}");
        let unit = fixture.units().get("bob").await?;
        assert_eq!(unit.labels().get("course").map(String::as_str), Some("101"));
        assert_eq!(unit.annotations().get("a/b").map(String::as_str), Some("c"));
        assert_eq!((unit.spec.cuid, unit.spec.operating_mode), (Some(7), OperatingMode::Suspended));
        assert_eq!(unit.spec.lifecycle.as_ref().and_then(|lifecycle| lifecycle.idle_timeout), Some("30m".parse()?));
        assert_eq!((unit.spec.env.len(), unit.spec.env_from.len()), (1, 1));
        // Like with kubectl create, a field that the API does not have is an error.
        let (code, _, stderr) = run("-f -", &manifest("{cuiid: 7}")).await?;
        ensure!(code == Some(1) && stderr.contains("unknown field \"spec.cuiid\""), "{stderr}");
        let (code, _, stderr) = run("-f -", "{kind: Pod, apiVersion: v1}").await?;
        ensure!(code == Some(1) && stderr.contains("only ComputingUnit"), "{stderr}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_creates_nothing() -> anyhow::Result<()> {
    with_fixture("create-dry", |fixture| async move {
        let output = create(&fixture, "ada --cuid 7 --dry-run=client -o json").await?;
        let unit: ComputingUnit = serde_json::from_str(&output.stdout)?;
        assert_eq!((unit.spec.cuid, unit.metadata.uid), (Some(7), None));
        let output = create(&fixture, "ada --cuid 7 --dry-run=server -o yaml").await?;
        let unit: ComputingUnit = serde_saphyr::from_str(&output.stdout)?;
        ensure!(unit.uid().is_some(), "the API server has completed it: {output:?}");
        let output = create(&fixture, "ada --cuid 0 --dry-run=server").await?;
        ensure!(output.code == Some(1) && output.stderr.contains("--cuid: must be at least 1"), "{output:?}");
        ensure!(fixture.units().get_opt("ada").await?.is_none());
        Ok(())
    })
    .await
}
