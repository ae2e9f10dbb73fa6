//! Stops idle units in rounds: the signals of few units are read, and these are stopped at the same time. So a unit that is
//! used after its signals were read has little time to be stopped nevertheless, however many units are idle.

use futures::future::{BoxFuture, join_all};

/// How many units are stopped at the same time.
const ROUND: usize = 16;

/// Calls `decide` for the units of each round, and `stop` for those that it returns.
pub async fn in_rounds<'a, T: Clone>(
    units: &[T],
    decide: impl Fn(Vec<T>) -> BoxFuture<'a, Vec<T>>,
    stop: impl Fn(T) -> BoxFuture<'a, ()>,
) {
    for round in units.chunks(ROUND) {
        join_all(decide(round.to_vec()).await.into_iter().map(&stop)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use parking_lot::Mutex;
    use tokio::time::{Instant, sleep_until};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_unit_waits_for_the_stops_of_other_rounds_after_it_was_read() {
        const WRITE: Duration = Duration::from_millis(100);
        let units: Vec<usize> = (0..100).collect();
        let (read, waited) = (Mutex::new(vec![None; units.len()]), Mutex::new(Vec::new()));
        let (read, waited) = (&read, &waited);
        let decide = |round: Vec<usize>| {
            for unit in &round {
                read.lock()[*unit] = Some(Instant::now());
            }
            // One of them was used since.
            async move { round.into_iter().filter(|unit| *unit != 7).collect() }.boxed()
        };
        let stop = |unit: usize| {
            let write = async move {
                sleep_until(Instant::now() + WRITE).await;
                let since = read.lock()[unit].map(|at| at.elapsed());
                waited.lock().push((unit, since));
            };
            write.boxed()
        };
        in_rounds(&units, decide, stop).await;
        let mut waited = waited.lock().clone();
        waited.sort_unstable();
        let expected: Vec<_> = units.into_iter().filter(|unit| *unit != 7).map(|unit| (unit, Some(WRITE))).collect();
        assert_eq!(waited, expected);
    }
}
