//! The schedule of a unit.

use computing_unit_api::{ComputingUnit, Reason};

use super::Rejection;
use crate::schedule::Calendar;

pub(super) fn check(object: &ComputingUnit) -> Result<(), Rejection> {
    let Some(schedule) = object.spec.lifecycle.as_ref().and_then(|own| own.schedule.as_ref()) else { return Ok(()) };
    let reject = |error| {
        Rejection::new(Reason::InvalidSchedule, format!("spec.lifecycle.schedule.{error}; or remove the schedule"))
    };
    Calendar::parse(schedule).map(drop).map_err(reject)
}
