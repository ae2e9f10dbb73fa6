//! How the children differ from the desired ones, and whether a repair would help.
//!
//! Pure. Admission may change each write of the operator. Then a difference stays, and is reported instead.

use computing_unit_api::gateway::HTTPRoute;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::Resource;
use serde::Serialize;

use super::key_record::KeyRecord;
use crate::controllers::unit::{
    admissions::content,
    blocked::Write,
    build::{
        Children, Wanted, drift,
        guard::{closed, is_guarded},
        service,
    },
    snapshot::Snapshot,
};

/// How a child differs from the desired one.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Drift<K> {
    /// Not at all, or there is no such child.
    #[default]
    None,
    /// A write of this object restores it.
    Repair(Box<K>),
    /// Admission changed the last write of the same content to what the child is now.
    Overridden,
}

impl<K> Drift<K> {
    /// The object to be written.
    pub fn repair(&self) -> Option<&K> {
        match self {
            Self::Repair(object) => Some(object),
            Self::None | Self::Overridden => None,
        }
    }
}

/// The children that have one desired state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drifts {
    pub service: Drift<Service>,
    pub pod: Drift<Pod>,
    pub route: Drift<HTTPRoute>,
}

impl Drifts {
    /// The children that admission keeps from being as desired.
    pub fn overridden(&self) -> impl Iterator<Item = Write> {
        [
            (self.service == Drift::Overridden, Write::Service),
            (self.pod == Drift::Overridden, Write::Pod),
            (self.route == Drift::Overridden, Write::HTTPRoute),
        ]
        .into_iter()
        .filter_map(|(overridden, write)| overridden.then_some(write))
    }
}

/// How the children differ. `key` is whether the status records the unit's key, and `may_open` whether a guarded route can
/// be opened.
pub(super) fn drifts(snapshot: &Snapshot, wanted: &Wanted, key: KeyRecord, may_open: bool) -> Drifts {
    let Ok(children) = wanted else { return Drifts::default() };
    let service = snapshot.service.owned().map(|current| {
        let desired = service::with_app_protocols_of(current, children.service.clone());
        of(snapshot, Write::Service, drift::service_matches(current, &desired), current, &desired)
    });
    let pod = snapshot.pod.owned().map(|current| {
        of(snapshot, Write::Pod, drift::metadata_matches(current, &children.pod), current, &children.pod)
    });
    let route = snapshot.route.owned().map(|current| {
        let desired = desired_route(snapshot, children, current, key, may_open);
        of(snapshot, Write::HTTPRoute, drift::route_matches(current, &desired), current, &desired)
    });
    Drifts { service: service.unwrap_or_default(), pod: pod.unwrap_or_default(), route: route.unwrap_or_default() }
}

/// An open route stays open while something serves it. An open route of another key is guarded before that key is released.
fn desired_route(
    snapshot: &Snapshot,
    children: &Children,
    current: &HTTPRoute,
    key: KeyRecord,
    may_open: bool,
) -> HTTPRoute {
    let open = !is_guarded(current);
    if (open && snapshot.serving() && key != KeyRecord::Other) || (!open && may_open) {
        children.route.clone()
    } else {
        closed(children.route.clone(), &snapshot.uid(), current)
    }
}

fn of<K: Resource + Clone + Serialize>(
    snapshot: &Snapshot,
    write: Write,
    same: bool,
    current: &K,
    desired: &K,
) -> Drift<K> {
    if same {
        return Drift::None;
    }
    let repaired = drift::repaired(current, desired.clone());
    if repeats(snapshot, write, &repaired, current) { Drift::Overridden } else { Drift::Repair(Box::new(repaired)) }
}

/// Whether sending an object to `current` would repeat the last write.
pub fn repeats<K: Resource + Serialize>(snapshot: &Snapshot, write: Write, sent: &K, current: &K) -> bool {
    snapshot.admissions.repeats(write, &content(write, sent), &content(write, current))
}
