//! Runs the commands of a page of the documentation as they are written, and compares their output with that on the page.
//!
//! All blocks of a page share one shell, in an empty folder. Its kubeconfig selects the namespace of the test.

pub mod page;

use std::{fmt::Write, fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{process::Command, time::timeout};

use self::page::Block;
use crate::{cluster::kubeconfig::select_namespace, fixture::Fixture, tool};

/// The deadline for all commands of a page.
const LIMIT: Duration = Duration::from_mins(4);
/// The lines that the script prints before and after each block.
const MARK: &str = "--- e2e";

/// Runs a page, given its path in the repository.
///
/// # Errors
/// If a command fails that should not, or the other way round, or an output is another one than that on the page.
pub async fn run(fixture: &Fixture, path: &str) -> anyhow::Result<()> {
    let blocks = page::blocks(&fs::read_to_string(tool::file(path))?).context(path.to_owned())?;
    ensure!(!blocks.is_empty(), "{path} has no commands");
    let folder = tempfile::tempdir()?;
    let kubeconfig = fs::read_to_string(fixture.cluster.kubeconfig())?;
    fs::write(folder.path().join("kubeconfig"), select_namespace(&kubeconfig, &fixture.namespace)?)?;
    fs::write(folder.path().join("script"), script(&blocks))?;
    let succeeded = execute(folder.path()).await.with_context(|| path.to_owned())?;
    let output = fs::read_to_string(folder.path().join("output"))?;
    check(&blocks, &output, succeeded).with_context(|| path.to_owned())
}

/// The script of all blocks. If one fails, those that clean up are run.
fn script(blocks: &[Block]) -> String {
    let mut script = String::from("exec 2>&1\nset -e\ntutorial_clean_up() {\nset +e\n");
    for block in blocks.iter().filter(|block| block.clean_up) {
        let _ = writeln!(script, "{}", block.commands);
    }
    script.push_str("}\ntrap tutorial_clean_up EXIT\nmkdir work; cd work\n");
    for (index, block) in blocks.iter().enumerate() {
        let (begin, end) =
            if block.fails { ("set +e\n", "tutorial_code=$?\nset -e\n[ $tutorial_code -ne 0 ]\n") } else { ("", "") };
        let _ = writeln!(
            script,
            "echo; echo '{MARK} begin {index}'\n{begin}{}\n{end}echo; echo '{MARK} end {index}'",
            block.commands
        );
    }
    script.push_str("trap - EXIT\n");
    script
}

/// Runs the script in `folder`. Returns whether it succeeded. Ends the processes that it leaves behind.
async fn execute(folder: &Path) -> anyhow::Result<bool> {
    let mut bash = Command::new("bash");
    bash.arg("script").current_dir(folder).env("KUBECONFIG", folder.join("kubeconfig"));
    // A background process keeps a pipe open.
    bash.stdin(Stdio::null()).stdout(fs::File::create(folder.join("output"))?).process_group(0).kill_on_drop(true);
    let mut child = bash.spawn().context("start bash")?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).context("bash has ended")?;
    let done = timeout(LIMIT, child.wait()).await;
    let _ = kill_process_group(group, Signal::TERM);
    match done {
        Ok(status) => Ok(status?.success()),
        Err(_) => bail!("not within {LIMIT:?}:\n{}", fs::read_to_string(folder.join("output"))?),
    }
}

/// Compares the outputs of all blocks.
fn check(blocks: &[Block], output: &str, succeeded: bool) -> anyhow::Result<()> {
    for (index, block) in blocks.iter().enumerate() {
        let at = || format!("the commands in line {}:\n{}", block.line, block.commands);
        let rest = output.split_once(&format!("{MARK} begin {index}\n")).map(|(_, rest)| rest);
        let rest = rest.with_context(|| format!("not run: {}\n{output}", at()))?;
        let own = rest.split_once(&format!("{MARK} end {index}\n")).map(|(own, _)| own);
        let Some(own) = own else { bail!("{} ended with another result than on the page:\n{rest}", at()) };
        if let Some(expected) = &block.expected {
            page::compare(expected, own).with_context(at)?;
        }
    }
    ensure!(succeeded, "the script failed:\n{output}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn outcome(page: &str) -> anyhow::Result<()> {
        let blocks = page::blocks(page)?;
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("script"), script(&blocks))?;
        let succeeded = execute(folder.path()).await?;
        let output = fs::read_to_string(folder.path().join("output"))?;
        check(&blocks, &output, succeeded)
    }

    #[tokio::test]
    async fn blocks_share_a_shell_and_background_processes_end_with_it() {
        let page = "```bash\nA=1\ntail -f /dev/null &\n```\n\n```bash\necho \"$A\"\n```\n\n```text\n1\n```\n";
        outcome(page).await.unwrap();
    }

    #[tokio::test]
    async fn failure_is_reported_with_its_line_and_cleaned_up() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cleaned");
        let page = format!("```bash\necho a\nfalse\n```\n\n## Clean up\n\n```bash\ntouch {}\n```\n", file.display());
        let error = outcome(&page).await.unwrap_err().to_string();
        assert!(error.contains("line 1") && error.contains("echo a"), "{error}");
        assert!(file.exists());
    }

    #[tokio::test]
    async fn another_output_and_an_unexpected_success_are_reported() {
        let error = outcome("```bash\necho a\n```\n\n```text\nb\n```\n").await.unwrap_err();
        assert!(format!("{error:#}").contains("expected:\nb\nfound:\na"), "{error:#}");
        assert!(outcome("```bash fails\ntrue\n```\n").await.is_err());
        outcome("```bash fails\nfalse\n```\n").await.unwrap();
    }
}
