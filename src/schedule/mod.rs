//! Times at which units are suspended and resumed.
//!
//! Pure. When a time is applied is decided with the lifecycle of a unit.

mod calendar;
mod timetable;

pub use self::{
    calendar::Calendar,
    timetable::{Change, Timetable},
};
