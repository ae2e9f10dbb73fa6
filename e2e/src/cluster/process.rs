//! The processes of a cluster: started with a log and a pid file each, outliving whoever started them, and ended by pid
//! alone. A pid counts only along with the time at which its process began.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::{layout::Layout, shell};

/// Environment variable of every process of a cluster: the cluster's state folder. It finds those that a killed harness
/// had no time to write down.
pub const MARK: &str = "CU_CLUSTER_STATE";
/// The deadline for a process to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(10);

/// The processes of one cluster.
#[derive(Clone, Debug)]
pub struct Processes {
    state: PathBuf,
    netns: Option<PathBuf>,
}

/// A process by pid and the time when it began, in ticks since the machine did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pid: i32,
    began: u64,
}

impl Processes {
    /// Those of a cluster, on its node's network.
    ///
    /// # Errors
    /// If there is no home.
    pub fn of(layout: &Layout) -> anyhow::Result<Self> {
        let netns = PathBuf::from("/run/netns").join(layout.node());
        Ok(Self { state: layout.state()?, netns: Some(netns) })
    }

    /// The same, on the machine's own network.
    #[must_use]
    pub fn outside(&self) -> Self {
        Self { state: self.state.clone(), netns: None }
    }

    /// Starts `program` under the name `name`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(&self, name: &str, program: &Path, args: &[String]) -> anyhow::Result<()> {
        let log = self.log(name);
        for path in [&log, &self.pid_file(name)] {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
        }
        let log = File::create(&log).with_context(|| format!("make {}", log.display()))?;
        // `ip netns exec` would hide the cgroups from the kubelet.
        let mut command = if let Some(netns) = &self.netns {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net={}", netns.display())).arg("setsid").arg(program);
            command
        } else {
            let mut command = Command::new("setsid");
            command.arg(program);
            command
        };
        let child = command
            .args(args)
            .env(MARK, &self.state)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .current_dir(&self.state)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        let pid = i32::try_from(child.id()).context("a pid")?;
        let known = look(pid).with_context(|| format!("{name} ended at once"))?;
        fs::write(self.pid_file(name), format!("{} {}\n", known.pid, known.began))?;
        Ok(())
    }

    /// Whether the process of that name runs.
    #[must_use]
    pub fn runs(&self, name: &str) -> bool {
        self.known(name).is_some_and(alive)
    }

    /// Waits until `serves` is true.
    ///
    /// # Errors
    /// If the process ends, or the time does: the end of its log.
    pub fn until(
        &self,
        name: &str,
        deadline: Duration,
        mut serves: impl FnMut() -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let waited = shell::wait(name, deadline, || if self.runs(name) { serves() } else { Ok(true) });
        if waited.is_ok() && self.runs(name) {
            return Ok(());
        }
        let log = fs::read_to_string(self.log(name)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(15)..].join("\n");
        bail!(
            "{name} does not serve: {}\n{tail}",
            waited.err().map_or("it has ended".into(), |error| format!("{error:#}"))
        )
    }

    /// Ends the process of that name, if it runs.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(&self, name: &str) -> anyhow::Result<()> {
        if let Some(known) = self.known(name) {
            end(known).with_context(|| format!("end {name}"))?;
        }
        let path = self.pid_file(name);
        if path.exists() {
            fs::remove_file(path)?;
        }
        Ok(())
    }

    /// Stops the process of that name where it is, as a machine that hangs would.
    ///
    /// # Errors
    /// If it does not run.
    pub fn pause(&self, name: &str) -> anyhow::Result<()> {
        self.signal(name, Signal::STOP)
    }

    /// Has the process of that name go on. One that was not stopped does not notice.
    ///
    /// # Errors
    /// If it does not run.
    pub fn resume(&self, name: &str) -> anyhow::Result<()> {
        self.signal(name, Signal::CONT)
    }

    fn signal(&self, name: &str, signal: Signal) -> anyhow::Result<()> {
        let known = self.known(name).filter(|known| alive(*known)).with_context(|| format!("{name} does not run"))?;
        let pid = Pid::from_raw(known.pid).context("a pid")?;
        kill_process(pid, signal).with_context(|| format!("signal {name}"))
    }

    /// Ends every process that bears this cluster's mark.
    ///
    /// # Errors
    /// If one does not end.
    pub fn stop_marked(&self) -> anyhow::Result<()> {
        let mark = format!("{MARK}={}", self.state.display());
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        for pid in pids().filter(|pid| *pid != own) {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            if environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
                && let Some(known) = look(pid)
            {
                end(known)?;
            }
        }
        Ok(())
    }

    /// The log of the process of that name.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.state.join("log").join(format!("{name}.log"))
    }

    fn pid_file(&self, name: &str) -> PathBuf {
        self.state.join("pid").join(name)
    }

    fn known(&self, name: &str) -> Option<Known> {
        let text = fs::read_to_string(self.pid_file(name)).ok()?;
        let (pid, began) = text.trim().split_once(' ')?;
        Some(Known { pid: pid.parse().ok()?, began: began.parse().ok()? })
    }
}

