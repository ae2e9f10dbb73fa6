//! x

pub mod faults;
pub mod traffic;
pub mod units;
