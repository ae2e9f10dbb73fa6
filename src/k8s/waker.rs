//! Tells the controllers to look at a unit again.

use computing_unit_api::ComputingUnit;
use futures::{
    Stream,
    channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded},
};
use kube::runtime::reflector::ObjectRef;

/// References to units.
pub type Units = Vec<ObjectRef<ComputingUnit>>;

/// A way to wake any unit. Cheap to clone.
///
/// The channels are unbounded because a controller merges requests for one unit: at most one for each unit is kept
/// beyond the channel, and it drains faster than watches can fill it.
#[derive(Clone)]
pub struct Waker(Vec<(Option<String>, UnboundedSender<ObjectRef<ComputingUnit>>)>);

impl Waker {
    /// A waker, and for each scope what it is told.
    #[must_use]
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

    /// Wakes one unit. A unit outside of every scope is nobody's.
    pub fn wake(&self, unit: ObjectRef<ComputingUnit>) {
        let namespace = unit.namespace.as_deref();
        if let Some((_, sender)) = self.0.iter().find(|(scope, _)| scope.is_none() || scope.as_deref() == namespace) {
            // The receiver is gone only while the operator stops.
            let _ = sender.unbounded_send(unit);
        }
    }

    /// Wakes every unit that a stream names, until it ends.
    pub async fn forward(self, units: impl Stream<Item = ObjectRef<ComputingUnit>>) {
        futures::StreamExt::for_each(units, |unit| {
            self.wake(unit);
            std::future::ready(())
        })
        .await;
    }
}
