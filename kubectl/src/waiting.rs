//! The units of a wait: what is known of each, and which are not decided yet.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use kube::{
    ResourceExt,
    runtime::watcher::{self, Event},
};

use crate::{
    error::Error,
    explain::{self, Target},
    goal::{Goal, Verdict},
    object::Unit,
    outcome::{Outcome, Waited},
    progress::Report,
    screen::Screen,
    stdio::write_stderr,
};

/// The units of a wait.
pub struct Waiting {
    goal: Goal,
    units: Vec<One>,
    /// Positions by namespace, which is empty if the object has none, and name.
    positions: BTreeMap<(String, String), usize>,
}

struct One {
    last: Unit,
    report: Report,
    outcome: Option<Outcome>,
    /// Lines of stages that are not shown yet.
    stages: Vec<String>,
    /// Whether the present list of the watch has the unit.
    listed: bool,
    /// Whether the namespace was listed once.
    watched: bool,
    closed: bool,
}

impl Waiting {
    /// Units, some of which may have reached the state already.
    pub fn new(units: Vec<Unit>, goal: &Goal) -> Self {
        let positions = units.iter().enumerate().map(|(position, unit)| (key(unit), position)).collect();
        let one = |unit: Unit| One {
            report: Report::new(goal.clone(), &unit),
            outcome: goal.verdict(&unit).map(Outcome::from),
            last: unit,
            stages: vec![],
            listed: false,
            watched: false,
            closed: false,
        };
        Self { goal: goal.clone(), units: units.into_iter().map(one).collect(), positions }
    }

    /// Whether all units are decided.
    pub fn is_done(&self) -> bool {
        self.units.iter().all(|one| one.outcome.is_some())
    }

    /// Applies an event of the watch of a namespace.
    pub fn apply(&mut self, namespace: &str, event: Result<Event<Unit>, watcher::Error>, elapsed: Duration) {
        match event {
            Ok(Event::Init) => self.of(namespace).for_each(|one| one.listed = false),
            Ok(Event::InitApply(unit) | Event::Apply(unit)) => self.observe(unit, elapsed),
            Ok(Event::InitDone) => {
                let goal = self.goal.clone();
                for one in self.of(namespace) {
                    one.watched = true;
                    if !one.listed {
                        one.gone(&goal);
                    }
                }
            }
            Ok(Event::Delete(unit)) => {
                let goal = self.goal.clone();
                if let Some(one) = self.find(&unit)
                    && one.last.uid() == unit.uid()
                {
                    one.gone(&goal);
                }
            }
            Err(error) => self.failed(namespace, error, elapsed),
        }
    }

    fn observe(&mut self, unit: Unit, elapsed: Duration) {
        let goal = self.goal.clone();
        let Some(one) = self.find(&unit) else { return };
        if one.last.uid() != unit.uid() {
            return one.gone(&goal);
        }
        one.listed = true;
        one.stages.extend(one.report.observe(&unit, elapsed));
        one.decide(goal.verdict(&unit).map(Outcome::from));
        one.last = unit;
    }

    fn failed(&mut self, namespace: &str, error: watcher::Error, elapsed: Duration) {
        let watched = self.of(namespace).any(|one| one.watched);
        match fatal(error, watched) {
            Ok(error) => {
                let error = Arc::new(error);
                self.of(namespace).for_each(|one| one.decide(Some(Outcome::WatchFailed(error.clone()))));
            }
            Err(error) => self.of(namespace).for_each(|one| one.report.disconnected(&error, elapsed)),
        }
    }

    /// Decides the remaining units by what each waits for.
    pub fn end(&mut self, outcome: fn(String) -> Outcome, elapsed: Duration) {
        for one in &mut self.units {
            let unmet = one.report.waiting_for(elapsed);
            one.decide(Some(outcome(unmet)));
        }
    }

    /// Shows the progress of the units that were not decided before.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn show(&mut self, screen: &mut Screen<'_>, elapsed: Duration) -> io::Result<()> {
        for (position, one) in self.units.iter_mut().enumerate().filter(|(_, one)| !one.closed) {
            screen.show(position, &mut one.report, &std::mem::take(&mut one.stages), elapsed)?;
            if one.outcome.is_some() {
                one.closed = true;
                screen.finish(position);
            }
        }
        Ok(())
    }

    /// The results in the order of the units. A unit that is not decided counts as interrupted.
    pub fn results(self, elapsed: Duration) -> Vec<Waited> {
        let result = |one: One| {
            let outcome = one.outcome.unwrap_or_else(|| Outcome::Interrupted(one.report.waiting_for(elapsed)));
            Waited { outcome, last: one.last }
        };
        self.units.into_iter().map(result).collect()
    }

    fn of<'a>(&'a mut self, namespace: &str) -> impl Iterator<Item = &'a mut One> {
        self.units.iter_mut().filter(move |one| one.last.namespace().unwrap_or_default() == namespace)
    }

    fn find(&mut self, unit: &Unit) -> Option<&mut One> {
        self.positions.get(&key(unit)).and_then(|position| self.units.get_mut(*position))
    }
}

