//! Which pods are ready endpoints of their unit's Service, indexed by unit so that a lookup does not search all slices.

use std::collections::{HashMap, HashSet};

use computing_unit_api::names::labels;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{ResourceExt, runtime::watcher::Event};
use parking_lot::Mutex;

/// UIDs of ready pods, by namespace and unit, then by slice.
type ByUnit = HashMap<(String, String), HashMap<String, HashSet<String>>>;

/// The ready endpoints of all units of a scope.
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

    /// Whether the pod with that UID is a ready endpoint of the unit's Service.
    pub fn ready(&self, namespace: &str, unit: &str, pod: &str) -> bool {
        let state = self.0.lock();
        state
            .live
            .get(&(namespace.to_owned(), unit.to_owned()))
            .is_some_and(|slices| slices.values().any(|pods| pods.contains(pod)))
    }
}

/// The unit whose Service a slice belongs to.
pub fn unit(slice: &EndpointSlice) -> Option<(String, String)> {
    Some((slice.namespace()?, slice.labels().get(labels::SERVICE_NAME)?.clone()))
}

fn enter(into: &mut ByUnit, slice: &EndpointSlice) {
    let Some(unit) = unit(slice) else { return };
    // An unset condition means ready.
    let ready = slice
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true))
        .filter_map(|endpoint| endpoint.target_ref.as_ref()?.uid.clone())
        .collect();
    into.entry(unit).or_default().insert(slice.name_any(), ready);
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
        assert!(endpoints.ready("units", "ada", "pod-1"));
        assert!(!endpoints.ready("units", "ada", "pod-2"), "of another pod");
        endpoints.observe_event(&Event::Apply(slice(false)));
        assert!(!endpoints.ready("units", "ada", "pod-1"));
        endpoints.observe_event(&Event::Apply(slice(true)));
        endpoints.observe_event(&Event::Init);
        assert!(endpoints.ready("units", "ada", "pod-1"), "the old list counts until the new one is complete");
        endpoints.observe_event(&Event::InitDone);
        assert!(!endpoints.ready("units", "ada", "pod-1"));
    }
}
