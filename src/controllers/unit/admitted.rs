//! Which replacements the API server has admitted in a dry run, so that each is tried once and not at every event.

use std::collections::HashMap;

use parking_lot::Mutex;

/// The admitted [attempt](super::assess::attempt) of each unit, by UID.
#[derive(Default)]
pub struct AdmittedReplacements(Mutex<HashMap<String, String>>);

impl AdmittedReplacements {
    pub fn record(&self, uid: &str, attempt: String) {
        self.0.lock().insert(uid.to_owned(), attempt);
    }

    pub fn of(&self, uid: &str) -> Option<String> {
        self.0.lock().get(uid).cloned()
    }

    pub fn forget(&self, uid: &str) {
        self.0.lock().remove(uid);
    }
}
