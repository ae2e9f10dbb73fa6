//! The steps of the demo, printed as they run: commands, requests, a start by request, and the deletion of a unit.

pub mod ending;
pub mod install;
pub mod show;
pub mod wake;
