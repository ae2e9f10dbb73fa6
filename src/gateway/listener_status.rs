//! Which listeners of a Gateway are in use, by their status.
//!
//! Pure.

use computing_unit_api::gateway::Gateway;

/// Conditions of a listener that is in use.
const REQUIRED: [&str; 3] = ["Accepted", "Programmed", "ResolvedRefs"];

/// The names of the listeners that the controller reports as not in use, for example because their certificate is missing.
pub fn unusable(gateway: &Gateway) -> impl Iterator<Item = &str> {
    let reported = gateway.status.iter().flat_map(|status| status.listeners.iter().flatten());
    let unusable = reported.filter(|listener| {
        let mut conditions = listener.conditions.iter();
        conditions.any(|condition| REQUIRED.contains(&condition.type_.as_str()) && condition.status == "False")
    });
    unusable.map(|listener| listener.name.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::gateway;

    #[test]
    fn listener_that_is_not_in_use_is_reported() {
        let mut object = serde_json::to_value(gateway(&json!([]))).unwrap();
        let listener = |name: &str, type_: &str, status: &str| {
            json!({"name": name, "attachedRoutes": 0, "supportedKinds": [], "conditions": [{
                "type": type_, "status": status, "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]})
        };
        object["status"]["listeners"] = json!([
            listener("good", "Programmed", "True"),
            listener("conflicted", "Conflicted", "False"),
            listener("closed", "Programmed", "False"),
            listener("bare", "ResolvedRefs", "False"),
        ]);
        let object: Gateway = serde_json::from_value(object).unwrap();
        assert_eq!(unusable(&object).collect::<Vec<_>>(), ["closed", "bare"]);
    }
}
