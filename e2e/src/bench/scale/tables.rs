//! The results as Markdown.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    audit::CallCount,
    number::float,
    report::{Kind, Phase, Report},
};
use crate::bench::table::table;

/// The machine and the method of a run.
#[must_use]
pub fn preamble(report: &Report) -> String {
    let (machine, setup) = (&report.machine, &report.setup);
    let audit = if setup.audit_log {
        "The API server wrote an audit log (level `Metadata`), which costs it CPU time: compare only with runs that had it too."
    } else {
        "The API server wrote no audit log, so no API calls were counted."
    };
    let path = if setup.through_proxy {
        "The operator's calls passed through the proxy of tests, which costs time."
    } else {
        "The operator called the API server directly."
    };
    format!(
        "`{}`, started at {}.\n\n{} cores ({}), {:.1} GiB of memory, Linux {}, Kubernetes {}, proxies of Envoy: {}, routing \
         mode {}. The load average before the run was {:.2}. {audit} {path} While filling, at most {} units at a time were \
         not usable yet.\n",
        report.command,
        report.started_at,
        machine.cores,
        machine.cpu,
        float(machine.memory_bytes) / f64::from(1 << 30),
        machine.kernel,
        setup.kubernetes,
        setup.proxies,
        setup.mode,
        machine.load_average,
        setup.window,
    )
}

