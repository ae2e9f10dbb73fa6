//! The results: a table by kind, and everything about each wrong verdict.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    draw::{Activity, Fault, Signals},
    verdict::{Limits, Timeline, Verdict},
};
use crate::bench::table;

/// One unit after its scenario.
pub struct Outcome {
    pub batch: usize,
    pub index: usize,
    pub name: String,
    pub activity: Activity,
    pub signals: Signals,
    pub fault: Fault,
    pub limits: Limits,
    pub timeline: Timeline,
    pub notes: Vec<String>,
    /// The activity in the status of the unit, and its annotations.
    pub unit: Option<Value>,
}

impl Outcome {
    fn verdict(&self) -> Verdict {
        self.timeline.verdict(self.limits)
    }

    /// Whether the scenario could not be played as drawn.
    fn failed(&self) -> bool {
        self.notes.iter().any(|note| note.contains(": failed: "))
    }
}

/// The counts of one row.
#[derive(Default)]
struct Counts {
    all: u32,
    correct: u32,
    wrong: u32,
    missed: u32,
    failed: u32,
    /// The longest time from the last use to the stop, in idle timeouts.
    latest: f64,
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        self.all += 1;
        if outcome.failed() {
            self.failed += 1;
            return;
        }
        match outcome.verdict() {
            Verdict::Correct => self.correct += 1,
            Verdict::WrongStop => self.wrong += 1,
            Verdict::MissedStop => self.missed += 1,
        }
        if let Some(stopped) = outcome.timeline.stopped
            && let Some(last) = outcome.timeline.last_use(stopped)
        {
            self.latest = self.latest.max((stopped - last) / outcome.limits.timeout);
        }
    }

    fn row(&self, name: &str) -> Vec<String> {
        let numbers = [self.all, self.correct, self.wrong, self.missed, self.failed].map(|count| count.to_string());
        let latest = if self.latest > 0.0 { format!("{:.2}", self.latest) } else { String::new() };
        [vec![name.to_owned()], numbers.to_vec(), vec![latest]].concat()
    }
}

/// Prints the wrong verdicts of a batch at once.
pub fn progress(outcomes: &[Outcome]) {
    for outcome in outcomes.iter().filter(|outcome| outcome.failed() || outcome.verdict() != Verdict::Correct) {
        let Outcome { batch, index, activity, signals, fault, limits, timeline, notes, unit, .. } = outcome;
        let verdict = if outcome.failed() { "not played".to_owned() } else { format!("{:?}", outcome.verdict()) };
        eprintln!("\n{verdict}: batch {batch}, unit {index}: {activity:?}, {signals:?}, {fault}, {limits:?}");
        eprintln!(
            "  stopped: {:?}, observed until {:.2}, faults: {:.2?}",
            timeline.stopped, timeline.observed, timeline.faults
        );
        for note in notes {
            eprintln!("  {note}");
        }
        eprintln!("  {}", unit.as_ref().map(ToString::to_string).unwrap_or_default());
    }
}

/// Prints the tables.
pub fn print(seed: u64, outcomes: &[Outcome]) {
    let head = [
        "",
        "units",
        "correct",
        "wrong stops",
        "missed stops",
        "not played",
        "latest stop after the last use, in timeouts",
    ];
    let by = |key: &dyn Fn(&Outcome) -> String| {
        let mut counts = BTreeMap::<String, Counts>::new();
        for outcome in outcomes {
            counts.entry(key(outcome)).or_default().add(outcome);
            counts.entry("~all".to_owned()).or_default().add(outcome);
        }
        counts.iter().map(|(name, counts)| counts.row(name.trim_start_matches('~'))).collect::<Vec<_>>()
    };
    table::heading(&format!("{} scenarios of idle detection, seed {seed}", outcomes.len()));
    table::print(&head, &by(&|outcome| outcome.activity.kind().to_owned()));
    println!();
    table::print(&head, &by(&|outcome| outcome.fault.to_string()));
    println!();
    table::print(&head, &by(&|outcome| format!("{:?}", outcome.signals)));
    progress(outcomes);
}
