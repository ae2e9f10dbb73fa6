//! The progress of watches, from start until they have listed their objects.

use std::future;

use tokio::sync::watch;

/// How far a watch has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// It has not listed its objects yet.
    #[default]
    Pending,
    /// It has listed its objects at least once.
    Synced,
    /// The API server does not serve the resource. The watch retries.
    NotServed,
}

pub type ProgressReceiver = watch::Receiver<Progress>;

/// A watch that was started, with the plural name of its resource.
#[derive(Clone, Debug)]
pub struct Started {
    pub resource: &'static str,
    pub progress: ProgressReceiver,
}

impl Started {
    /// Whether it has listed its objects, or has found that the API server does not serve its resource.
    pub fn is_listed(&self) -> bool {
        *self.progress.borrow() != Progress::Pending
    }
}

/// Waits until each watch has listed its objects, or has found that the API server does not serve its resource. If a
/// watch ends before that, this never returns: nothing may act on incomplete caches.
pub async fn listed(watches: impl IntoIterator<Item = ProgressReceiver>) {
    for mut progress in watches {
        if progress.wait_for(|progress| *progress != Progress::Pending).await.is_err() {
            future::pending::<()>().await;
        }
    }
}
