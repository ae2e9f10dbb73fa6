//! What the demo shows, told as it happens: commands as a person types them, requests as a browser sends them, a start by
//! request, and the order of a unit's end. It decides nothing about units.

pub mod ending;
pub mod install;
pub mod show;
pub mod wake;
