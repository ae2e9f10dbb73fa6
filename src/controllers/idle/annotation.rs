//! The time at which a backend says that a unit was last in use.
//!
//! Pure.

use computing_unit_api::{ComputingUnit, names::LAST_ACTIVITY};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::readings::Unreadable;
use crate::metrics::Unread;

/// How far a backend's clock may be ahead.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// The time in the annotation of `unit`, where there is one.
pub fn read(unit: &ComputingUnit, now: Timestamp) -> Result<Option<Timestamp>, Unreadable> {
    let Some(text) = unit.metadata.annotations.as_ref().and_then(|all| all.get(LAST_ACTIVITY)) else { return Ok(None) };
    let shown: String = text.chars().take(64).collect();
    let time: Timestamp = text.parse().map_err(|_| {
        let message = format!(
            "the annotation {LAST_ACTIVITY} is {shown:?}: write a time like 2026-01-31T12:00:00Z, or take it away"
        );
        Unreadable::new(Unread::Garbled, message)
    })?;
    if time.duration_since(now) > AHEAD {
        let message = format!("the annotation {LAST_ACTIVITY} is {shown:?}, which is to come: see the backend's clock");
        return Err(Unreadable::new(Unread::Garbled, message));
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
    fn times_are_read_and_anything_else_says_nothing() {
        assert_eq!(read(&testing::unit("ada", None, "2026-01-01T00:00:00Z"), Timestamp::UNIX_EPOCH), Ok(None));
        let noon = Ok(Some("2026-01-31T12:00:00Z".parse().unwrap()));
        assert_eq!(of("2026-01-31T12:00:00Z"), noon);
        assert_eq!(of("2026-01-31T13:00:00+01:00"), noon);
        assert!(of("2026-01-31T12:04:59Z").is_ok(), "clocks differ a little");
        for text in ["", "now", "1769860800", "2026-01-31", "2026-01-31T12:05:01Z", "9999-01-01T00:00:00Z"] {
            assert!(of(text).is_err(), "{text}");
        }
        assert!(of(&"x".repeat(100_000)).unwrap_err().message.len() < 300);
    }
}
