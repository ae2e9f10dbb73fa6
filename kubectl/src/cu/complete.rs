//! Shell completion: kubectl runs `kubectl_complete-cu` with the words after `kubectl cu`, and reads one candidate per line
//! with its description, and a directive for the shell.

use std::{ffi::OsString, process::ExitCode, time::Duration};

use clap::{Command, CommandFactory, FromArgMatches};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete as candidates};
use kube::{ResourceExt, api::ListParams};
use tokio::time::timeout;

use super::Cli;
use crate::{connection::connect, error::Error, options::ConnectionArgs, stdio::write_stdout};

/// Timeout for the names of units.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Directive `ShellCompDirectiveNoFileComp` of cobra: no file names.
const NO_FILES: &str = ":4";
/// Commands that complete names of units.
const UNIT_COMMANDS: &[&str] =
    &["list", "describe", "suspend", "resume", "restart", "resize", "open", "logs", "wait", "delete"];

/// The script that kubectl runs for completion.
pub const SCRIPT: &str = "#!/bin/sh\nexec kubectl-cu __complete \"$@\"";

/// Writes the candidates for the last word.
///
/// # Errors
/// If they cannot be written.
pub async fn complete(words: &[OsString]) -> Result<ExitCode, Error> {
    let names = names(words).await;
    let mut line = vec![OsString::from("kubectl-cu")];
    line.extend_from_slice(words);
    for candidate in matching(names, line) {
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
fn matching(names: Vec<String>, line: Vec<OsString>) -> impl Iterator<Item = CompletionCandidate> {
    let last = line.len() - 1;
    let option = line[last].to_string_lossy().starts_with('-');
    // An invalid command line has no candidates.
    let all = candidates(&mut command(names), line, last, None).unwrap_or_default();
    all.into_iter()
        .filter(move |one| !one.is_hide_set() && (option || !one.get_value().to_string_lossy().starts_with('-')))
}

/// The command line with the names of units as candidates.
fn command(names: Vec<String>) -> Command {
    UNIT_COMMANDS.iter().fold(Cli::command(), |command, name| {
        let names = names.clone();
        let completer = ArgValueCompleter::new(move |prefix: &std::ffi::OsStr| {
            let prefix = prefix.to_string_lossy();
            names.iter().filter(|name| name.starts_with(&*prefix)).map(CompletionCandidate::new).collect()
        });
        command.mut_subcommand(name, |command| command.mut_arg("names", |names| names.add(completer)))
    })
}

/// The names of the units in the cluster and namespace of the command line; empty after the timeout.
async fn names(words: &[OsString]) -> Vec<String> {
    let previous = words.split_last().map_or(&[][..], |(_, previous)| previous);
    if !previous.iter().any(|word| UNIT_COMMANDS.iter().any(|name| *name == word.as_os_str())) {
        return vec![];
    }
    let line = [OsString::from("kubectl-cu")].into_iter().chain(previous.iter().cloned());
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(line).ok();
    let subcommand = matches.as_ref().and_then(|matches| matches.subcommand());
    let args = subcommand.and_then(|(_, matches)| ConnectionArgs::from_arg_matches(matches).ok()).unwrap_or_default();
    let listed = async {
        let connection = connect(&args).await.ok()?;
        Some(connection.units().list_metadata(&ListParams::default()).await.ok()?.items)
    };
    let units = timeout(TIMEOUT, listed).await.ok().flatten().unwrap_or_default();
    units.iter().map(ResourceExt::name_any).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completions(words: &[&str]) -> Vec<String> {
        let line = ["kubectl-cu"].iter().chain(words).map(OsString::from).collect();
        let all = matching(vec!["ada".into(), "adam".into(), "bob".into()], line);
        all.map(|one| one.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn commands_options_states_and_units_are_completed() {
        assert_eq!(completions(&["res"]), ["resume", "restart", "resize"]);
        assert_eq!(completions(&["suspend", "ad"]), ["ada", "adam"]);
        assert_eq!(completions(&["suspend", "ada", "b"]), ["bob"]);
        assert!(completions(&["resize", "ada", "--mem"]).contains(&"--memory".to_owned()));
        assert!(completions(&["wait", "ada", "--for", "sus"]).contains(&"suspended".to_owned()));
        assert_eq!(completions(&["suspend", ""]), ["ada", "adam", "bob"], "options only after a hyphen");
        assert!(completions(&["suspend", "-"]).contains(&"--wait".to_owned()));
        assert!(!completions(&[""]).contains(&"__complete".to_owned()));
    }
}
