//! Placeholder until the probe lands.

/// What should be seen at all proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal { /// g
 Guarded, /// o
 Open, /// c
 Closed }
