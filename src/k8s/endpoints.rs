//! Which pods are endpoints of their unit's Service, indexed by unit so that a lookup does not search all slices.

use std::collections::HashMap;

use computing_unit_api::names::labels;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{ResourceExt, runtime::watcher::Event};
use parking_lot::Mutex;

/// Whether a pod is ready, by namespace and unit, then by slice, then by the UID of the pod.
type ByUnit = HashMap<(String, String), HashMap<String, HashMap<String, bool>>>;

/// Whether a pod is an endpoint of the Service of its unit. The gateway's controller knows the address of a pod as soon as
/// it is an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    #[default]
    Absent,
    NotReady,
    Ready,
}

/// The endpoints of all units of a scope.
#[derive(Default)]
pub struct Endpoints(Mutex<State>);

#[derive(Default)]
struct State {
    live: ByUnit,
    /// The slices that a restarted watch has listed so far.
    listed: ByUnit,
}

impl Endpoints {
    /// Handles an event of the watch of slices.
    pub fn observe_event(&self, event: &Event<EndpointSlice>) {
        let mut state = self.0.lock();
        match event {
            Event::Init => state.listed.clear(),
            Event::InitApply(slice) => enter(&mut state.listed, slice),
            Event::InitDone => state.live = std::mem::take(&mut state.listed),
            Event::Apply(slice) => enter(&mut state.live, slice),
            Event::Delete(slice) => {
                if let Some(unit) = unit(slice)
                    && let Some(slices) = state.live.get_mut(&unit)
                {
                    slices.remove(&slice.name_any());
                    if slices.is_empty() {
                        state.live.remove(&unit);
                    }
                }
            }
        }
    }

    /// Whether the pod with that UID is an endpoint of the unit's Service.
    pub fn of(&self, namespace: &str, unit: &str, pod: &str) -> Endpoint {
        let state = self.0.lock();
        let slices = state.live.get(&(namespace.to_owned(), unit.to_owned()));
        let found = slices.iter().flat_map(|slices| slices.values()).filter_map(|pods| pods.get(pod));
        found.map(|ready| if *ready { Endpoint::Ready } else { Endpoint::NotReady }).max().unwrap_or_default()
    }
}

/// The unit whose Service a slice belongs to.
pub fn unit(slice: &EndpointSlice) -> Option<(String, String)> {
    Some((slice.namespace()?, slice.labels().get(labels::SERVICE_NAME)?.clone()))
}

fn enter(into: &mut ByUnit, slice: &EndpointSlice) {
    let Some(unit) = unit(slice) else { return };
    let pods = slice.endpoints.iter().filter_map(|endpoint| {
        // An unset condition means ready.
        let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true);
        Some((endpoint.target_ref.as_ref()?.uid.clone()?, ready))
    });
    into.entry(unit).or_default().insert(slice.name_any(), pods.collect());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn slice(ready: bool) -> EndpointSlice {
        serde_json::from_value(json!({
            "metadata": {"name": "ada-x1", "namespace": "units", "labels": {"kubernetes.io/service-name": "ada"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}, "targetRef": {"uid": "pod-1"}}],
        }))
        .unwrap()
    }

    #[test]
    fn endpoint_counts_while_it_is_ready_and_listed() {
        let endpoints = Endpoints::default();
        endpoints.observe_event(&Event::Apply(slice(true)));
        assert_eq!(endpoints.of("units", "ada", "pod-1"), Endpoint::Ready);
        assert_eq!(endpoints.of("units", "ada", "pod-2"), Endpoint::Absent, "another pod");
        endpoints.observe_event(&Event::Apply(slice(false)));
        assert_eq!(endpoints.of("units", "ada", "pod-1"), Endpoint::NotReady);
        endpoints.observe_event(&Event::Apply(slice(true)));
        endpoints.observe_event(&Event::Init);
        assert_eq!(
            endpoints.of("units", "ada", "pod-1"),
            Endpoint::Ready,
            "the old list counts until the new one is complete"
        );
        endpoints.observe_event(&Event::InitDone);
        assert_eq!(endpoints.of("units", "ada", "pod-1"), Endpoint::Absent);
    }
}
