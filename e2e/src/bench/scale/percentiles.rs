//! Percentiles of a sample.

use serde::{Deserialize, Serialize};

/// Percentiles of a sample of times, in milliseconds.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Percentiles {
    /// The size of the sample.
    pub count: usize,
    /// The median.
    pub p50_ms: f64,
    /// The 90th percentile.
    pub p90_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// The maximum.
    pub max_ms: f64,
}

impl Percentiles {
    /// By nearest rank. `None` if the sample is empty.
    #[must_use]
    pub fn of(mut sample: Vec<f64>) -> Option<Self> {
        sample.sort_by(f64::total_cmp);
        let max_ms = *sample.last()?;
        let rank = |percent: usize| sample[(sample.len() * percent).div_ceil(100).max(1) - 1];
        Some(Self { count: sample.len(), p50_ms: rank(50), p90_ms: rank(90), p99_ms: rank(99), max_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let sample = (1..=200).rev().map(f64::from).collect();
        let expected = Percentiles { count: 200, p50_ms: 100.0, p90_ms: 180.0, p99_ms: 198.0, max_ms: 200.0 };
        assert_eq!(Percentiles::of(sample), Some(expected));
        let one = Percentiles { count: 1, p50_ms: 7.0, p90_ms: 7.0, p99_ms: 7.0, max_ms: 7.0 };
        assert_eq!(Percentiles::of(vec![7.0]), Some(one));
        assert_eq!(Percentiles::of(vec![]), None);
    }
}
