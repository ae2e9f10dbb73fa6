//! x

pub mod faults;
pub mod traffic;
