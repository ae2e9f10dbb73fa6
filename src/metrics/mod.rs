//! Prometheus metrics.
//!
//! Label values come from the enums in [`labels`], so the number of series does not depend on the number of units.

mod activator;
mod activity;
mod counted;
pub mod labels;
#[cfg(target_os = "linux")]
mod process;
mod watches;

use std::{fmt, time::Duration};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

pub use activator::ActivatorMetrics;
pub use activity::ActivityMetrics;
pub use counted::Counted;
pub use labels::{
    ActivatorOutcome, NotStarted, Outcome, ProbeGoal, ProbeResult, Resource, Signal, UnreadableReason, Verb,
    WakeOutcome, WatchedScope,
};
use labels::{QUICK, SLOW, seconds};
pub use watches::WatchMetrics;

use computing_unit_api::Phase;

/// Names and values of the labels of one series.
type Labels<const N: usize> = [(&'static str, &'static str); N];

#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Family<Labels<1>, Counter>,
    reconcile_time: Histogram,
    queue: Gauge,
    units: Family<Labels<1>, Gauge>,
    probes: Family<Labels<2>, Counter>,
    probe_time: Family<Labels<1>, Histogram>,
    propagation_time: Family<Labels<1>, Histogram>,
    writes: Family<Labels<3>, Counter>,
    watch_errors: Family<Labels<1>, Counter>,
    leader: Gauge,
    reachable_time: Histogram,
    pub activator: ActivatorMetrics,
    pub activity: ActivityMetrics,
    pub watches: WatchMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let mut all = Self {
            registry: Registry::default(),
            reconciles: Family::default(),
            reconcile_time: Histogram::new(QUICK),
            queue: Gauge::default(),
            units: Family::default(),
            probes: Family::default(),
            probe_time: Family::new_with_constructor(|| Histogram::new(QUICK)),
            propagation_time: Family::new_with_constructor(|| Histogram::new(SLOW)),
            writes: Family::default(),
            watch_errors: Family::default(),
            leader: Gauge::default(),
            reachable_time: Histogram::new(SLOW),
            activator: ActivatorMetrics::default(),
            activity: ActivityMetrics::default(),
            watches: WatchMetrics::default(),
        };
        all.register();
        // A rate over a series that appears with its first failure would miss that failure.
        for outcome in Outcome::ALL {
            let _ = all.reconciles.get_or_create(&[("outcome", outcome.as_str())]);
        }
        all
    }

    fn register(&mut self) {
        #[cfg(target_os = "linux")]
        self.registry.register_collector(Box::new(process::ProcessCollector));
        let to = self.registry.sub_registry_with_prefix("computing_unit_operator");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        to.register("build", "Version of the operator", build);
        to.register("reconciles", "Total number of reconciles of units, by outcome", self.reconciles.clone());
        let time = self.reconcile_time.clone();
        to.register_with_unit("reconcile_duration", "Duration of a reconcile of a unit", Unit::Seconds, time);
        to.register("queue_depth", "Number of units that wait to be reconciled", self.queue.clone());
        to.register("units", "Number of units, by phase", self.units.clone());
        let help = "Total number of probes of a proxy, by goal and result";
        to.register("probes", help, self.probes.clone());
        let time = self.probe_time.clone();
        to.register_with_unit("probe_duration", "Duration of a probe of a proxy, by goal", Unit::Seconds, time);
        let time = self.propagation_time.clone();
        let help = "Time from the start of the probes until every proxy confirmed the goal, by goal";
        to.register_with_unit("route_propagation", help, Unit::Seconds, time);
        let help = "Total number of writes to the API server, by verb, resource and outcome";
        to.register("writes", help, self.writes.clone());
        to.register("watch_errors", "Total number of failed watches, by resource", self.watch_errors.clone());
        to.register("leader", "1 if this replica is the leader, 0 otherwise", self.leader.clone());
        let time = self.reachable_time.clone();
        let help = "Time from a unit's pod being Ready until every proxy answered for the unit";
        to.register_with_unit("pod_ready_to_reachable", help, Unit::Seconds, time);
        self.activator.register(to);
        self.activity.register(to);
        self.watches.register(to);
    }

    pub fn reconciled(&self, outcome: Outcome, took: Duration) {
        self.reconciles.get_or_create(&[("outcome", outcome.as_str())]).inc();
        self.reconcile_time.observe(seconds(took));
    }

    /// Counts a unit as waiting to be reconciled until the returned guard is dropped.
    #[must_use = "dropping the guard ends the count"]
    pub fn queued(&self) -> Counted<'_> {
        Counted::one(&self.queue)
    }

    pub fn units(&self, phase: Phase, count: i32) {
        self.units.get_or_create(&[("phase", phase.as_str())]).set(count.into());
    }

    /// One probe of one proxy.
    pub fn probed(&self, goal: ProbeGoal, result: ProbeResult, took: Duration) {
        self.probes.get_or_create(&[("goal", goal.as_str()), ("result", result.as_str())]).inc();
        self.probe_time.get_or_create(&[("goal", goal.as_str())]).observe(seconds(took));
    }

    /// Every proxy confirmed `goal`, `after` the probes were started.
    pub fn route_propagated(&self, goal: ProbeGoal, after: Duration) {
        self.propagation_time.get_or_create(&[("goal", goal.as_str())]).observe(seconds(after));
    }

    /// A write to the API server, successful or not.
    pub fn wrote(&self, verb: Verb, resource: Resource, ok: bool) {
        let outcome = if ok { "success" } else { "error" };
        let labels = [("verb", verb.as_str()), ("resource", resource.as_str()), ("outcome", outcome)];
        self.writes.get_or_create(&labels).inc();
    }

    pub fn watch_failed(&self, resource: Resource) {
        self.watch_errors.get_or_create(&[("resource", resource.as_str())]).inc();
    }

    pub fn leading(&self, leading: bool) {
        self.leader.set(leading.into());
    }

    /// Every proxy answers for a unit, `after` its pod became Ready.
    pub fn became_reachable(&self, after: Duration) {
        self.reachable_time.observe(seconds(after));
    }

    /// All metrics in OpenMetrics text format.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn everything() -> Metrics {
        let metrics = Metrics::new();
        let took = Duration::from_millis(3);
        for outcome in Outcome::ALL {
            metrics.reconciled(*outcome, took);
        }
        for (goal, result) in ProbeGoal::ALL.iter().zip(ProbeResult::ALL) {
            metrics.probed(*goal, *result, took);
            metrics.route_propagated(*goal, took);
        }
        for resource in Resource::ALL {
            for verb in Verb::ALL {
                metrics.wrote(*verb, *resource, true);
            }
            metrics.watch_failed(*resource);
        }
        for outcome in ActivatorOutcome::ALL {
            metrics.activator.answered(*outcome);
        }
        for outcome in WakeOutcome::ALL {
            metrics.activator.woke(*outcome);
        }
        for reason in NotStarted::ALL {
            metrics.activator.did_not_start(*reason);
        }
        metrics.activity.scanned();
        for (signal, reason) in Signal::ALL.iter().zip(UnreadableReason::ALL) {
            metrics.activity.unreadable(*signal, *reason);
        }
        metrics.activity.stopped(computing_unit_api::IdleAction::Suspend);
        metrics.units(Phase::Ready, 7);
        metrics.leading(true);
        metrics.became_reachable(took);
        metrics.watches.failing(Resource::Pods, Some("units"), 1);
        metrics.watches.synced(WatchedScope::Units, Some("units"), true);
        metrics.watches.synced(WatchedScope::Gateways, None, true);
        metrics.watches.invalid(Resource::ComputingUnits);
        metrics
    }

    #[test]
    fn metrics_contain_what_was_recorded() {
        let text = everything().encode().unwrap();
        for line in [
            "computing_unit_operator_reconciles_total{outcome=\"success\"} 1",
            "computing_unit_operator_reconcile_duration_seconds_count 9",
            "computing_unit_operator_route_propagation_seconds_count{goal=\"open\"} 1",
            "computing_unit_operator_units{phase=\"Ready\"} 7",
            "computing_unit_operator_probes_total{goal=\"open\",result=\"not_matched\"} 1",
            "computing_unit_operator_writes_total{verb=\"apply\",resource=\"httproutes\",outcome=\"success\"} 1",
            "computing_unit_operator_watch_errors_total{resource=\"pods\"} 1",
            "computing_unit_operator_leader 1",
            "computing_unit_operator_activator_requests_total{outcome=\"redirected\"} 1",
            "computing_unit_operator_activator_wakes_total{outcome=\"success\"} 1",
            "computing_unit_operator_activator_not_started_total{reason=\"not_idle\"} 1",
            "computing_unit_operator_activator_held_requests 0",
            "computing_unit_operator_activity_scans_total 1",
            "computing_unit_operator_activity_unreadable_total{signal=\"gateway\",reason=\"timeout\"} 1",
            "computing_unit_operator_idle_units_stopped_total{action=\"suspend\"} 1",
            "computing_unit_operator_pod_ready_to_reachable_seconds_count 1",
            "computing_unit_operator_watches_failing{namespace=\"units\",resource=\"pods\"} 1",
            "computing_unit_operator_namespace_synced{namespace=\"units\",scope=\"units\"} 1",
            "computing_unit_operator_namespace_synced{namespace=\"\",scope=\"gateways\"} 1",
            "computing_unit_operator_invalid_objects_total{resource=\"computingunits\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("computing_unit_operator_build_info{version="), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn labels_are_of_a_closed_set() {
        let text = everything().encode().unwrap();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let names: BTreeSet<&str> = samples
            .filter_map(|line| line.split_once('{')?.1.split_once('}'))
            .flat_map(|(labels, _)| labels.split(',').filter_map(|label| Some(label.split_once('=')?.0)))
            .collect();
        let closed = [
            "action",
            "goal",
            "le",
            "namespace",
            "outcome",
            "phase",
            "reason",
            "resource",
            "result",
            "scope",
            "signal",
            "verb",
            "version",
        ];
        assert_eq!(names.into_iter().collect::<Vec<_>>(), closed);
    }
}
