//! Times of a status have whole seconds.

use k8s_openapi::jiff::Timestamp;

/// The second of that time.
pub fn down(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The first second that is not before that time.
pub fn up(time: Timestamp) -> Timestamp {
    let second = time.as_second() + i64::from(time.subsec_nanosecond() > 0);
    Timestamp::from_second(second).unwrap_or(time)
}
