//! The results of a run, as they are stored. Keys name their units.

use std::{fs, thread::available_parallelism};

use serde::{Deserialize, Serialize};

use super::{
    audit::CallCount,
    gauges::{ReconcileReport, Sample},
    life::Answers,
    percentiles::Percentiles,
    usage::Component,
};

/// All results.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Report {
    /// When the run was started.
    pub started_at: String,
    /// The command line.
    pub command: String,
    /// The machine.
    pub machine: Machine,
    /// How it was measured.
    pub setup: Setup,
    /// The phases, in their order.
    pub phases: Vec<Phase>,
}

/// The machine.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Machine {
    /// CPU cores.
    pub cores: usize,
    /// The model of the CPU.
    pub cpu: String,
    /// Memory.
    pub memory_bytes: u64,
    /// The kernel.
    pub kernel: String,
    /// The load average of the last minute before the run, which says whether the machine was idle.
    pub load_average: f64,
}

/// How it was measured.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Setup {
    /// The version of the API server.
    pub kubernetes: String,
    /// Whether the API server wrote an audit log, which costs it CPU time. Without it no calls are counted.
    pub audit_log: bool,
    /// Whether the operator's calls passed through the proxy of tests.
    pub through_proxy: bool,
    /// The routing mode.
    pub mode: String,
    /// Proxies of the Gateway.
    pub proxies: usize,
    /// The maximum number of units that are not usable yet, while filling.
    pub window: usize,
    /// JSON of the objects of one unit.
    pub objects: Vec<ObjectSize>,
}

/// The JSON of an object of a unit.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ObjectSize {
    /// The resource.
    pub resource: String,
    /// The length.
    pub json_bytes: usize,
    /// That of its managed fields.
    pub managed_fields_bytes: usize,
}

/// The results of one phase.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Units in the cluster at its end.
    pub total: usize,
    /// The units that it created or deleted, by which values per unit are divided. At a restart, the units in the cluster.
    pub units: usize,
    /// Seconds until it was complete.
    pub seconds: f64,
    /// Units a second.
    pub units_per_second: Option<f64>,
    /// Latencies by name.
    pub latency: Vec<Latency>,
    /// Units that requests were sent to until the first 200.
    pub asked: usize,
    /// Answers after the route was seen open and before the first 200: status 500 or more.
    pub server_errors: u64,
    /// The same: another status, or no response.
    pub other_answers: u64,
    /// The same: the route of another unit answered.
    pub foreign_answers: u64,
    /// Reconciles.
    pub reconciles: ReconcileReport,
    /// Progress, once a second.
    pub samples: Vec<Sample>,
    /// Seconds during which calls and CPU time were counted: until the writes ended.
    pub counted_seconds: f64,
    /// API calls.
    pub calls: Vec<CallCount>,
    /// CPU time and memory.
    pub components: Vec<Component>,
    /// The size of etcd's database after compaction, before and after.
    pub etcd_before_bytes: Option<u64>,
    /// See there.
    pub etcd_after_bytes: Option<u64>,
    /// The difference by unit.
    pub etcd_bytes_per_unit: Option<f64>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

/// The kind of a phase.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Nothing changes.
    Idle,
    /// Units are created, with a limit of those that are not usable yet.
    Fill,
    /// Units are created at once.
    Burst,
    /// Units arrive and depart.
    Poisson,
    /// Units are deleted at once.
    Delete,
    /// The operator is restarted.
    Restart,
    /// The API server is restarted.
    Relist,
    /// Pools are created or deleted.
    Pools,
}

/// A latency.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Latency {
    /// From what to what.
    pub name: String,
    /// Its percentiles.
    #[serde(flatten)]
    pub times: Percentiles,
}

impl Phase {
    /// Adds the answers before the first 200 of a unit.
    pub fn add(&mut self, answers: Answers) {
        self.server_errors += answers.server_errors;
        self.other_answers += answers.others;
        self.foreign_answers += answers.foreign;
    }
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.map(|line| line.trim_start_matches([' ', '\t', ':']).to_owned()).unwrap_or_default()
        };
        let memory = after(&read("/proc/meminfo"), "MemTotal");
        Self {
            cores: available_parallelism().map_or(1, Into::into),
            cpu: after(&read("/proc/cpuinfo"), "model name"),
            memory_bytes: memory.trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_average: read("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or_default(),
        }
    }
}
