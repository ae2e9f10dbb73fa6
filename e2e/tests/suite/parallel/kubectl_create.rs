//! `kubectl create computingunit`, as people use it.

use anyhow::ensure;
use computing_unit_operator::api::ComputingUnit;
use e2e::{
    demo::show::Way,
    fixture::Fixture,
    tool::{self, Told},
    units::Mode,
};
use kube::ResourceExt;

use super::with_fixture;

/// What the command line says, in the namespace of the test.
async fn create(fixture: &Fixture, line: &str) -> anyhow::Result<Told> {
    tool::told(&fixture.cluster, &format!("kubectl create computingunit {line} -n {}", fixture.namespace)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_created_and_its_progress_is_shown_until_it_is_reachable() -> anyhow::Result<()> {
    with_fixture("create", |fixture| async move {
        fixture.make_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        let cuid = fixture.unit("ada").spec.cuid.unwrap();
        let line =
            format!("ada --cuid {cuid} --cpu 100m --memory 64Mi --shared-memory 16Mi --env A=b --owner ada --wait=2m");
        let told = create(&fixture, &line).await?;
        ensure!(told.code == Some(0), "{told:?}");
        let lines: Vec<&str> = told.out.lines().collect();
        assert_eq!(lines[0], "computingunit.texera.apache.org/ada created");
        Way::to(lines[1]).await?.get().await?;
        let at = |stage: &str| told.err.find(stage).unwrap_or_else(|| panic!("{stage}: {told:?}"));
        ensure!(at("accepted") < at("pod ready") && at("pod ready") < at("reachable"), "{told:?}");
        let unit = fixture.units().get("ada").await?;
        assert_eq!((unit.spec.cuid, unit.spec.owner.as_deref()), (Some(cuid), Some("ada")));
        let taken = create(&fixture, "ada").await?;
        ensure!(taken.code == Some(1) && taken.err.contains("already exists in namespace"), "{taken:?}");
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_arguments_are_rejected_with_a_readable_message() -> anyhow::Result<()> {
    with_fixture("create-not", |fixture| async move {
        fixture.make_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        for (line, says) in [
            ("ada --cuid 0", "error: --cuid: must be at least 1"),
            ("1ada", "starting with a letter"),
            ("ada --memory 64Mi --shared-memory 128Mi", "error: --shared-memory is taken from the unit's memory"),
            ("ada --image none --wait=1m", "the unit ada does not run: ImageNotOffered"),
            ("bob --pool none --wait=1s", "bob is not ready after 1s, still waiting for the unit to be accepted"),
        ] {
            let told = create(&fixture, line).await?;
            ensure!(told.code == Some(1) && told.err.contains(says), "{line} does not say {says:?}: {told:?}");
            ensure!(!told.err.contains("\"kind\""), "no JSON: {told:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_creates_nothing() -> anyhow::Result<()> {
    with_fixture("create-dry", |fixture| async move {
        let told = create(&fixture, "ada --cuid 7 --dry-run=client -o json").await?;
        let unit: ComputingUnit = serde_json::from_str(&told.out)?;
        assert_eq!((unit.spec.cuid, unit.metadata.uid), (Some(7), None));
        let told = create(&fixture, "ada --cuid 7 --dry-run=server -o yaml").await?;
        let unit: ComputingUnit = serde_saphyr::from_str(&told.out)?;
        ensure!(unit.uid().is_some(), "the API server has completed it: {told:?}");
        let told = create(&fixture, "ada --cuid 0 --dry-run=server").await?;
        ensure!(told.code == Some(1) && told.err.contains("--cuid: must be at least 1"), "{told:?}");
        ensure!(fixture.units().get_opt("ada").await?.is_none());
        Ok(())
    })
    .await
}
