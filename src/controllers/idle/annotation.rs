//! The annotation with the time of a unit's last activity, which a backend maintains.
//!
//! Pure.

use computing_unit_api::{ComputingUnit, names::LAST_ACTIVITY};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::readings::Unreadable;
use crate::metrics::UnreadableReason;

/// How far the clock of the backend may be ahead.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The time in the annotation of `unit`. `None` without the annotation.
pub fn read(unit: &ComputingUnit, now: Timestamp) -> Result<Option<Timestamp>, Unreadable> {
    let Some(text) = unit.metadata.annotations.as_ref().and_then(|all| all.get(LAST_ACTIVITY)) else { return Ok(None) };
    let invalid = |problem: &str| {
        let shown: String = text.chars().take(64).collect();
        let message = format!("annotation {LAST_ACTIVITY} is {shown:?}, which {problem}");
        Unreadable::new(UnreadableReason::Invalid, message)
    };
    let time: Timestamp = text
        .parse()
        .map_err(|_| invalid("is not an RFC 3339 time such as 2026-01-31T12:00:00Z: correct or remove it"))?;
    if time.duration_since(now) > MAX_SKEW {
        return Err(invalid("is in the future: check the clock of the backend"));
    }
    Ok(Some(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn of(text: &str) -> Result<Option<Timestamp>, Unreadable> {
        let mut unit = testing::unit("ada", None, "2026-01-01T00:00:00Z");
        unit.metadata.annotations = Some([(LAST_ACTIVITY.to_owned(), text.to_owned())].into());
        read(&unit, "2026-01-31T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn annotation_is_a_time_that_is_not_in_the_future() {
        assert_eq!(read(&testing::unit("ada", None, "2026-01-01T00:00:00Z"), Timestamp::UNIX_EPOCH), Ok(None));
        let noon = Ok(Some("2026-01-31T12:00:00Z".parse().unwrap()));
        assert_eq!(of("2026-01-31T12:00:00Z"), noon);
        assert_eq!(of("2026-01-31T13:00:00+01:00"), noon);
        assert!(of("2026-01-31T12:04:59Z").is_ok(), "clocks may differ a little");
        for text in ["", "now", "1769860800", "2026-01-31", "2026-01-31T12:05:01Z", "9999-01-01T00:00:00Z"] {
            assert!(of(text).is_err(), "{text}");
        }
        assert!(of(&"x".repeat(100_000)).unwrap_err().message.len() < 300);
    }
}
