//! Whether the status records that the unit holds its routing key. A route is opened only after that, so that a restarted
//! operator knows the holder of each key that requests can reach.
//!
//! Pure.

use crate::controllers::unit::snapshot::Snapshot;

/// What the status of a unit records of its routing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRecord {
    /// The unit holds the key that it needs.
    Held,
    /// It holds another key, for instance that of an earlier pool of the same name.
    Other,
    /// It holds none.
    None,
}

pub fn key_record(snapshot: &Snapshot) -> KeyRecord {
    match (snapshot.held_key(), &snapshot.key) {
        (Some(held), Some(needed)) if held == needed.key => KeyRecord::Held,
        (Some(_), _) => KeyRecord::Other,
        (None, _) => KeyRecord::None,
    }
}
