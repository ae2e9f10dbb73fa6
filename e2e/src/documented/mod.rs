//! Runs the commands of a page of the documentation as they are written, and compares their output with that on the page.
//!
//! All blocks of a page share one shell, in an empty folder. Its kubeconfig selects the namespace of the test.

pub mod page;

use std::{fmt::Write, fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, bail, ensure};
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::{Pid, Signal, kill_process_group},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe::OpenOptions,
    process::Command,
    time::timeout,
};

use self::page::Block;
use crate::{cluster::kubeconfig::select_namespace, fixture::Fixture, tool};

/// The deadline for all commands of a page.
const LIMIT: Duration = Duration::from_mins(8);
/// The heading of the section whose commands remove what the others have created.
const CLEAN_UP: &str = "## Clean up";
/// The named pipes of a pause: the script writes to the first one, and then reads the second one.
const PAUSED: &str = "paused";
const RESUME: &str = "resume";
/// The lines that the script prints before and after each block.
const MARK: &str = "--- e2e";

/// Runs a page, given its path in the repository.
///
/// # Errors
/// If a command fails that should not, or the other way round, or an output is another one than that on the page.
pub async fn run(fixture: &Fixture, path: &str) -> anyhow::Result<()> {
    let no_pause = async |_: &Path| Ok(());
    run_pausing(fixture, path, None, no_pause).await
}

/// Runs a page, and `check` in the folder of the commands, before those of the section with the heading `before`.
///
/// # Errors
/// Same as [`run`], and those of the check.
pub async fn run_pausing(
    fixture: &Fixture,
    path: &str,
    before: Option<&str>,
    check: impl AsyncFnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let blocks = page::blocks(&fs::read_to_string(tool::file(path))?).context(path.to_owned())?;
    ensure!(!blocks.is_empty(), "{path} has no commands");
    let folder = tempfile::tempdir()?;
    let kubeconfig = fs::read_to_string(fixture.cluster.kubeconfig())?;
    fs::write(folder.path().join("kubeconfig"), select_namespace(&kubeconfig, &fixture.namespace)?)?;
    let pause = before.map(|heading| {
        let first = blocks.iter().position(|block| block.section == heading);
        first.with_context(|| format!("{path} has no commands in a section {heading:?}"))
    });
    let pause = pause.transpose()?;
    fs::write(folder.path().join("script"), script(&blocks, pause))?;
    let succeeded = execute(folder.path(), check).await.with_context(|| path.to_owned())?;
    let output = fs::read_to_string(folder.path().join("output"))?;
    compare(&blocks, &output, succeeded).with_context(|| path.to_owned())
}

/// The script of all blocks, which pauses before the block `pause`. If one fails, those that clean up are run.
fn script(blocks: &[Block], pause: Option<usize>) -> String {
    let mut script = String::from("exec 2>&1\nset -e\ntutorial_clean_up() {\nset +e\n");
    for block in blocks.iter().filter(|block| block.section == CLEAN_UP) {
        let _ = writeln!(script, "{}", block.commands);
    }
    script.push_str("}\ntrap tutorial_clean_up EXIT\nmkdir work; cd work\n");
    for (index, block) in blocks.iter().enumerate() {
        if pause == Some(index) {
            let _ = writeln!(script, "echo > ../{PAUSED}; read -r < ../{RESUME}");
        }
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

/// Runs the script in `folder`, and `check` when it pauses. Returns whether it succeeded. Ends the processes that it leaves
/// behind.
async fn execute(folder: &Path, check: impl AsyncFnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<bool> {
    // Open for both directions, so that neither end waits for the other.
    let pipe = |name: &str| -> anyhow::Result<_> {
        let path = folder.join(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0)?;
        Ok((
            OpenOptions::new().read_write(true).open_receiver(&path)?,
            OpenOptions::new().read_write(true).open_sender(&path)?,
        ))
    };
    let ((mut paused, _paused), (_resume, mut resume)) = (pipe(PAUSED)?, pipe(RESUME)?);
    let mut bash = Command::new("bash");
    bash.arg("script").current_dir(folder).env("KUBECONFIG", folder.join("kubeconfig"));
    // A background process keeps a pipe open.
    bash.stdin(Stdio::null()).stdout(fs::File::create(folder.join("output"))?).process_group(0).kill_on_drop(true);
    let mut child = bash.spawn().context("start bash")?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).context("bash has ended")?;
    let (mut pause, mut checked) = (Some(check), Ok(()));
    let run = async {
        loop {
            tokio::select! {
                status = child.wait() => return status,
                byte = paused.read_u8(), if pause.is_some() => if let (Ok(_), Some(check)) = (byte, pause.take()) {
                    checked = Box::pin(check(&folder.join("work"))).await;
                    // The script cleans up what the check has found.
                    resume.write_all(b"\n").await?;
                },
            }
        }
    };
    let done = timeout(LIMIT, run).await;
    let _ = kill_process_group(group, Signal::TERM);
    match done {
        Ok(status) => checked.and(Ok(status?.success())),
        Err(_) => bail!("not within {LIMIT:?}:\n{}", fs::read_to_string(folder.join("output"))?),
    }
}

/// Compares the outputs of all blocks.
fn compare(blocks: &[Block], output: &str, succeeded: bool) -> anyhow::Result<()> {
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
        fs::write(folder.path().join("script"), script(&blocks, None))?;
        let succeeded = execute(folder.path(), async |_| Ok(())).await?;
        let output = fs::read_to_string(folder.path().join("output"))?;
        compare(&blocks, &output, succeeded)
    }

    #[tokio::test]
    async fn script_pauses_for_a_check_and_continues_after_it() {
        let blocks = page::blocks("```bash\ntouch a\n```\n\n## Next\n\n```bash\ncat b\n```\n").unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("script"), script(&blocks, Some(1))).unwrap();
        let check = async |work: &Path| {
            ensure!(work.join("a").exists(), "the commands before it were run");
            Ok(fs::write(work.join("b"), "made\n")?)
        };
        assert!(execute(folder.path(), check).await.unwrap());
        let again = tempfile::tempdir().unwrap();
        fs::write(again.path().join("script"), script(&blocks, Some(1))).unwrap();
        let error = execute(again.path(), async |_| bail!("no")).await.unwrap_err();
        assert_eq!(error.to_string(), "no");
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
