//! A schedule of arrivals and departures that does not depend on how fast they are handled (open loop).

use std::time::Duration;

/// One unit of the schedule, by times since its start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Visit {
    /// When the unit is created.
    pub arrives: Duration,
    /// When it is deleted.
    pub departs: Duration,
}

/// Poisson arrivals for the time `length`: intervals and lifetimes are exponential. The same seed gives the same schedule.
#[must_use]
pub fn poisson(seed: u64, rate: f64, length: Duration, lifetime: Duration) -> Vec<Visit> {
    let mut random = fastrand::Rng::with_seed(seed);
    // `f64` is below 1, so the logarithm is finite.
    let mut exponential = |mean: f64| Duration::from_secs_f64(-mean * (1.0 - random.f64()).ln());
    let mut visits = vec![];
    if rate <= 0.0 {
        return visits;
    }
    let mut arrives = exponential(1.0 / rate);
    while arrives < length {
        visits.push(Visit { arrives, departs: arrives + exponential(lifetime.as_secs_f64()) });
        arrives += exponential(1.0 / rate);
    }
    visits
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(1000);

    #[test]
    fn a_schedule_has_the_rate_and_the_mean_lifetime() {
        let visits = poisson(1, 10.0, LENGTH, Duration::from_secs(30));
        // Four standard deviations.
        assert!((9_600..=10_400).contains(&visits.len()), "{}", visits.len());
        let total: f64 = visits.iter().map(|visit| visit.departs.as_secs_f64() - visit.arrives.as_secs_f64()).sum();
        let mean = total / f64::from(u32::try_from(visits.len()).unwrap());
        assert!((28.8..=31.2).contains(&mean), "{mean}");
        assert!(visits.is_sorted_by_key(|visit| visit.arrives));
        assert!(visits.iter().all(|visit| visit.arrives < LENGTH));
    }

    #[test]
    fn a_schedule_follows_from_its_seed() {
        let schedule = |seed| poisson(seed, 2.0, LENGTH, LENGTH);
        assert_eq!(schedule(7), schedule(7));
        assert_ne!(schedule(7), schedule(8));
        assert_eq!(poisson(7, 0.0, LENGTH, LENGTH), []);
    }
}
