//! The condition `ScheduleValid` of a pool.
//!
//! Units of a pool with an invalid schedule are neither suspended nor resumed by it.

use computing_unit_api::{ComputingUnitPool, ConditionType, Reason};

use crate::{controllers::condition::Draft, schedule::Calendar};

/// `None` for a pool without a schedule.
pub fn condition(pool: &ComputingUnitPool) -> Option<Draft> {
    let type_ = ConditionType::ScheduleValid;
    Some(match Calendar::parse(pool.spec.lifecycle.schedule.as_ref()?) {
        Ok(_) => Draft::yes(type_, Reason::Valid, "the schedule is valid"),
        Err(error) => Draft::no(
            type_,
            Reason::InvalidSchedule,
            format!(
                "spec.lifecycle.schedule.{error}. Until then the schedule neither suspends nor resumes the units of the pool"
            ),
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing;

    #[test]
    fn invalid_schedule_is_reported() {
        let reason = |schedule: serde_json::Value| {
            let mut pool = testing::pool(testing::query_routing());
            pool.spec.lifecycle.schedule = serde_json::from_value(schedule).unwrap();
            condition(&pool).map(|draft| (draft.reason, draft.message))
        };
        assert_eq!(reason(json!(null)), None);
        let of = |cron: &str| json!({"timeZone": "Etc/UTC", "resume": ["0 8 * * *", cron]});
        assert_eq!(reason(of("0 9 * * *")).unwrap().0, Reason::Valid);
        let (invalid, message) = reason(of("0 9 * *")).unwrap();
        assert_eq!(invalid, Reason::InvalidSchedule);
        assert!(message.starts_with("spec.lifecycle.schedule.resume[1]: \"0 9 * *\" is not"), "{message}");
    }
}
