//! What admission made of the children that the operator wrote last.
//!
//! A mutating webhook or policy may change what the operator writes. Then the stored object never equals the desired one.
//! A write that repeats the last one, to an object that is as it was stored then, would change nothing and is not sent.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
};

use kube::Resource;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};

use super::blocked::Write;

/// A hash of what was sent, and of what was stored in response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Admission {
    sent: u64,
    stored: u64,
}

/// The last write of each child, by UID of the unit.
#[derive(Default)]
pub struct Admissions(Mutex<HashMap<String, UnitAdmissions>>);

impl Admissions {
    /// Records a write and its response, both as [`content`] or another value of the same form.
    pub fn record(&self, uid: &str, write: Write, sent: &Value, stored: &Value) {
        let admission = Admission { sent: hash(sent), stored: hash(stored) };
        self.0.lock().entry(uid.to_owned()).or_default().0.insert(write, admission);
    }

    /// The last writes of a unit.
    pub fn of(&self, uid: &str) -> UnitAdmissions {
        self.0.lock().get(uid).cloned().unwrap_or_default()
    }

    pub fn forget(&self, uid: &str) {
        self.0.lock().remove(uid);
    }
}

/// The last writes of one unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitAdmissions(BTreeMap<Write, Admission>);

impl UnitAdmissions {
    /// Whether sending that to an object in that state would repeat the last write.
    pub fn repeats(&self, write: Write, sent: &Value, current: &Value) -> bool {
        self.0.get(&write) == Some(&Admission { sent: hash(sent), stored: hash(current) })
    }
}

/// The part of an object that the operator restores: labels, owners, and the spec unless only these are restored.
pub fn content<K: Resource + Serialize>(write: Write, object: &K) -> Value {
    let meta = object.meta();
    let spec = match write {
        // The cache contains a part of it.
        Write::Pod | Write::PersistentVolumeClaim => Value::Null,
        _ => serde_json::to_value(object).map(|mut object| object["spec"].take()).unwrap_or_default(),
    };
    json!({"labels": meta.labels, "owners": meta.owner_references, "spec": spec})
}

/// The hash is only compared within this process.
fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_is_repeated_only_if_neither_what_is_sent_nor_what_is_stored_has_changed() {
        let admissions = Admissions::default();
        let (sent, stored, other) = (json!({"a": 1}), json!({"a": 2}), json!({"a": 3}));
        let repeats = |sent, current| admissions.of("u").repeats(Write::HTTPRoute, sent, current);
        assert!(!repeats(&sent, &stored));
        admissions.record("u", Write::HTTPRoute, &sent, &stored);
        assert!(repeats(&sent, &stored));
        assert!(!repeats(&other, &stored) && !repeats(&sent, &other));
        assert!(!admissions.of("u").repeats(Write::Service, &sent, &stored));
        admissions.forget("u");
        assert!(!repeats(&sent, &stored));
    }
}