/// All phases in one table.
#[must_use]
pub fn summary(phases: &[Phase]) -> String {
    let rows = phases.iter().filter(|phase| !totals(phase)).map(|phase| {
        let median = |name: &str| {
            let found = phase.latency.iter().find(|latency| latency.name == name);
            found.map_or_else(String::new, |one| format!("{:.0} / {:.0}", one.times.p50_ms, one.times.p99_ms))
        };
        let cpu = |name: &str| {
            let found = phase.components.iter().find(|component| component.name == name);
            found.map_or_else(String::new, |one| format!("{:.1}", one.cpu_ms_per_unit))
        };
        // Without an audit log no calls are known.
        let counted = |calls: f64| if phase.calls.is_empty() { String::new() } else { format!("{calls:.1}") };
        let calls: f64 = phase.calls.iter().map(|call| call.per_unit).sum();
        let operator: f64 = phase.calls.iter().filter(|call| call.client == "operator").map(|call| call.per_unit).sum();
        vec![
            phase.name.clone(),
            format!("{:.1}", phase.seconds),
            phase.units_per_second.map_or_else(String::new, |rate| format!("{rate:.1}")),
            median("create to route open"),
            median("create to first 200"),
            median("create to Ready"),
            median("delete to gone"),
            counted(calls),
            counted(operator),
            cpu("kube-apiserver"),
            cpu("operator"),
            cpu("envoy-gateway"),
            cpu("envoy"),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let head = [
        "phase",
        "seconds",
        "units/s",
        "create to route open, ms (median / 99 %)",
        "create to first 200, ms",
        "create to Ready, ms",
        "delete to gone, ms",
        "API calls a unit",
        "of the operator",
        "CPU of the API server, ms a unit",
        "of the operator",
        "of Envoy Gateway",
        "of Envoy",
    ];
    table(&head, &rows)
}

/// One phase in detail.
#[must_use]
pub fn phase(phase: &Phase) -> String {
    let mut text = format!("### {}\n\n", phase.name);
    if phase.kind == Kind::Idle {
        let _ = write!(text, "{:.1} s", phase.counted_seconds);
    } else {
        let _ = write!(text, "{} units in {:.1} s", phase.units, phase.seconds);
    }
    if let Some(rate) = phase.units_per_second {
        let _ = write!(text, ", {rate:.1} a second");
    }
    let _ = write!(text, ". {} units in the cluster at the end.", phase.total);
    if let Some(bytes) = phase.etcd_bytes_per_unit {
        let _ = write!(text, " etcd: {bytes:.0} bytes a unit after compaction.");
    }
    if phase.asked > 0 {
        let _ = write!(
            text,
            " Requests to {} units, from the time when the route was seen open to the first 200: {} answers with 5xx, {} other \
             answers, {} of the route of another unit.",
            phase.asked, phase.server_errors, phase.other_answers, phase.foreign_answers
        );
    }
    for note in &phase.notes {
        let _ = write!(text, " {note}");
    }
    text += "\n";
    if !phase.latency.is_empty() {
        let row = |latency: &super::report::Latency| {
            let times = &latency.times;
            let mut cells = vec![latency.name.clone(), times.count.to_string()];
            cells.extend([times.p50_ms, times.p90_ms, times.p99_ms, times.max_ms].map(|time| format!("{time:.0}")));
            cells
        };
        let rows: Vec<_> = phase.latency.iter().map(row).collect();
        let _ = write!(text, "\n{}", table(&["milliseconds", "units", "median", "90 %", "99 %", "max"], &rows));
    }
    let reconciles = &phase.reconciles;
    let bound =
        |bound: Option<f64>| bound.map_or_else(|| "beyond the histogram".to_owned(), |ms| format!("≤ {ms:.0} ms"));
    let backlog = phase.samples.iter().map(|sample| sample.backlog).max().unwrap_or_default();
    let queue = phase.samples.iter().filter_map(|sample| sample.queue_depth).max();
    let queue = queue.map_or_else(|| "not reported".to_owned(), |depth| depth.to_string());
    let _ = write!(
        text,
        "\n{} reconciles, {:.1} a unit: mean {:.1} ms, median {}, 99 % {}. Maximum of units that the operator had not \
         reported on yet: {backlog}. Maximum depth of its queue: {queue}.\n",
        reconciles.count,
        reconciles.per_unit,
        reconciles.mean_ms,
        bound(reconciles.p50_at_most_ms),
        bound(reconciles.p99_at_most_ms),
    );
    let mib = |bytes: u64| format!("{:.0}", float(bytes) / f64::from(1 << 20));
    let row = |one: &super::usage::Component| {
        vec![
            one.name.clone(),
            if totals(phase) { format!("{:.0}", one.cpu_ms) } else { format!("{:.1}", one.cpu_ms_per_unit) },
            format!("{:.2}", one.cpu_cores),
            mib(one.rss_before_bytes),
            mib(one.rss_after_bytes),
        ]
    };
    let rows: Vec<_> = phase.components.iter().map(row).collect();
    let head =
        ["process", if totals(phase) { "CPU, ms" } else { "CPU, ms a unit" }, "cores", "memory before, MiB", "after"];
    let _ = write!(text, "\n{}", table(&head, &rows));
    if !phase.calls.is_empty() {
        let _ = write!(text, "\n{}", calls(phase));
    }
    text
}

/// Whether calls and CPU time are shown as totals, because they are not those of single units.
fn totals(phase: &Phase) -> bool {
    matches!(phase.kind, Kind::Idle | Kind::Restart | Kind::Relist)
}

/// API calls by client, verb and resource. What is below a hundredth of a call a unit is summed up by client.
fn calls(phase: &Phase) -> String {
    const LEAST: f64 = 0.01;
    let value = |call: &CallCount| if totals(phase) { float(call.count) } else { call.per_unit };
    let text = |value: f64| if totals(phase) { format!("{value:.0}") } else { format!("{value:.2}") };
    let mut clients = BTreeMap::<&str, f64>::new();
    for call in &phase.calls {
        *clients.entry(&call.client).or_default() += value(call);
    }
    let mut clients: Vec<_> = clients.into_iter().collect();
    clients.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut rows = vec![];
    for (client, total) in clients {
        rows.push(vec![
            format!("**{client}**"),
            String::new(),
            String::new(),
            format!("**{}**", text(total)),
            String::new(),
        ]);
        let mut of: Vec<_> = phase.calls.iter().filter(|call| call.client == client && value(call) >= LEAST).collect();
        of.sort_by(|a, b| value(b).total_cmp(&value(a)));
        rows.extend(of.into_iter().map(|call| {
            let failed = if call.failed == 0 { String::new() } else { call.failed.to_string() };
            vec![String::new(), call.verb.clone(), call.resource.clone(), text(value(call)), failed]
        }));
    }
    let number = if totals(phase) { "calls" } else { "calls a unit" };
    table(&["client", "verb", "resource", number, "failed"], &rows)
}

/// The sizes of the objects of one unit.
#[must_use]
pub fn objects(report: &Report) -> String {
    let row = |one: &super::report::ObjectSize| {
        vec![one.resource.clone(), one.json_bytes.to_string(), one.managed_fields_bytes.to_string()]
    };
    let rows: Vec<_> = report.setup.objects.iter().map(row).collect();
    table(&["object of a unit", "bytes of JSON", "of which managed fields"], &rows)
}

/// The page of a run, with its plots.
#[must_use]
pub fn page(report: &Report, plots: &[(String, String)]) -> String {
    let mut text = format!("# Scale\n\n{}\n{}\n", preamble(report), summary(&report.phases));
    for (file, title) in plots {
        let _ = write!(text, "![{title}]({file})\n\n");
    }
    let _ = write!(text, "## Objects\n\n{}\n## Phases\n\n", objects(report));
    for one in &report.phases {
        let _ = writeln!(text, "{}", phase(one));
    }
    text
}
