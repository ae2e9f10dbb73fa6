//! The times of units: when each was to be created or deleted, and when the watches saw the effects.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::{
    sync::watch,
    time::{Instant as Deadline, timeout_at},
};

use super::percentiles::Percentiles;
use crate::bench::table::milliseconds;

/// The times of one unit.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// When it was to be created, from which times are measured.
    pub intended: Option<Instant>,
    /// When the response to its creation arrived.
    pub accepted: Option<Instant>,
    /// The UID.
    pub uid: Option<String>,
    /// Whether the operator has reported on its last generation.
    pub observed: bool,
    /// When its pod was seen.
    pub pod: Option<Instant>,
    /// When its guarded route was seen.
    pub guarded: Option<Instant>,
    /// When its open route was seen.
    pub open: Option<Instant>,
    /// Whether requests are sent until the first 200.
    pub asked: bool,
    /// The first 200 of its own route.
    pub first_200: Option<Instant>,
    /// When its phase was Ready.
    pub ready: Option<Instant>,
    /// When it was to be deleted.
    pub deleted: Option<Instant>,
    /// When its route was gone.
    pub route_gone: Option<Instant>,
    /// When its pod was gone.
    pub pod_gone: Option<Instant>,
    /// When it was gone.
    pub gone: Option<Instant>,
    /// Answers before the first 200.
    pub answers: Answers,
}

/// Answers to requests for a unit after its route was open and before the first 200.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Answers with a status of 500 or more.
    pub server_errors: u64,
    /// Answers with another status, such as 404, and failed connections.
    pub others: u64,
    /// Answers of the route of another unit.
    pub foreign: u64,
}

impl Life {
    /// Whether it is Ready, and the first 200 has arrived if requests are sent.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.ready.is_some() && (!self.asked || self.first_200.is_some())
    }

    /// Whether it and its children are gone.
    #[must_use]
    pub fn over(&self) -> bool {
        let gone = |seen: Option<Instant>, gone: Option<Instant>| seen.is_none() || gone.is_some();
        self.gone.is_some() && gone(self.pod, self.pod_gone) && gone(self.guarded.or(self.open), self.route_gone)
    }

    /// The named times, in milliseconds.
    fn stages(&self) -> [(&'static str, Option<f64>); 9] {
        let since =
            |start: Option<Instant>, end: Option<Instant>| Some(milliseconds(end?.saturating_duration_since(start?)));
        [
            ("create to accepted", since(self.intended, self.accepted)),
            ("create to pod", since(self.intended, self.pod)),
            ("create to route guarded", since(self.intended, self.guarded)),
            ("create to route open", since(self.intended, self.open)),
            ("create to first 200", since(self.intended, self.first_200)),
            ("create to Ready", since(self.intended, self.ready)),
            ("delete to route gone", since(self.deleted, self.route_gone)),
            ("delete to pod gone", since(self.deleted, self.pod_gone)),
            ("delete to gone", since(self.deleted, self.gone)),
        ]
    }
}

/// The percentiles of each time that some of them have, in order.
#[must_use]
pub fn latency<'a>(lives: impl IntoIterator<Item = &'a Life>) -> Vec<(String, Percentiles)> {
    let mut samples = BTreeMap::<usize, (&str, Vec<f64>)>::new();
    for life in lives {
        for (number, (name, time)) in life.stages().into_iter().enumerate() {
            samples.entry(number).or_insert((name, vec![])).1.extend(time);
        }
    }
    let percentiles = |(name, sample): (&str, Vec<f64>)| Some((name.to_owned(), Percentiles::of(sample)?));
    samples.into_values().filter_map(percentiles).collect()
}

/// The units of a run, by name.
#[derive(Clone, Debug)]
pub struct Lives(watch::Sender<HashMap<String, Life>>);

impl Default for Lives {
    fn default() -> Self {
        Self(watch::Sender::new(HashMap::new()))
    }
}

impl Lives {
    /// Expects a unit.
    pub fn expect(&self, name: &str, life: Life) {
        self.0.send_modify(|lives| drop(lives.insert(name.to_owned(), life)));
    }

    /// Changes a unit that is expected.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Life)) {
        self.0.send_if_modified(|lives| lives.get_mut(name).map(change).is_some());
    }

    /// Changes all.
    pub fn change_all(&self, mut change: impl FnMut(&str, &mut Life)) {
        self.0.send_modify(|lives| lives.iter_mut().for_each(|(name, life)| change(name, life)));
    }

    /// Reads one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Life> {
        self.0.borrow().get(name).cloned()
    }

    /// How many satisfy `so`.
    #[must_use]
    pub fn count(&self, so: impl Fn(&Life) -> bool) -> usize {
        self.0.borrow().values().filter(|life| so(life)).count()
    }

    /// The names of those that are not deleted.
    #[must_use]
    pub fn present(&self) -> Vec<String> {
        let lives = self.0.borrow();
        let mut names: Vec<_> =
            lives.iter().filter(|(_, life)| life.deleted.is_none()).map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }

    /// Copies of the units with these names.
    #[must_use]
    pub fn of(&self, names: &[String]) -> Vec<Life> {
        let lives = self.0.borrow();
        names.iter().filter_map(|name| lives.get(name).cloned()).collect()
    }

    /// Forgets units.
    pub fn forget(&self, names: &[String]) {
        self.0.send_modify(|lives| lives.retain(|name, _| !names.contains(name)));
    }

    /// Waits until at most `left` units do not satisfy `so`.
    ///
    /// # Errors
    /// If that takes longer than until `end`. The error has one of them.
    pub async fn until_all(&self, left: usize, end: Deadline, so: impl Fn(&Life) -> bool) -> anyhow::Result<()> {
        let mut lives = self.0.subscribe();
        let all = lives.wait_for(|lives| lives.values().filter(|life| !so(life)).count() <= left);
        if timeout_at(end, all).await.is_ok() {
            return Ok(());
        }
        let lives = self.0.borrow();
        let others: Vec<_> = lives.iter().filter(|(_, life)| !so(life)).collect();
        let (name, life) = others.first().context("none")?;
        anyhow::bail!("{} of {} units are not there in time; {name}: {life:?}", others.len(), lives.len())
    }
}

/// The time at which the last of them satisfied a condition, since `start`.
#[must_use]
pub fn last(start: Instant, times: impl IntoIterator<Item = Option<Instant>>) -> Duration {
    times.into_iter().flatten().max().map_or(Duration::ZERO, |last| last.saturating_duration_since(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_measured_from_the_intended_creation() {
        let start = Instant::now();
        let at = |ms| Some(start + Duration::from_millis(ms));
        let life = Life { intended: at(100), accepted: at(150), ready: at(400), ..Life::default() };
        let names: Vec<_> = latency([&life]).into_iter().map(|(name, times)| (name, times.max_ms.round())).collect();
        assert_eq!(names, [("create to accepted".to_owned(), 50.0), ("create to Ready".to_owned(), 300.0)]);
        assert_eq!(last(start, [at(100), None, at(40)]), Duration::from_millis(100));
    }

    #[test]
    fn a_unit_is_usable_with_its_first_answer_and_over_without_children() {
        let now = Some(Instant::now());
        let mut life = Life { ready: now, asked: true, ..Life::default() };
        assert!(!life.usable());
        life.first_200 = now;
        assert!(life.usable());
        life = Life { pod: now, open: now, gone: now, pod_gone: now, ..life };
        assert!(!life.over());
        life.route_gone = now;
        assert!(life.over());
    }
}
