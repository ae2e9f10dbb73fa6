//! Which cores the parts of a comparison run on, and what processor time they took there. The proxies have one core for
//! themselves, whichever of them are asked, so that they are what everybody waits for.

use std::{fs, path::PathBuf, thread::available_parallelism};

use anyhow::{Context, ensure};
use rustix::thread::{CpuSet, Pid, sched_setaffinity};

use crate::proxies::processes;

/// Ticks of the processor's clock a second, as Linux tells them to programs.
const TICKS: f64 = 100.0;

/// Processes that are looked at together, as folders in `/proc`.
#[derive(Clone, Debug)]
pub struct Processes(Vec<PathBuf>);

impl Processes {
    /// Those of pods, by UID, whose program has one of these names.
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
        ensure!(!found.is_empty(), "{} does not run on this machine", programs.join(" or "));
        Ok(Self(found))
    }

    /// That with this number.
    #[must_use]
    pub fn one(id: u32) -> Self {
        Self(vec![PathBuf::from(format!("/proc/{id}"))])
    }

    /// Processor time so far, in seconds: their own, and the kernel's on their behalf.
    ///
    /// # Errors
    /// If one has ended.
    pub fn spent(&self) -> anyhow::Result<[f64; 2]> {
        let mut spent = [0.0; 2];
        for process in &self.0 {
            let text = fs::read_to_string(process.join("stat"))?;
            let (_, rest) = text.rsplit_once(')').context("the name of a process")?;
            for (sum, field) in spent.iter_mut().zip(rest.split_whitespace().skip(11)) {
                *sum += field.parse::<f64>()? / TICKS;
            }
        }
        Ok(spent)
    }

    /// How many threads answer requests.
    ///
    /// # Errors
    /// If one has ended.
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

    /// Has all their threads run on these cores alone.
    fn run_on(&self, cores: &[usize]) -> anyhow::Result<()> {
        let mut set = CpuSet::new();
        for core in cores {
            set.set(*core);
        }
        for process in &self.0 {
            for thread in fs::read_dir(process.join("task"))?.flatten() {
                let id: i32 = thread.file_name().to_string_lossy().parse()?;
                // A thread may end meanwhile.
                if let Err(error) = sched_setaffinity(Pid::from_raw(id), &set)
                    && thread.path().exists()
                {
                    return Err(error).with_context(|| format!("cores of thread {id}"));
                }
            }
        }
        Ok(())
    }
}

/// Runs `work` with the first core left to these proxies, and everything else of it, `others` and this process, on the rest. With one
/// core alone, all share it.
///
/// # Errors
/// Those of `work`, or if the kernel refuses.
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
