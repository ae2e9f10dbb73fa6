//! Locks between processes, which are released when the holder exits or crashes.

use std::{
    fs::{self, File},
    path::Path,
};

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};

/// A lock that is released on drop.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    /// Closing the file is not enough: a child process has it open, too, between its fork and its exec.
    fn drop(&mut self) {
        // If it fails, the lock is released when the file is closed.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Waits for the lock on a file. Prints a message if it has to wait.
///
/// # Errors
/// If the file cannot be created.
pub fn hold(path: &Path) -> anyhow::Result<Lock> {
    if let Some(lock) = try_hold(path)? {
        return Ok(lock);
    }
    eprintln!("waiting for another run to release {}", path.display());
    let file = open(path)?;
    flock(&file, FlockOperation::LockExclusive).with_context(|| format!("lock {}", path.display()))?;
    Ok(Lock(file))
}

/// Takes the lock on a file unless it is held.
///
/// # Errors
/// If the file cannot be created.
pub fn try_hold(path: &Path) -> anyhow::Result<Option<Lock>> {
    let file = open(path)?;
    Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok().then_some(Lock(file)))
}

fn open(path: &Path) -> anyhow::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    File::options().create(true).append(true).open(path).with_context(|| format!("open {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let path = std::env::temp_dir().join(format!("cu-lock-{}", std::process::id()));
        let lock = try_hold(&path).unwrap().unwrap();
        assert!(try_hold(&path).unwrap().is_none());
        drop(lock);
        assert!(try_hold(&path).unwrap().is_some());
        fs::remove_file(path).unwrap();
    }
}
