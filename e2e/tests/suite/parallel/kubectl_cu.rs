//! `kubectl cu`.

use std::process::Stdio;

use anyhow::{Context, ensure};
use computing_unit_api::{OperatingMode, Phase};
use e2e::{
    demo::show::ResolvedUrl,
    fixture::{Fixture, SOON},
    tool::{self, Output},
    units::{self, Mode, with},
    wait::eventually,
};
use kube::api::ListParams;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};

use super::with_fixture;

/// Runs `kubectl cu` in the namespace of the test.
async fn cu(fixture: &Fixture, line: &str) -> anyhow::Result<Output> {
    tool::output(&fixture.cluster, &format!("kubectl cu {line} -n {}", fixture.namespace)).await
}

/// The same, and requires that it succeeds. Returns its output.
async fn done(fixture: &Fixture, line: &str) -> anyhow::Result<String> {
    let output = cu(fixture, line).await?;
    ensure!(output.code == Some(0), "kubectl cu {line}: {output:?}");
    Ok(output.stdout)
}

/// The same, and requires that it fails with this message.
async fn refused(fixture: &Fixture, line: &str, message: &str) -> anyhow::Result<Output> {
    let output = cu(fixture, line).await?;
    ensure!(
        output.code == Some(1) && output.stderr.contains(message),
        "kubectl cu {line} does not say {message:?}: {output:?}"
    );
    Ok(output)
}

