//! What a shell offers when the user types half a word: kubectl runs `kubectl_complete-cu` with the words after
//! `kubectl cu` and reads a candidate a line, each with its meaning, and a directive for the shell at the end.

use std::{ffi::OsString, process::ExitCode, time::Duration};

use clap::{Command, CommandFactory, FromArgMatches};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete as candidates};
use kube::{ResourceExt, api::ListParams};
use tokio::time::timeout;

use super::Cli;
use crate::{connection::connect, error::Error, options::ConnectionArgs, stdio::write_stdout};

/// How long the shell may have to wait for names of units.
const TIMEOUT: Duration = Duration::from_secs(2);
/// To the shell: offer no files. The number is that of cobra, in which kubectl is written.
const NO_FILES: &str = ":4";
/// Commands that are about units that there are.
const ABOUT_UNITS: &[&str] =
    &["list", "describe", "suspend", "resume", "restart", "resize", "open", "logs", "wait", "delete"];

/// The file by which kubectl finds the candidates.
pub const SCRIPT: &str = "#!/bin/sh\nexec kubectl-cu __complete \"$@\"";

/// Writes the candidates for the last of these words.
///
/// # Errors
/// If they cannot be written.
pub async fn complete(words: &[OsString]) -> Result<ExitCode, Error> {
    let names = names(words).await;
    let mut line = vec![OsString::from("kubectl-cu")];
    line.extend_from_slice(words);
    for candidate in offered(names, line) {
        let value = candidate.get_value().to_string_lossy();
        match candidate.get_help() {
            Some(help) => write_stdout(&format!("{value}\t{help}"))?,
            None => write_stdout(&value)?,
        }
    }
    write_stdout(NO_FILES)?;
    Ok(ExitCode::SUCCESS)
}

/// What fits the last word of the line. Options are offered to whoever has begun one, as kubectl does.
fn offered(names: Vec<String>, line: Vec<OsString>) -> impl Iterator<Item = CompletionCandidate> {
    let last = line.len() - 1;
    let option = line[last].to_string_lossy().starts_with('-');
    // A line that makes no sense has no candidates.
    let all = candidates(&mut command(names), line, last, None).unwrap_or_default();
    all.into_iter()
        .filter(move |one| !one.is_hide_set() && (option || !one.get_value().to_string_lossy().starts_with('-')))
}

/// The command line, which knows these units.
fn command(names: Vec<String>) -> Command {
    ABOUT_UNITS.iter().fold(Cli::command(), |command, about| {
        let names = names.clone();
        let completer = ArgValueCompleter::new(move |begun: &std::ffi::OsStr| {
            let begun = begun.to_string_lossy();
            names.iter().filter(|name| name.starts_with(&*begun)).map(CompletionCandidate::new).collect()
        });
        command.mut_subcommand(about, |command| command.mut_arg("names", |names| names.add(completer)))
    })
}

/// The units that there are, where the words before name a cluster that answers soon enough.
async fn names(words: &[OsString]) -> Vec<String> {
    let begun = words.split_last().map_or(&[][..], |(_, before)| before);
    if !begun.iter().any(|word| ABOUT_UNITS.iter().any(|about| *about == word.as_os_str())) {
        return vec![];
    }
    let line = [OsString::from("kubectl-cu")].into_iter().chain(begun.iter().cloned());
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(line).ok();
    let named = matches.as_ref().and_then(|matches| matches.subcommand());
    let args = named.and_then(|(_, matches)| ConnectionArgs::from_arg_matches(matches).ok()).unwrap_or_default();
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

    fn offered(words: &[&str]) -> Vec<String> {
        let line = ["kubectl-cu"].iter().chain(words).map(OsString::from).collect();
        let all = super::offered(vec!["ada".into(), "adam".into(), "bob".into()], line);
        all.map(|one| one.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn commands_options_states_and_units_are_offered() {
        assert_eq!(offered(&["res"]), ["resume", "restart", "resize"]);
        assert_eq!(offered(&["suspend", "ad"]), ["ada", "adam"]);
        assert_eq!(offered(&["suspend", "ada", "b"]), ["bob"]);
        assert!(offered(&["resize", "ada", "--mem"]).contains(&"--memory".to_owned()));
        assert!(offered(&["wait", "ada", "--for", "sus"]).contains(&"suspended".to_owned()));
        assert_eq!(offered(&["suspend", ""]), ["ada", "adam", "bob"], "options only to whoever begins one");
        assert!(offered(&["suspend", "-"]).contains(&"--wait".to_owned()));
        assert!(!offered(&[""]).contains(&"__complete".to_owned()));
    }
}
