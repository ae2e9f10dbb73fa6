//! Detects drift: whether a child differs from the desired one. Fields that others added do not count, unless they change
//! what the child does.
//!
//! Pure.

use computing_unit_api::gateway::HTTPRoute;
use k8s_openapi::api::core::v1::Service;
use kube::Resource;
use serde_json::Value;

/// Whether an object has the desired labels and owner.
pub fn metadata_matches<K: Resource>(snapshot: &K, desired: &K) -> bool {
    let (snapshot, desired) = (snapshot.meta(), desired.meta());
    let labels = desired
        .labels
        .iter()
        .flatten()
        .all(|(key, value)| snapshot.labels.as_ref().and_then(|labels| labels.get(key)) == Some(value));
    let owners = desired
        .owner_references
        .iter()
        .flatten()
        .all(|owner| snapshot.owner_references.iter().flatten().any(|other| other == owner));
    labels && owners
}

/// The desired object with the identity of `current`, and the labels and owners that others added to it.
pub fn repaired<K: Resource>(current: &K, mut desired: K) -> K {
    let meta = desired.meta_mut();
    meta.uid.clone_from(&current.meta().uid);
    let mut labels = current.meta().labels.clone().unwrap_or_default();
    labels.extend(meta.labels.take().unwrap_or_default());
    meta.labels = Some(labels);
    let owners = meta.owner_references.get_or_insert_default();
    let others = current.meta().owner_references.iter().flatten();
    let others: Vec<_> = others.filter(|other| owners.iter().all(|own| own.uid != other.uid)).cloned().collect();
    owners.extend(others);
    desired
}

/// Whether a route has the desired spec. The operator sets every field that Gateway API defaults, so specs are compared
/// whole.
pub fn route_matches(snapshot: &HTTPRoute, desired: &HTTPRoute) -> bool {
    metadata_matches(snapshot, desired) && snapshot.spec == desired.spec
}

/// Whether a Service selects the desired pods and has the desired ports.
pub fn service_matches(snapshot: &Service, desired: &Service) -> bool {
    let (Some(was), Some(wanted)) = (&snapshot.spec, &desired.spec) else { return false };
    metadata_matches(snapshot, desired)
        && was.selector == wanted.selector
        && was.type_.as_deref().is_none_or(|type_| type_ == "ClusterIP")
        && was.external_name.is_none()
        && covers(&serde_json::to_value(was).unwrap_or_default(), &serde_json::to_value(wanted).unwrap_or_default())
}

/// Whether `whole` contains every field of `part`. Lists are compared element by element.
fn covers(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|other| covers(other, value)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| covers(whole, part))
        }
        _ => whole == part,
    }
}

#[cfg(test)]
mod tests {
    use computing_unit_api::BackendProtocol;
    use serde_json::json;

    use super::*;
    use crate::{controllers::unit::build, testing};

    #[test]
    fn what_the_api_server_fills_in_is_no_drift() {
        let desired = build::children(&testing::accepted(testing::query_routing())).service;
        let mut seen = serde_json::to_value(&desired).unwrap();
        seen["spec"]["clusterIPs"] = json!(["None"]);
        seen["spec"]["sessionAffinity"] = json!("None");
        seen["metadata"]["labels"]["by"] = json!("hand");
        let mut seen: Service = serde_json::from_value(seen).unwrap();
        assert!(service_matches(&seen, &desired));
        seen.spec.as_mut().unwrap().selector.as_mut().unwrap().insert("more".into(), "narrow".into());
        assert!(!service_matches(&seen, &desired));
    }

    #[test]
    fn protocol_that_somebody_else_has_set_is_kept_unless_the_pool_sets_one() {
        let of = |protocol: Option<BackendProtocol>| {
            let mut unit = testing::accepted(testing::path_routing());
            let pool = std::sync::Arc::make_mut(&mut unit.pool);
            pool.spec.protocol = protocol;
            pool.spec.ports =
                serde_json::from_value(json!([{"name": "grpc", "port": 9000, "protocol": "H2C"}])).unwrap();
            build::children(&unit).service
        };
        let protocols = |service: &Service| {
            let ports = service.spec.clone().unwrap().ports.unwrap();
            ports.into_iter().map(|port| port.app_protocol).collect::<Vec<_>>()
        };
        let h2c = Some("kubernetes.io/h2c".to_owned());
        assert_eq!(protocols(&of(None)), [None, h2c.clone()]);
        let mut seen = of(None);
        for port in seen.spec.as_mut().unwrap().ports.as_mut().unwrap() {
            port.app_protocol = Some("kubernetes.io/ws".to_owned());
        }
        let ws = Some("kubernetes.io/ws".to_owned());
        for (wanted, expected) in [
            (None, [ws, h2c.clone()]),
            (Some(BackendProtocol::HTTP), [Some("http".to_owned()), h2c.clone()]),
            (Some(BackendProtocol::H2C), [h2c.clone(), h2c.clone()]),
        ] {
            let desired = build::service::with_app_protocols_of(&seen, of(wanted));
            assert_eq!(protocols(&desired), expected);
            assert!(!service_matches(&seen, &desired), "that of the other port");
            assert!(service_matches(&desired, &desired));
        }
    }

    #[test]
    fn a_route_with_a_guard_or_a_host_too_many_has_drifted() {
        let desired = build::children(&testing::accepted(testing::query_routing())).route;
        assert!(route_matches(&desired, &desired));
        assert!(!route_matches(&build::guard::guarded(desired.clone(), "ada-uid"), &desired));
        let mut seen = desired.clone();
        seen.spec.hostnames = Some(vec!["elsewhere.example.org".into()]);
        assert!(!route_matches(&seen, &desired));
        let mut seen = desired.clone();
        seen.metadata.owner_references = None;
        assert!(!route_matches(&seen, &desired));
    }
}
