//! Wakes units: queues a reconcile.

use computing_unit_api::ComputingUnit;
use futures::{
    Stream,
    channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded},
};
use kube::runtime::reflector::ObjectRef;

pub type Units = Vec<ObjectRef<ComputingUnit>>;

/// Wakes any unit. Cheap to clone.
///
/// The channels are unbounded: a controller keeps at most one pending request per unit, and drains its channel faster than
/// watches can fill it.
#[derive(Clone)]
pub struct Waker(Vec<(Option<String>, UnboundedSender<ObjectRef<ComputingUnit>>)>);

impl Waker {
    /// A waker, and the receiver of each scope.
    pub fn new(scopes: &[Option<String>]) -> (Self, Vec<UnboundedReceiver<ObjectRef<ComputingUnit>>>) {
        let (senders, receivers) = scopes
            .iter()
            .map(|scope| {
                let (sender, receiver) = unbounded();
                ((scope.clone(), sender), receiver)
            })
            .unzip();
        (Self(senders), receivers)
    }

    /// Wakes one unit. A unit outside of every scope is ignored.
    pub fn wake(&self, unit: ObjectRef<ComputingUnit>) {
        let namespace = unit.namespace.as_deref();
        if let Some((_, sender)) = self.0.iter().find(|(scope, _)| scope.is_none() || scope.as_deref() == namespace) {
            // The receiver is dropped only when the operator stops.
            let _ = sender.unbounded_send(unit);
        }
    }

    /// Wakes every unit of a stream, until it ends.
    pub async fn forward(self, units: impl Stream<Item = ObjectRef<ComputingUnit>>) {
        futures::StreamExt::for_each(units, |unit| {
            self.wake(unit);
            std::future::ready(())
        })
        .await;
    }
}
