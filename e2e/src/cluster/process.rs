//! The processes of a cluster. Each has a log and a pid file, outlives the process that started it, and is identified
//! by its pid together with its start time.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::{layout::Layout, shell};

/// The environment variable with the state directory of the cluster, which is set for each of its processes. It
/// identifies processes that a killed run did not record.
pub const MARK: &str = "CU_CLUSTER_STATE";
/// How much the heap of a program in Go may grow before garbage is collected, in percent. The API server would spend much of a
/// small machine's time on it, and its heap is small.
const GARBAGE: &str = "400";
/// How long a process may take to execute another program.
const EXECUTION: Duration = Duration::from_millis(100);
/// The deadline for a process to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(10);

/// The processes of one cluster.
#[derive(Clone, Debug)]
pub struct Processes {
    state: PathBuf,
    netns: Option<PathBuf>,
}

/// A process by pid and start time, in clock ticks since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pid: i32,
    began: u64,
}

impl Processes {
    /// The processes of a cluster, in the network namespace of its node.
    ///
    /// # Errors
    /// If `HOME` is not set.
    pub fn of(layout: &Layout) -> anyhow::Result<Self> {
        let netns = PathBuf::from("/run/netns").join(layout.node());
        Ok(Self { state: layout.state()?, netns: Some(netns) })
    }

    /// The processes of a cluster in the network namespace of the machine.
    #[must_use]
    pub fn outside(&self) -> Self {
        Self { state: self.state.clone(), netns: None }
    }

    /// Starts `program` as process `name`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(&self, name: &str, program: &Path, args: &[String]) -> anyhow::Result<()> {
        let log = self.log(name);
        for path in [&log, &self.pid_file(name)] {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
        }
        let log = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        // `ip netns exec` would hide cgroups from the kubelet.
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
            .env("GOGC", GARBAGE)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .current_dir(&self.state)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        let pid = i32::try_from(child.id()).context("a pid")?;
        let known = find(pid).with_context(|| format!("{name} exited immediately\n{}", self.last_lines(name)))?;
        fs::write(self.pid_file(name), format!("{} {}\n", known.pid, known.began))?;
        Ok(())
    }

    /// Whether the process with this name is running.
    #[must_use]
    pub fn runs(&self, name: &str) -> bool {
        self.known(name).is_some_and(alive)
    }

    /// The pid of the process with this name, if it is running.
    #[must_use]
    pub fn pid(&self, name: &str) -> Option<i32> {
        self.known(name).filter(|known| alive(*known)).map(|known| known.pid)
    }

    /// Waits until `serves` is true.
    ///
    /// # Errors
    /// If the process exits or the deadline expires. The error contains the end of its log.
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
        let tail = self.last_lines(name);
        bail!("{name} is not ready: {}\n{tail}", waited.err().map_or("it exited".into(), |error| format!("{error:#}")))
    }

    /// Terminates the process with this name, if it is running.
    ///
    /// # Errors
    /// If it does not exit.
    pub fn stop(&self, name: &str) -> anyhow::Result<()> {
        if let Some(known) = self.known(name) {
            end(known).with_context(|| format!("terminate {name}"))?;
        }
        let path = self.pid_file(name);
        if path.exists() {
            fs::remove_file(path)?;
        }
        Ok(())
    }

    /// Kills the process with this name, and waits until it is gone.
    ///
    /// # Errors
    /// If it is not running.
    pub fn kill(&self, name: &str) -> anyhow::Result<()> {
        self.signal(name, Signal::KILL)?;
        self.stop(name)
    }

    /// Pauses the process with this name with SIGSTOP.
    ///
    /// # Errors
    /// If it is not running.
    pub fn pause(&self, name: &str) -> anyhow::Result<()> {
        self.signal(name, Signal::STOP)
    }

    /// Resumes the process with this name. Has no effect if it is not paused.
    ///
    /// # Errors
    /// If it is not running.
    pub fn resume(&self, name: &str) -> anyhow::Result<()> {
        self.signal(name, Signal::CONT)
    }

    fn signal(&self, name: &str, signal: Signal) -> anyhow::Result<()> {
        let known = self.known(name).filter(|known| alive(*known)).with_context(|| format!("{name} is not running"))?;
        let pid = Pid::from_raw(known.pid).context("a pid")?;
        kill_process(pid, signal).with_context(|| format!("signal {name}"))
    }

    /// Terminates all processes that are marked as processes of this cluster.
    ///
    /// # Errors
    /// If one does not exit.
    pub fn stop_marked(&self) -> anyhow::Result<()> {
        let mark = format!("{MARK}={}", self.state.display());
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        for pid in pids().filter(|pid| *pid != own) {
            if environment(pid).split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
                && let Some(known) = find(pid)
            {
                end(known)?;
            }
        }
        Ok(())
    }

    /// The log of the process with this name.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.state.join("log").join(format!("{name}.log"))
    }

    fn last_lines(&self, name: &str) -> String {
        let log = fs::read_to_string(self.log(name)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
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

/// The environment of a process. It is empty for a moment while the process executes another program.
fn environment(pid: i32) -> Vec<u8> {
    let read = || fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    // Threads of the kernel have neither.
    let executing = || fs::read_link(format!("/proc/{pid}/exe")).is_ok() && read().is_empty();
    let _ = shell::wait("environment", EXECUTION, || Ok(!executing()));
    read()
}

/// A running process by its pid. Zombies do not count once all of their threads have ended.
#[must_use]
pub fn find(pid: i32) -> Option<Known> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses can contain any character.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let (state, began) = (*fields.first()?, fields.get(19)?.parse().ok()?);
    // While other threads of a killed process still end, its ports are in use.
    let threads: u32 = fields.get(17)?.parse().ok()?;
    (!matches!(state, "Z" | "X") || threads > 1).then_some(Known { pid, began })
}

/// The resident memory of a process, in bytes.
///
/// # Errors
/// If the process has exited.
pub fn resident_memory(pid: i32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid}"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let kilobytes: u64 = resident.with_context(|| format!("VmRSS of process {pid}"))?.parse()?;
    Ok(kilobytes * 1024)
}

fn alive(known: Known) -> bool {
    find(known.pid) == Some(known)
}

/// Sends SIGTERM to a process, and then SIGKILL if it does not exit.
///
/// # Errors
/// If it still exists after that.
pub fn end(known: Known) -> anyhow::Result<()> {
    for signal in [Signal::TERM, Signal::KILL] {
        if !alive(known) {
            return Ok(());
        }
        if let Some(pid) = Pid::from_raw(known.pid) {
            // It may just have exited.
            let _ = kill_process(pid, signal);
        }
        if shell::wait("exit", PATIENCE, || Ok(!alive(known))).is_ok() {
            return Ok(());
        }
    }
    bail!("process {} does not exit", known.pid)
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
        assert!(processes.runs("one"), "it still exists");
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
        let started = processes.start("one", Path::new("sh"), &script);
        let error = started.and_then(|()| processes.until("one", PATIENCE, || Ok(false))).unwrap_err();
        assert!(format!("{error}").contains("no such thing"), "{error}");
        fs::remove_dir_all(processes.state).unwrap();
    }
}
