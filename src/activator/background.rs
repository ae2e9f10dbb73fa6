//! Remembers when the last background request for each suspended unit arrived.
//!
//! Each replica has its own memory, which begins when it starts: what was before counts as a request.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// For how long a request is remembered. A longer time is as good as none.
const MEMORY: Duration = Duration::from_hours(24);

pub struct BackgroundRequests {
    began: Instant,
    /// By UID of the unit.
    last: Mutex<HashMap<String, Instant>>,
}

impl BackgroundRequests {
    pub fn new(now: Instant) -> Self {
        Self { began: now, last: Mutex::default() }
    }

    /// Records a request for a unit. Returns the time since the previous one.
    pub fn record(&self, uid: &str, now: Instant) -> Duration {
        let mut last = self.last.lock();
        if !last.contains_key(uid) {
            last.retain(|_, at| now.saturating_duration_since(*at) < MEMORY);
        }
        let previous = last.insert(uid.to_owned(), now).unwrap_or(self.began);
        now.saturating_duration_since(previous)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_since_the_last_request_is_known_for_each_unit() {
        let requests = BackgroundRequests::new(Instant::now());
        advance(Duration::from_mins(1)).await;
        assert_eq!(requests.record("ada", Instant::now()).as_secs(), 60, "since the start of the process");
        advance(Duration::from_secs(30)).await;
        assert_eq!(requests.record("ada", Instant::now()).as_secs(), 30);
        assert_eq!(requests.record("bob", Instant::now()).as_secs(), 90);
        advance(MEMORY).await;
        requests.record("carol", Instant::now());
        assert_eq!(requests.last.lock().keys().collect::<Vec<_>>(), ["carol"], "others are forgotten");
    }
}