/// The pids of all processes.
fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A running process by its pid; one that has ended and was not waited for does not count.
#[must_use]
pub fn look(pid: i32) -> Option<Known> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let (state, began) = (*fields.first()?, fields.get(19)?.parse().ok()?);
    (!matches!(state, "Z" | "X")).then_some(Known { pid, began })
}

fn alive(known: Known) -> bool {
    look(known.pid) == Some(known)
}

/// Asks a process to end, and ends it where it does not.
///
/// # Errors
/// If it is still there then.
pub fn end(known: Known) -> anyhow::Result<()> {
    for signal in [Signal::TERM, Signal::KILL] {
        if !alive(known) {
            return Ok(());
        }
        if let Some(pid) = Pid::from_raw(known.pid) {
            // It may just have ended.
            let _ = kill_process(pid, signal);
        }
        if shell::wait("its end", PATIENCE, || Ok(!alive(known))).is_ok() {
            return Ok(());
        }
    }
    bail!("process {} does not end", known.pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processes(name: &str) -> Processes {
        let state = std::env::temp_dir().join(format!("cu-process-{name}-{}", std::process::id()));
        fs::create_dir_all(&state).unwrap();
        Processes { state, netns: None }
    }

    fn sleeper(processes: &Processes, name: &str) {
        processes.start(name, Path::new("sleep"), &["300".to_owned()]).unwrap();
    }

    #[test]
    fn what_was_started_is_found_and_ended() {
        let processes = processes("stop");
        sleeper(&processes, "one");
        assert!(processes.runs("one"));
        processes.stop("one").unwrap();
        assert!(!processes.runs("one"));
        processes.stop("one").unwrap();
        fs::remove_dir_all(processes.state).unwrap();
    }

    #[test]
    fn what_was_stopped_goes_on() {
        let processes = processes("pause");
        sleeper(&processes, "one");
        let state = || {
            let pid = processes.known("one").unwrap().pid;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            stat.rsplit_once(')').unwrap().1.trim().chars().next().unwrap()
        };
        let until = |stopped: bool| shell::wait("it", PATIENCE, || Ok((state() == 'T') == stopped)).unwrap();
        processes.pause("one").unwrap();
        until(true);
        assert!(processes.runs("one"), "it is there still");
        processes.resume("one").unwrap();
        until(false);
        processes.stop("one").unwrap();
        assert!(processes.resume("one").is_err());
        fs::remove_dir_all(processes.state).unwrap();
    }

    #[test]
    fn what_nobody_wrote_down_is_found_by_its_mark() {
        let processes = processes("marked");
        sleeper(&processes, "one");
        let known = processes.known("one").unwrap();
        fs::remove_dir_all(processes.state.join("pid")).unwrap();
        assert!(!processes.runs("one") && alive(known));
        processes.stop_marked().unwrap();
        assert!(!alive(known));
        fs::remove_dir_all(processes.state).unwrap();
    }

    #[test]
    fn a_pid_that_was_given_to_another_process_is_left_alone() {
        let processes = processes("reused");
        sleeper(&processes, "one");
        let known = processes.known("one").unwrap();
        fs::write(processes.pid_file("one"), format!("{} {}\n", known.pid, known.began + 1)).unwrap();
        assert!(!processes.runs("one"));
        processes.stop("one").unwrap();
        assert!(alive(known));
        end(known).unwrap();
        fs::remove_dir_all(processes.state).unwrap();
    }

    #[test]
    fn a_process_that_ends_is_told_with_its_last_words() {
        let processes = processes("words");
        let script = ["-c".to_owned(), "echo no such thing; read line".to_owned()];
        processes.start("one", Path::new("sh"), &script).unwrap();
        let error = processes.until("one", PATIENCE, || Ok(false)).unwrap_err();
        assert!(format!("{error}").contains("no such thing"), "{error}");
        fs::remove_dir_all(processes.state).unwrap();
    }
}
