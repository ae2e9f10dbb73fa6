//! The standard metrics of the process, read when metrics are scraped.

use std::fmt;

use procfs::{WithCurrentSystemInfo, process::Process};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

#[derive(Debug)]
pub(super) struct ProcessCollector;

struct Usage {
    cpu_seconds: f64,
    resident_bytes: u64,
    open_fds: u64,
    start_time: f64,
}

impl Usage {
    #[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
    fn read() -> procfs::ProcResult<Self> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        Ok(Self {
            cpu_seconds: seconds(stat.utime + stat.stime),
            resident_bytes: stat.rss_bytes().get(),
            open_fds: process.fd_count()? as u64,
            start_time: procfs::boot_time_secs()? as f64 + seconds(stat.starttime),
        })
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        // Without /proc there are no metrics of the process.
        let Ok(usage) = Usage::read() else { return Ok(()) };
        let mut write = |name, help, unit: Option<&Unit>, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
        };
        let cpu = ConstCounter::new(usage.cpu_seconds);
        write("process_cpu", "Total user and system CPU time spent in seconds.", Some(&Unit::Seconds), &cpu)?;
        let memory = ConstGauge::new(usage.resident_bytes);
        write("process_resident_memory", "Resident memory size in bytes.", Some(&Unit::Bytes), &memory)?;
        write("process_open_fds", "Number of open file descriptors.", None, &ConstGauge::new(usage.open_fds))?;
        let start = ConstGauge::new(usage.start_time);
        let help = "Start time of the process since unix epoch in seconds.";
        write("process_start_time", help, Some(&Unit::Seconds), &start)
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::Metrics;

    #[test]
    fn process_metrics_have_the_standard_names() {
        let text = Metrics::new().encode().unwrap();
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_start_time_seconds",
        ] {
            let line =
                text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {text}"));
            let value: f64 = line.trim().parse().unwrap();
            assert!(value >= 0.0, "{name}");
        }
    }
}
