//! Shell completion: kubectl runs `kubectl_complete-cu` with the words after `kubectl cu`, and reads one candidate per line
//! with its description, and a directive for the shell.

use std::{ffi::OsString, process::ExitCode};

use clap::{Arg, Command, CommandFactory};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete as candidates};

use super::{Cli, known::Known};
use crate::{error::Error, goal::STATES, printer::FORMATS, stdio::write_stdout};

/// Directive `ShellCompDirectiveNoFileComp` of cobra: no file names.
const NO_FILES: &str = ":4";

/// A candidate with its description.
type Candidate = (String, Option<String>);

/// The script that kubectl runs for completion.
pub const SCRIPT: &str = "#!/bin/sh\nexec kubectl-cu __complete \"$@\"";

/// Writes the candidates for the last word.
///
/// # Errors
/// If they cannot be written.
pub async fn complete(words: &[OsString]) -> Result<ExitCode, Error> {
    let known = Known::of(words, &Cli::command()).await;
    let mut line = vec![OsString::from("kubectl-cu")];
    line.extend_from_slice(words);
    for candidate in matching(&known, line) {
        let value = candidate.get_value().to_string_lossy();
        match candidate.get_help() {
            Some(help) => write_stdout(&format!("{value}\t{help}"))?,
            None => write_stdout(&value)?,
        }
    }
    write_stdout(NO_FILES)?;
    Ok(ExitCode::SUCCESS)
}

/// The candidates for the last word. Options are candidates if the word starts with `-`, like in kubectl.
fn matching(known: &Known, line: Vec<OsString>) -> impl Iterator<Item = CompletionCandidate> {
    let last = line.len().saturating_sub(1);
    let option = line.last().is_some_and(|word| word.to_string_lossy().starts_with('-'));
    // An invalid command line has no candidates.
    let all = candidates(&mut command(known), line, last, None).unwrap_or_default();
    all.into_iter()
        .filter(move |one| !one.is_hide_set() && (option || !one.get_value().to_string_lossy().starts_with('-')))
}

/// The command line with candidates for values.
fn command(known: &Known) -> Command {
    let root = Cli::command();
    let names: Vec<_> = root.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let root = names.iter().fold(root, |root, name| root.mut_subcommand(name, |sub| completed(sub, known)));
    completed(root, known)
}

/// Adds the candidates for the values of a command.
fn completed(command: Command, known: &Known) -> Command {
    let pools = command.get_name() == "pools";
    let names = if pools { &known.pools } else { &known.units };
    let values: [(&str, Vec<Candidate>); 9] = [
        ("names", plain(names)),
        ("pool", plain(&known.pools)),
        ("image", plain(&known.images)),
        ("owner", plain(&known.owners)),
        ("namespace", plain(&known.namespaces)),
        ("context", plain(&known.contexts)),
        ("container", plain(&known.containers)),
        ("output", FORMATS.iter().map(|format| ((*format).to_owned(), None)).collect()),
        ("goals", STATES.iter().map(|(state, help)| ((*state).to_owned(), Some((*help).to_owned()))).collect()),
    ];
    values.into_iter().fold(command, |command, (id, values)| {
        // Arguments with a closed set of values have candidates already.
        let open = |arg: &Arg| arg.get_id() == id && arg.get_possible_values().is_empty();
        if command.get_arguments().any(open) { command.mut_arg(id, |arg| arg.add(completer(values))) } else { command }
    })
}

fn plain(values: &[String]) -> Vec<Candidate> {
    values.iter().map(|value| (value.clone(), None)).collect()
}

fn completer(values: Vec<Candidate>) -> ArgValueCompleter {
    ArgValueCompleter::new(move |prefix: &std::ffi::OsStr| {
        let prefix = prefix.to_string_lossy();
        let matching = values.iter().filter(|(value, _)| value.starts_with(&*prefix));
        matching.map(|(value, help)| CompletionCandidate::new(value).help(help.clone().map(Into::into))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completions(words: &[&str]) -> Vec<String> {
        let line = ["kubectl-cu"].iter().chain(words).map(OsString::from).collect();
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let known = Known {
            units: list(&["ada", "adam", "bob"]),
            pools: list(&["default", "gpu"]),
            images: list(&["python", "r"]),
            owners: list(&["eve"]),
            namespaces: list(&["team"]),
            contexts: list(&["lab"]),
            containers: list(&["engine"]),
        };
        matching(&known, line).map(|one| one.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn commands_options_states_and_units_are_completed() {
        assert_eq!(completions(&["res"]), ["resume", "restart", "resize"]);
        assert_eq!(completions(&["li"]), ["list"]);
        assert_eq!(completions(&["suspend", "ad"]), ["ada", "adam"]);
        assert_eq!(completions(&["suspend", "ada", "b"]), ["bob"]);
        assert!(completions(&["resize", "ada", "--mem"]).contains(&"--memory".to_owned()));
        assert!(completions(&["wait", "ada", "--for", "sus"]).contains(&"suspended".to_owned()));
        assert_eq!(completions(&["suspend", ""]), ["ada", "adam", "bob"], "options only after a hyphen");
        assert!(completions(&["suspend", "-"]).contains(&"--wait".to_owned()));
        assert!(!completions(&[""]).contains(&"__complete".to_owned()));
    }

    #[test]
    fn values_of_options_are_completed() {
        for (words, expected) in [
            (&["create", "ada", "--pool", ""][..], &["default", "gpu"][..]),
            (&["create", "ada", "--image", "p"], &["python"]),
            (&["list", "--owner", ""], &["eve"]),
            (&["list", "-n", ""], &["team"]),
            (&["suspend", "--context", "l"], &["lab"]),
            (&["logs", "ada", "-c", ""], &["engine"]),
            (&["pools", "g"], &["gpu"]),
            (&["list", "-o", "cus"], &["custom-columns="]),
            (&["wait", "ada", "--for", "cond"], &["condition="]),
            (&["list", "--columns", "na"], &["namespace", "name"]),
            (&["create", "ada", "--idle-action", "s"], &["suspend"]),
        ] {
            assert_eq!(completions(words), expected, "{words:?}");
        }
    }

    #[test]
    fn every_option_is_completed() {
        for (command, options) in [
            (
                "suspend",
                &["--field-selector", "--owner", "--all-namespaces", "--timeout", "--dry-run", "--ignore-not-found"][..],
            ),
            ("create", &["--labels", "--annotations", "--env-from", "--requests", "--filename", "--idle-timeout"]),
            ("list", &["--sort-by", "--no-headers", "--show-labels", "--output"]),
            ("logs", &["--all-containers", "--since-time", "--limit-bytes", "--max-log-requests"]),
            ("doctor", &["--operator-namespace", "--all-namespaces"]),
            ("version", &["--client"]),
        ] {
            let found = completions(&[command, "--"]);
            for option in options {
                assert!(found.contains(&(*option).to_owned()), "{command} {option}: {found:?}");
            }
        }
    }
}
