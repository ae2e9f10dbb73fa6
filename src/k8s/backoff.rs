//! Retry delays: exponential, with jitter.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher, Hash},
    time::Duration,
};

use parking_lot::Mutex;

/// Delays by key, doubling from `first` to `longest`.
pub struct Backoff<K> {
    first: Duration,
    longest: Duration,
    failures: Mutex<HashMap<K, u32>>,
    random: RandomState,
}

impl<K: Eq + Hash> Backoff<K> {
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: Mutex::default(), random: RandomState::new() }
    }

    /// Counts a failure and returns the delay before the next attempt: at least half of the nominal delay.
    pub fn failed(&self, key: K) -> Duration {
        let mut failures = self.failures.lock();
        let count = failures.get(&key).map_or(1, |count| count.saturating_add(1));
        let factor = 1_u32.checked_shl(count - 1).unwrap_or(u32::MAX);
        let delay = self.first.saturating_mul(factor).min(self.longest);
        let spread = self.random.hash_one((&key, count)) % 500;
        failures.insert(key, count);
        delay.mul_f64(1.0 - f64::from(u32::try_from(spread).unwrap_or(0)) / 1000.0)
    }

    /// How often a key has failed since its last success.
    pub fn failures(&self, key: &K) -> u32 {
        self.failures.lock().get(key).copied().unwrap_or(0)
    }

    /// Resets the failures of a key.
    pub fn succeeded(&self, key: &K) {
        self.failures.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_doubles_up_to_a_limit_until_success() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let delays: Vec<_> = (0..40).map(|_| backoff.failed("a")).collect();
        assert!((50..=100).contains(&delays[0].as_millis()), "{delays:?}");
        assert!((100..=200).contains(&delays[1].as_millis()), "{delays:?}");
        assert!(delays.iter().all(|delay| delay.as_millis() <= 1000) && delays[39].as_millis() >= 500, "{delays:?}");
        assert!(backoff.failed("b") <= Duration::from_millis(100), "by key");
        backoff.succeeded(&"a");
        assert!(backoff.failed("a") <= Duration::from_millis(100));
    }
}
