//! What the idle controller uses.

use std::sync::Arc;

use kube::runtime::events::Recorder;

use super::{Expressions, Table, departures::Departures};
use crate::{
    k8s::{caches::Caches, overlay::Overlays, waker::Waker, writer::Writer},
    metrics::Metrics,
};

pub struct IdleContext {
    pub writer: Writer,
    pub caches: Arc<Caches>,
    pub overlays: Arc<Overlays>,
    pub table: Arc<Table>,
    /// The last counters of proxies that terminate.
    pub departures: Departures,
    /// The expressions of the busy probes.
    pub expressions: Arc<Expressions>,
    /// Wakes units whose activity has to be published.
    pub waker: Waker,
    pub recorder: Recorder,
    pub metrics: Arc<Metrics>,
}
