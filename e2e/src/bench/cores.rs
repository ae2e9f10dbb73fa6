//! CPU affinity and CPU time of the processes in a comparison. The proxies have one core for themselves, so that they
//! are the bottleneck.

use std::{fs, path::PathBuf, thread::available_parallelism};

use anyhow::{Context, ensure};
use rustix::thread::{CpuSet, Pid, sched_setaffinity};

use crate::proxies::processes;

/// Clock ticks per second (`USER_HZ`).
const TICKS: f64 = 100.0;

/// A group of processes, as directories in `/proc`.
#[derive(Clone, Debug)]
pub struct Processes(Vec<PathBuf>);

impl Processes {
    /// The processes of pods, by UID, with one of these program names.
    ///
    /// # Errors
    /// If there is none.
    pub fn of(pods: &[String], programs: &[&str]) -> anyhow::Result<Self> {
        let mut found = vec![];
        for pod in pods {
            let named = |process: &PathBuf| {
                fs::read_to_string(process.join("comm")).is_ok_and(|name| programs.contains(&name.trim()))
            };
            found.extend(processes(pod)?.filter(named));
        }
        ensure!(!found.is_empty(), "{} is not running on this machine", programs.join(" or "));
        Ok(Self(found))
    }

    /// The process with this id.
    #[must_use]
    pub fn one(id: u32) -> Self {
        Self(vec![PathBuf::from(format!("/proc/{id}"))])
    }

    /// The user and system CPU time so far, in seconds.
    ///
    /// # Errors
    /// If one has exited.
    pub fn spent(&self) -> anyhow::Result<[f64; 2]> {
        let mut spent = [0.0; 2];
        for process in &self.0 {
            let text = fs::read_to_string(process.join("stat"))?;
            let (_, rest) = text.rsplit_once(')').context("no process name")?;
            for (sum, field) in spent.iter_mut().zip(rest.split_whitespace().skip(11)) {
                *sum += field.parse::<f64>()? / TICKS;
            }
        }
        Ok(spent)
    }

    /// The number of worker threads.
    ///
    /// # Errors
    /// If one has exited.
    pub fn workers(&self) -> anyhow::Result<usize> {
        let mut count = 0;
        for process in &self.0 {
            let name = fs::read_to_string(process.join("cmdline"))?;
            if name.starts_with("nginx: worker") {
                count += 1;
            }
            for thread in fs::read_dir(process.join("task"))?.flatten() {
                count += usize::from(fs::read_to_string(thread.path().join("comm"))?.starts_with("wrk:worker"));
            }
        }
        Ok(count)
    }

    /// Pins all threads to these cores.
    fn run_on(&self, cores: &[usize]) -> anyhow::Result<()> {
        let mut set = CpuSet::new();
        for core in cores {
            set.set(*core);
        }
        for process in &self.0 {
            for thread in fs::read_dir(process.join("task"))?.flatten() {
                let id: i32 = thread.file_name().to_string_lossy().parse()?;
                // A thread may exit concurrently.
                if let Err(error) = sched_setaffinity(Pid::from_raw(id), &set)
                    && thread.path().exists()
                {
                    return Err(error).with_context(|| format!("set the CPU affinity of thread {id}"));
                }
            }
        }
        Ok(())
    }
}

/// Runs `work` with these proxies on the first core, and with `others` and this process on the remaining cores. If
/// there is only one core, all share it.
///
/// # Errors
/// Those of `work`, or if the kernel rejects the affinity.
pub async fn apart<T>(
    proxies: &[&Processes],
    others: &[&Processes],
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let all: Vec<usize> = (0..available_parallelism()?.get()).collect();
    let own = Processes::one(std::process::id());
    if let [first, rest @ ..] = all.as_slice()
        && !rest.is_empty()
    {
        proxies.iter().try_for_each(|proxies| proxies.run_on(&[*first]))?;
        others.iter().chain([&&own]).try_for_each(|others| others.run_on(rest))?;
    }
    let done = work.await;
    own.run_on(&all)?;
    done
}
