//! The Kubernetes API: caches fed by watches, the read-your-writes overlay, patches, errors and retry delays.
//!
//! Nothing in it knows what a unit is for.

pub(crate) mod backoff;
pub(crate) mod caches;
pub(crate) mod endpoints;
pub(crate) mod error;
pub(crate) mod finalizer;
pub(crate) mod follow;
pub(crate) mod overlay;
pub(crate) mod patch;
pub(crate) mod prune;
pub(crate) mod subscribe;
pub(crate) mod waker;
pub(crate) mod writer;
pub(crate) mod writers;
