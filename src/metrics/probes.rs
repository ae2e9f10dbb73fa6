//! How long proxies took until they did what was waited for.

use std::{sync::Arc, time::Duration};

use super::{Metrics, ProbeGoal, ProbeResult};
use crate::probe::{Goal, Measure};

impl Measure for Arc<Metrics> {
    fn asked(&self, _: Goal, _: &'static str) {}

    fn reached(&self, goal: Goal, after: Duration) {
        let goal = match goal {
            Goal::Guarded => ProbeGoal::Guarded,
            Goal::Open => ProbeGoal::Open,
            Goal::Closed => ProbeGoal::Closed,
        };
        self.probed(goal, ProbeResult::Reached, after);
    }
}