#[tokio::test(flavor = "multi_thread")]
async fn units_are_suspended_and_opened_again() -> anyhow::Result<()> {
    with_fixture("cu-mode", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        for name in ["ada", "bob"] {
            fixture.create(&with(&fixture.unit(name), &json!({"metadata": {"labels": {"course": "101"}}}))).await?;
        }
        let met = done(&fixture, "wait -l course=101 --for=condition=Ready --timeout=2m").await?;
        assert_eq!(met.matches(" condition met\n").count(), 2, "{met}");
        let urls = done(&fixture, "url -l course=101").await?;
        assert_eq!(urls.lines().count(), 2, "{urls}");
        ResolvedUrl::of(urls.lines().next().unwrap()).await?.get().await?;
        let line = format!("env BROWSER=true kubectl cu open ada -n {}", fixture.namespace);
        let opened = tool::output(&fixture.cluster, &line).await?;
        ensure!(opened.stdout.trim() == urls.lines().next().unwrap(), "{opened:?}");
        let log = done(&fixture, "logs -l course=101 --tail=-1").await?;
        ensure!(
            log.contains("[pod/ada/engine] ada listens on port 8085") && log.contains("[pod/bob/engine] bob listens"),
            "{log}"
        );

        let output = cu(&fixture, "suspend -l course=101 --wait").await?;
        ensure!(
            output.code == Some(0)
                && output.stdout.contains("/ada suspended")
                && output.stdout.contains("/bob suspended"),
            "{output:?}"
        );
        ensure!(
            output.stderr.contains("Suspending") && output.stderr.contains("Suspended"),
            "the stages as they pass: {output:?}"
        );
        let list = done(&fixture, "list --columns name,phase,url").await?;
        let rows: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["NAME", "PHASE", "URL"]);
        assert_eq!((rows[1][0], rows[1][1], rows[2][0], rows[2][1]), ("ada", "Suspended", "bob", "Suspended"));
        let output = refused(&fixture, "url ada", "is Suspended; use kubectl cu url --resume ada").await?;
        let advice = output.stderr.trim().split_once("use kubectl ").unwrap().1;
        refused(&fixture, "logs ada", "has no pod").await?;
        refused(&fixture, "wait ada", "is not ready: Suspended").await?;

        // The advice can be pasted.
        let output = tool::output(&fixture.cluster, &format!("kubectl {advice}")).await?;
        ResolvedUrl::of(output.stdout.trim()).await.with_context(|| format!("{output:?}"))?.get().await?;
        // What is wrong with one is no reason to leave the others.
        let output = refused(
            &fixture,
            "resume nobody bob --wait --timeout=2m",
            "computing unit \"nobody\" not found in namespace",
        )
        .await?;
        ensure!(output.stdout.contains("/bob resumed") && output.stdout.contains("http://"), "{output:?}");
        done(&fixture, "suspend ada --wait").await?;
        // The result does not depend on the order, and nobody has suspended bob.
        for line in ["wait ada bob --for=suspended --timeout=1s", "wait bob ada --for=suspended --timeout=0"] {
            let output =
                refused(&fixture, line, "computing unit \"bob\" is not suspended, waiting for its suspension").await?;
            ensure!(output.stdout.contains("/ada condition met") && !output.stdout.contains("bob"), "{output:?}");
        }

        for line in ["delete pod/ada", "delete ada 30s", "delete ada --wait false", "delete -l=", "delete -A"] {
            let output = cu(&fixture, line).await?;
            ensure!(output.code == Some(1) && output.stdout.is_empty(), "{line}: {output:?}");
        }
        assert_eq!(fixture.units().list(&ListParams::default()).await?.items.len(), 2, "nothing was deleted");
        let output = cu(&fixture, "delete --all").await?;
        ensure!(
            output.code == Some(0)
                && output.stdout.contains("\"ada\" deleted from")
                && output.stdout.contains("\"bob\" deleted from"),
            "{output:?}"
        );
        ensure!(fixture.units().list(&ListParams::default()).await?.items.is_empty(), "delete waits");
        refused(&fixture, "delete ada", "not found").await?;
        done(&fixture, "delete ada --ignore-not-found").await?;
        done(&fixture, "wait ada --for=delete").await?;
        refused(&fixture, "wait -l course=999", "no matching computing units found").await?;
        let output = cu(&fixture, "list").await?;
        ensure!(output.code == Some(0) && output.stderr.starts_with("no computing units found"), "{output:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_unit_is_described_and_retried() -> anyhow::Result<()> {
    with_fixture("cu-failed", |fixture| async move {
        let engine = |env: Value| {
            let container = json!({"name": "engine", "image": units::ENGINE, "env": env});
            json!({"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}})
        };
        let fails = json!([{"name": "FAIL_START", "value": "3"}, {"name": "FAIL_MESSAGE", "value": "out of cheese"}]);
        fixture.create_pool_with(&engine(fails)).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        refused(&fixture, "wait ada --timeout=2m", "is not ready: PodFailed").await?;
        let text = done(&fixture, "describe ada").await?;
        for message in ["Phase:", "Failed", "Last failure:", "Exit code:", "out of cheese", "Conditions:", "Events:"] {
            ensure!(text.contains(message), "{message} in\n{text}");
        }
        // A repaired pool alone does not restart a failed unit.
        fixture.edit_pool(engine(json!([]))).await?;
        let output = cu(&fixture, "resume ada --wait --timeout=2m").await?;
        ensure!(output.code == Some(0) && output.stdout.contains("http://"), "{output:?}");
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_resized_and_restarted() -> anyhow::Result<()> {
    with_fixture("cu-resize", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        let small = json!({"spec": {"resources": {"limits": {"cpu": "100m", "memory": "64Mi"}}}});
        fixture.create(&with(&fixture.unit("ada"), &small)).await?;
        fixture.until("ada", Phase::Ready).await?;
        done(&fixture, "resize ada --memory 96Mi --wait --timeout=2m").await?;
        let pod = fixture.pods().get("ada").await?;
        let given = pod.status.unwrap().container_statuses.unwrap()[0].resources.clone().unwrap();
        assert_eq!(json!(given.limits), json!({"cpu": "100m", "memory": "96Mi"}));
        refused(&fixture, "resize ada --cpu 1000 --wait --timeout=2m", "is not resized: Infeasible").await?;
        ensure!(done(&fixture, "list ada").await?.contains("ResizePending:Infeasible"));
        done(&fixture, "resize ada --cpu 100m --wait --timeout=2m").await?;

        fixture.edit("ada", json!({"env": [{"name": "COLOUR", "value": "green"}]})).await?;
        fixture.until_condition("ada", "UpdatePending", "True", "TemplateChanged").await?;
        let before = fixture.pods().get("ada").await?.metadata.uid;
        // It returns when the pod is stopping, and the unit starts again by itself.
        let output = cu(&fixture, "restart ada").await?;
        ensure!(output.code == Some(0) && output.stdout.ends_with("/ada restarted\n"), "{output:?}");
        done(&fixture, "wait ada --timeout=2m").await?;
        ensure!(fixture.pods().get("ada").await?.metadata.uid != before, "another pod");
        ensure!(!done(&fixture, "list ada").await?.contains("UpdatePending"));
        let pod = fixture.pods().get("ada").await?;
        let env = pod.spec.unwrap().containers[0].env.clone().unwrap();
        ensure!(env.iter().any(|variable| variable.value.as_deref() == Some("green")), "{env:?}");
        fixture.delete("ada").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_shows_each_change_and_ends_with_ctrl_c() -> anyhow::Result<()> {
    with_fixture("cu-watch", |fixture| async move {
        fixture.create_default_pool(Mode::Query).await?;
        let _operator = fixture.start().await?;
        fixture.create(&fixture.unit("ada")).await?;
        fixture.until("ada", Phase::Ready).await?;
        let line = format!("kubectl-cu list --watch --columns name,phase -n {}", fixture.namespace);
        let mut watch = tool::command(&fixture.cluster, &line)?.stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(watch.stdout.take().context("its output")?).lines();
        let mut until = async |row: &str| {
            let seen = async {
                while let Some(line) = lines.next_line().await? {
                    if line.split_whitespace().collect::<Vec<_>>().join(" ") == row {
                        return anyhow::Ok(());
                    }
                }
                anyhow::bail!("the watch ends")
            };
            timeout(SOON, seen).await.with_context(|| format!("no row {row:?}"))?
        };
        until("ada Ready").await?;
        done(&fixture, "suspend ada").await?;
        until("ada Suspended").await?;
        done(&fixture, "delete ada --wait=false").await?;
        until("ada Deleted").await?;

        fixture.create(&fixture.unit("bob")).await?;
        let line = format!("kubectl-cu wait bob --for=finished -n {}", fixture.namespace);
        let mut waiting = tool::command(&fixture.cluster, &line)?.stderr(Stdio::piped()).spawn()?;
        let mut said = BufReader::new(waiting.stderr.take().context("its words")?).lines();
        timeout(SOON, said.next_line()).await.context("it does not begin to wait")??;
        let id = waiting.id().context("it runs")?;
        tool::run(&fixture.cluster, "kill", &["-INT", &id.to_string()]).await?;
        let ended = timeout(SOON, waiting.wait()).await.context("it goes on")??;
        assert_eq!(ended.code(), Some(130));
        fixture.delete("bob").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_completes_unit_names_and_a_forbidden_user_sees_the_missing_verb() -> anyhow::Result<()> {
    with_fixture("cu-shell", |fixture| async move {
        for name in ["ada", "adam"] {
            fixture.create(&fixture.unit(name)).await?;
        }
        let offered = || async {
            let output = cu_complete(&fixture, "suspend ad").await?;
            Ok((output == ["ada", "adam", ":4"]).then_some(()))
        };
        eventually("names of units", SOON, offered).await?;
        ensure!(cu_complete(&fixture, "wait ada --for sus").await?[0].starts_with("suspended"));
        let output = refused(&fixture, "list --as eve", "user \"eve\" cannot list computing units").await?;
        ensure!(output.stderr.contains("requires the verb \"list\""), "{output:?}");
        refused(&fixture, "suspend ada --as eve", "user \"eve\" cannot get computing units").await?;
        Ok(())
    })
    .await
}

/// The completions of `kubectl cu -n NAMESPACE`.
async fn cu_complete(fixture: &Fixture, line: &str) -> anyhow::Result<Vec<String>> {
    let line = format!("kubectl __complete cu -n {} {line}", fixture.namespace);
    let output = tool::output(&fixture.cluster, &line).await?;
    ensure!(output.code == Some(0), "{output:?}");
    Ok(output.stdout.lines().map(str::to_owned).collect())
}

/// The output of `kubectl get computingunits` and of `kubectl cu list`, each with these arguments.
async fn both(fixture: &Fixture, args: &[&str]) -> (anyhow::Result<String>, anyhow::Result<String>) {
    let namespace = ["-n", &fixture.namespace];
    let get = [&["get", "computingunits"], args, &namespace].concat();
    let list = [&["list"], args, &namespace].concat();
    tokio::join!(tool::run(&fixture.cluster, "kubectl", &get), tool::run(&fixture.cluster, "kubectl-cu", &list))
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_printed_like_kubectl() -> anyhow::Result<()> {
    with_fixture("cu-print", |fixture| async move {
        for (name, cuid, labels) in [("ada", 9, json!({"my-team": "blue", "a.b/c": "d"})), ("bob", 10, json!({}))] {
            let limits = json!({"cpu": "2", "memory": "1Gi"});
            let more =
                json!({"metadata": {"labels": labels}, "spec": {"owner": name, "resources": {"limits": limits}}});
            fixture.create(&with(&units::unit(&fixture.namespace, name, cuid), &more)).await?;
        }
        // kubectl takes long to start, so one template has all forms.
        let template = [
            "{.kind} {.apiVersion}",
            "{.items[*].metadata.name}",
            "{.items[*]['metadata.name', 'spec.cuid']}",
            "{range .items[*]}{.metadata.name}{\"\\t\"}{.spec.resources.limits}{\"\\n\"}{end}",
            "{range .items[*]}[{@.spec.owner}{range .metadata.labels}{.my-team},{end}]{end}",
            "{.items[?(@.spec.cuid>9)].metadata.name}",
            "{.items[?(@.spec.owner==\"ada\")].spec.cuid}",
            "{.items[?(@.metadata.labels.my-team)].spec.cuid}",
            "{.items[0].metadata.labels.my-team} {.items[0].metadata.labels.a\\.b/c} {.items[-1].spec.owner}",
            "{.items[0].metadata.labels['a\\.b/c']}{.items[0:1].spec.cuid}{.items[1].metadata.none}",
            "{.items[0,1].spec.owner}{.items[-1:].spec.cuid}{.items[1].metadata.labels}",
        ]
        .join("|");
        let template = format!("jsonpath={template}");
        for args in [
            &["-o", &template][..],
            &["-o", "custom-columns=NAME:.metadata.name,N:spec.cuid,LIMITS:.spec.resources.limits,NONE:{.x}"],
            &["-o", "custom-columns=A:.metadata.name", "--no-headers", "--sort-by=.spec.cuid"],
            &["-o", "name", "--sort-by={.metadata.uid}", "-l", "my-team", "--field-selector", "spec.owner=ada"],
            &["ada", "-o", "jsonpath={.metadata.name}"],
        ] {
            let (expected, printed) = both(&fixture, args).await;
            assert_eq!(printed?, expected?, "{args:?}");
        }
        for args in [&["ada", "-o", "json"][..], &["-o", "json"]] {
            let (expected, printed) = both(&fixture, args).await;
            assert_eq!(
                serde_json::from_str::<Value>(&printed?)?,
                serde_json::from_str::<Value>(&expected?)?,
                "{args:?}"
            );
        }
        let (expected, printed) = both(&fixture, &["ada", "-o", "yaml"]).await;
        assert_eq!(serde_saphyr::from_str::<Value>(&printed?)?, serde_saphyr::from_str::<Value>(&expected?)?);
        for args in [&["-o", "jsonpath={.items[7]}"][..], &["--sort-by=.spec.none", "-o", "name"], &["nobody"]] {
            let (expected, printed) = both(&fixture, args).await;
            ensure!(expected.is_err() && printed.is_err(), "{args:?}");
        }
        ensure!(done(&fixture, "list --owner bob --no-headers --show-labels").await?.starts_with("bob "));
        ensure!(done(&fixture, "suspend ada --dry-run=server -o jsonpath={.spec.operatingMode}").await? == "Suspended");
        ensure!(done(&fixture, "suspend ada --dry-run").await?.ends_with("/ada suspended (dry run)\n"));
        ensure!(done(&fixture, "delete ada --dry-run=server").await?.ends_with("namespace (server dry run)\n"));
        ensure!(fixture.units().get("ada").await?.spec.operating_mode == OperatingMode::Running);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_show_what_is_on_offer() -> anyhow::Result<()> {
    with_fixture("cu-pools", |fixture| async move {
        fixture
            .create_pool_with(&json!({
                "images": [{"name": "r", "image": units::ENGINE}, {"name": "python", "image": units::ENGINE, "default": true}],
                "resources": {"max": {"cpu": "2"}}, "lifecycle": {"idleTimeout": "30m"},
                "routing": {"baseURL": "https://units.example.org"},
            }))
            .await?;
        let _operator = fixture.start().await?;
        let row = || async {
            let table = done(&fixture, "pools --no-headers").await?;
            Ok(table.contains("True").then_some(table))
        };
        let row = eventually("a ready pool", SOON, row).await?;
        for expected in ["default", "https://units.example.org/wsapi?cuid=KEY", "python (default), r", "max 2", "128Mi", "30m"] {
            ensure!(row.contains(expected), "{expected}: {row}");
        }
        assert_eq!(done(&fixture, "pools -o name").await?, "computingunitpool.texera.apache.org/default\n");
        refused(&fixture, "pools none", "pool \"none\" not found").await?;
        Ok(())
    })
    .await
}
