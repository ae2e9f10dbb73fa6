//! CPU time and memory of processes, by component, from `/proc`.

use std::{collections::BTreeMap, fs};

use serde::{Deserialize, Serialize};

use super::number::{each, float};

/// Milliseconds of a clock tick (`USER_HZ` is 100).
const TICK_MS: u64 = 10;
/// Bytes of a page.
const PAGE: u64 = 4096;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// User and system CPU time.
    pub cpu_ms: u64,
    /// Resident memory.
    pub rss_bytes: u64,
}

/// What processes have used, by component and pid.
#[derive(Clone, Debug, Default)]
pub struct Usage(BTreeMap<(&'static str, i32), Used>);

/// What a component used during a phase.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Component {
    /// The component.
    pub name: String,
    /// CPU time.
    pub cpu_ms: f64,
    /// CPU time by unit.
    pub cpu_ms_per_unit: f64,
    /// CPU cores in use on average.
    pub cpu_cores: f64,
    /// Resident memory before.
    pub rss_before_bytes: u64,
    /// Resident memory after.
    pub rss_after_bytes: u64,
}

impl Usage {
    /// Reads the processes. Those that have exited are left out.
    #[must_use]
    pub fn read(processes: &[(&'static str, i32)]) -> Self {
        let read = |(name, pid): &(&'static str, i32)| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some(((*name, *pid), parse(&stat)?))
        };
        Self(processes.iter().filter_map(read).collect())
    }

    /// What each component used since `earlier`, during `seconds`. Time of processes that have exited since is not known.
    #[must_use]
    pub fn since(&self, earlier: &Self, seconds: f64, units: usize) -> Vec<Component> {
        let mut components = BTreeMap::<&str, (u64, u64, u64)>::new();
        for ((name, _), used) in &earlier.0 {
            components.entry(name).or_default().1 += used.rss_bytes;
        }
        for (key, used) in &self.0 {
            let before = earlier.0.get(key).copied().unwrap_or_default();
            let component = components.entry(key.0).or_default();
            component.0 += used.cpu_ms.saturating_sub(before.cpu_ms);
            component.2 += used.rss_bytes;
        }
        let component = |(name, (cpu, before, after)): (&str, (u64, u64, u64))| Component {
            name: name.to_owned(),
            cpu_ms: float(cpu),
            cpu_ms_per_unit: each(float(cpu), units),
            cpu_cores: float(cpu) / 1000.0 / seconds.max(0.001),
            rss_before_bytes: before,
            rss_after_bytes: after,
        };
        components.into_iter().map(component).collect()
    }
}

/// Parses `/proc/PID/stat`.
fn parse(stat: &str) -> Option<Used> {
    // The name in parentheses can contain any character.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
    Some(Used { cpu_ms: (number(11)? + number(12)?) * TICK_MS, rss_bytes: number(21)? * PAGE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_has_cpu_time_and_memory() {
        let stat =
            "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 8 0 1234 999999 2048 18446744073709551615 1";
        assert_eq!(parse(stat), Some(Used { cpu_ms: 2000, rss_bytes: 2048 * 4096 }));
        assert_eq!(parse("42 (a"), None);
    }

    #[test]
    fn a_component_has_the_time_since_then_of_all_its_processes() {
        let used = |cpu_ms, rss_bytes| Used { cpu_ms, rss_bytes };
        let before = Usage(BTreeMap::from([(("envoy", 1), used(100, 10)), (("operator", 2), used(500, 20))]));
        // The operator was restarted.
        let after = Usage(BTreeMap::from([
            (("envoy", 1), used(300, 11)),
            (("envoy", 4), used(50, 5)),
            (("operator", 3), used(40, 15)),
        ]));
        let since = after.since(&before, 2.0, 10);
        let rows: Vec<_> = since
            .iter()
            .map(|one| (one.name.as_str(), one.cpu_ms, one.cpu_ms_per_unit, one.rss_before_bytes, one.rss_after_bytes))
            .collect();
        assert_eq!(rows, [("envoy", 250.0, 25.0, 10, 16), ("operator", 40.0, 4.0, 20, 15)]);
        assert!((since[0].cpu_cores - 0.125).abs() < 1e-9);
    }
}
