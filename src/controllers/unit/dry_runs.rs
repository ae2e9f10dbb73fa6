//! Which replacements have passed a dry run, so that each is tried once and not at every event.

use std::collections::HashMap;

use parking_lot::Mutex;

/// The [attempt](super::assess::attempt) of each unit that has passed, by UID.
#[derive(Default)]
pub struct PassedDryRuns(Mutex<HashMap<String, String>>);

impl PassedDryRuns {
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
