//! A latency histogram with a fixed size and a relative error of at most 1/16.

use std::time::Duration;

/// The number of buckets for each doubling of the latency.
const STEPS: u64 = 16;

/// A histogram of durations in microseconds.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    buckets: Vec<u64>,
    count: u64,
    longest: Duration,
}

impl Latency {
    /// Records one response.
    pub fn record(&mut self, took: Duration) {
        let bucket = bucket(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.longest = self.longest.max(took);
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
    }

    /// The number of recorded responses.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The exact maximum.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// The median.
    #[must_use]
    pub fn median(&self) -> Duration {
        self.permille(500)
    }

    /// The 99th percentile.
    #[must_use]
    pub fn p99(&self) -> Duration {
        self.permille(990)
    }

    /// The quantile in thousandths (500 is the median). Zero if there are no responses.
    #[must_use]
    pub fn permille(&self, permille: u64) -> Duration {
        let rank = (self.count * permille.min(1000)).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_micros(upper(bucket)).min(self.longest);
            }
        }
        Duration::ZERO
    }
}

/// The bucket of a latency in microseconds: one for each value up to `STEPS`, then `STEPS` for each doubling.
fn bucket(micros: u64) -> usize {
    let doublings = micros.max(STEPS).ilog2() - STEPS.ilog2();
    let bucket = u64::from(doublings) * STEPS + (micros >> doublings);
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

/// The upper bound of a bucket in microseconds.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let doublings = bucket / STEPS - 1;
    let step = bucket % STEPS + STEPS;
    ((u128::from(step) + 1) << doublings).saturating_sub(1).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_at_most_the_upper_end_of_its_bucket() {
        for micros in (0..5000).chain([1_000_000, 60_000_000, u64::MAX]) {
            let upper = upper(bucket(micros));
            assert!(upper >= micros, "{micros} is above {upper}");
            assert!(upper - micros <= micros / STEPS, "{upper} is far from {micros}");
        }
    }

    #[test]
    fn quantiles_of_two_halves() {
        let mut latency = Latency::default();
        let mut slow = Latency::default();
        for _ in 0..90 {
            latency.record(Duration::from_micros(10));
        }
        for _ in 0..10 {
            slow.record(Duration::from_millis(20));
        }
        latency.merge(&slow);
        assert_eq!(latency.count(), 100);
        assert_eq!(latency.median(), Duration::from_micros(10));
        assert_eq!(latency.permille(900), Duration::from_micros(10));
        assert!(latency.permille(910) >= Duration::from_millis(19));
        assert!(latency.p99() >= Duration::from_millis(19));
        assert_eq!(latency.longest(), Duration::from_millis(20));
        assert_eq!(Latency::default().p99(), Duration::ZERO);
    }
}
