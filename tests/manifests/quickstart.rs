//! The commands of `hack/quickstart.sh`, which need a Docker engine, as far as they can be checked without one.

use std::{path::Path, process::Command};

use super::{CHART, root};

/// The commands that the script would run.
fn commands(kind: &str) -> Vec<String> {
    commands_with(&[kind])
}

fn commands_with(arguments: &[&str]) -> Vec<String> {
    // No program is found, so a command that is run by mistake fails.
    let script = Command::new("bash")
        .args([&root("hack/quickstart.sh"), "--dry-run"])
        .args(arguments)
        // Variables of the Makefile, which are no variables of the script.
        .envs([("CLUSTER", "local"), ("CLUSTER_NAME", "other"), ("PORT", "1")])
        .env("PATH", "/usr/bin:/bin")
        .output();
    let output = script.expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

fn only<'a>(commands: &'a [String], start: &str) -> &'a str {
    let found: Vec<_> = commands.iter().filter(|command| command.starts_with(start)).collect();
    assert_eq!(found.len(), 1, "{start}: {commands:#?}");
    found[0]
}

#[test]
fn images_are_built_and_loaded_and_none_is_pulled() {
    for (kind, load) in [("kind", "kind load docker-image"), ("k3d", "k3d image import")] {
        let commands = commands(kind);
        let loaded = only(&commands, load);
        let built = commands.iter().filter(|command| command.starts_with("docker build "));
        let images: Vec<_> = built.filter_map(|command| command.split_whitespace().nth(3)).collect();
        assert_eq!(images.len(), 2, "{commands:#?}");
        for image in images {
            // Nobody else can publish it.
            assert!(image.starts_with("localhost/") && loaded.contains(image), "{image}: {loaded}");
            let (repository, _) = image.split_once(':').expect("a tag");
            assert!(commands.iter().filter(|command| command.contains(repository)).count() >= 3, "{image} is not used");
        }
    }
}

#[test]
fn files_exist_and_the_chart_accepts_the_values() {
    for kind in ["kind", "k3d"] {
        let commands = commands(kind);
        let words = commands.iter().flat_map(|command| command.split_whitespace());
        for file in words.filter(|word| word.starts_with("config/") || word.starts_with("charts/")) {
            assert!(Path::new(&root(file)).exists(), "{file}");
        }
        let install = only(&commands, "helm install computing-unit-operator ");
        let values = install.split_whitespace().skip_while(|word| *word != "--set");
        let values = values.take_while(|word| *word != "--wait").map(|word| word.trim_matches('\''));
        let helm = Command::new("helm").args(["template", "x", &root(CHART)]).args(values).output().expect("helm");
        assert!(helm.status.success(), "{}", String::from_utf8_lossy(&helm.stderr));
    }
}

/// A command of another cluster than the new one would change a cluster that the user has.
#[test]
fn every_command_names_its_cluster() {
    for kind in ["kind", "k3d"] {
        for command in commands(kind) {
            let words = command.split_whitespace().map(|word| word.trim_start_matches("$("));
            let calls = words.filter(|word| matches!(*word, "kubectl" | "helm")).count();
            assert_eq!(command.matches(&format!("context {kind}-computing-units")).count(), calls, "{command}");
        }
    }
}

#[test]
fn name_and_port_are_chosen_by_options() {
    let commands = commands_with(&["--cluster", "mine", "--port", "9000", "kind"]);
    only(&commands, "kind create cluster --name mine ");
    assert!(commands.iter().any(|command| command.contains("http://localhost:9000")), "{commands:#?}");
    assert!(commands.iter().all(|command| !command.contains("kind-computing-units")), "{commands:#?}");
}

#[test]
fn wrong_arguments_are_rejected() {
    for arguments in [&["--dry-run"][..], &["minikube"], &["kind", "--cluster"]] {
        let status =
            Command::new("bash").arg(root("hack/quickstart.sh")).args(arguments).output().expect("bash").status;
        assert_eq!(status.code(), Some(2), "{arguments:?}");
    }
}