impl One {
    fn decide(&mut self, outcome: Option<Outcome>) {
        if self.outcome.is_none() {
            self.outcome = outcome;
        }
    }

    fn gone(&mut self, goal: &Goal) {
        self.decide(Some(if *goal == Goal::Deleted { Outcome::Reached } else { Outcome::Deleted }));
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Reached => Self::Reached,
            Verdict::Failed(why) => Self::Failed(why),
            Verdict::Deleted => Self::Deleted,
        }
    }
}

fn key(unit: &Unit) -> (String, String) {
    (unit.namespace().unwrap_or_default(), unit.name_any())
}

/// An error that ends the watch. An API server that has just started may reject requests that it allows later, so only the
/// first response is considered.
///
/// # Errors
/// The message, if the watch is retried.
fn fatal(error: watcher::Error, seen: bool) -> Result<kube::Error, String> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            if !seen && matches!(status.code, 401 | 403 | 404) =>
        {
            Ok(kube::Error::Api(status))
        }
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => Err(explain::innermost(&error).to_string()),
        other => Err(other.to_string()),
    }
}

/// Reports on stderr that a watch is retried.
///
/// # Errors
/// If it is not: see [`fatal`].
pub fn retried(error: watcher::Error, seen: bool, target: Target<'_>) -> Result<(), Error> {
    match fatal(error, seen) {
        Ok(error) => Err(explain::request(&error, target).into()),
        Err(message) => {
            write_stderr(&format!("waiting for the API server: {message}"));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing;

    fn unit(name: &str, status: Value) -> Unit {
        serde_json::from_value(testing::named(name, status)).unwrap()
    }

    fn outcomes(waiting: Waiting) -> Vec<String> {
        let text = |waited: Waited| format!("{:?}", waited.outcome).split('(').next().unwrap_or_default().to_owned();
        waiting.results(Duration::ZERO).into_iter().map(text).collect()
    }

    #[test]
    fn result_does_not_depend_on_the_order_of_the_units() {
        let ready = || unit("ada", json!({"phase": "Ready"}));
        let suspended = || unit("bob", json!({"phase": "Suspended"}));
        for (units, expected) in [
            (vec![ready(), suspended()], ["TimedOut", "Reached"]),
            (vec![suspended(), ready()], ["Reached", "TimedOut"]),
        ] {
            let mut waiting = Waiting::new(units, &Goal::Suspended);
            waiting.end(Outcome::TimedOut, Duration::from_secs(3));
            assert!(waiting.is_done());
            assert_eq!(outcomes(waiting), expected);
        }
    }

    #[test]
    fn events_decide_the_units_of_their_namespace() {
        let mut other = testing::named("ada", Value::Null);
        other["metadata"]["namespace"] = json!("other");
        let units = vec![unit("ada", Value::Null), unit("bob", Value::Null), serde_json::from_value(other).unwrap()];
        let mut waiting = Waiting::new(units, &Goal::Ready);
        for event in [Event::Init, Event::InitApply(unit("ada", json!({"phase": "Ready"}))), Event::InitDone] {
            waiting.apply("team", Ok(event), Duration::ZERO);
        }
        assert!(!waiting.is_done());
        assert_eq!(outcomes(waiting), ["Reached", "Deleted", "Interrupted"]);
    }

    #[test]
    fn deleted_unit_is_known_by_its_uid() {
        let mut waiting = Waiting::new(vec![unit("ada", Value::Null)], &Goal::Deleted);
        let mut successor = testing::named("ada", Value::Null);
        successor["metadata"]["uid"] = json!("u2");
        waiting.apply("team", Ok(Event::Delete(serde_json::from_value(successor.clone()).unwrap())), Duration::ZERO);
        assert!(!waiting.is_done(), "another unit of the name was deleted");
        waiting.apply("team", Ok(Event::Apply(serde_json::from_value(successor).unwrap())), Duration::ZERO);
        assert_eq!(outcomes(waiting), ["Reached"]);
    }
}
