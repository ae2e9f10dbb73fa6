//! The Kubernetes API: watches and the caches that they fill, the read-your-writes overlay, writes, errors and retry delays.
//!
//! No decision about a unit is made here.

pub(crate) mod affected;
pub(crate) mod backoff;
pub(crate) mod cache;
pub(crate) mod caches;
pub(crate) mod endpoints;
pub(crate) mod error;
pub(crate) mod finalizer;
pub(crate) mod no_response;
pub(crate) mod overlay;
pub(crate) mod patch;
pub(crate) mod permits;
pub(crate) mod progress;
pub(crate) mod prune;
pub(crate) mod scope;
pub(crate) mod waker;
pub(crate) mod watch;
pub(crate) mod writer;
