//! Reads how the API server words the refusals of quotas and limit ranges.
//!
//! Pure.

use std::collections::BTreeMap;

use computing_unit_api::Quantity;
use k8s_openapi::api::core::v1::{Container, Pod};

/// What the refusals of limit ranges contain.
const LIMIT_RANGE: [&str; 2] = [" usage per ", " max limit to request ratio per "];

/// Whether a quota or a limit range refuses the amounts.
pub(super) fn limits_amounts(message: &str) -> bool {
    message.contains("exceeded quota: ") || LIMIT_RANGE.iter().any(|words| message.contains(words))
}

/// Whether the quota that refuses `next` has room for it once `current` is deleted. A quota counts the running pod, and
/// the API server reports one exceeded quota only: no amount that it does not name may grow.
pub(super) fn fits_after_deletion(message: &str, current: &Pod, next: &Pod) -> bool {
    let Some(refusal) = Refusal::parse(message) else { return false };
    let (before, after) = (amounts(current), amounts(next));
    let had = |name: &str| before.get(canonical(name).as_str()).copied().unwrap_or(0.0);
    let room = refusal.requested.iter().all(|(name, requested)| {
        let counted = refusal.used.get(name).zip(refusal.limited.get(name));
        counted.is_some_and(|(used, limited)| used - had(name) + requested <= limited * (1.0 + f64::EPSILON))
    });
    let named = |name: &str| refusal.requested.keys().any(|other| canonical(other) == name);
    room && after.iter().all(|(name, amount)| named(name) || *amount <= had(name))
}

/// `exceeded quota: NAME, requested: a=1,b=2, used: a=3,b=4, limited: a=5,b=6`.
struct Refusal {
    requested: BTreeMap<String, f64>,
    used: BTreeMap<String, f64>,
    limited: BTreeMap<String, f64>,
}

impl Refusal {
    fn parse(message: &str) -> Option<Self> {
        let (_, quota) = message.split_once("exceeded quota: ")?;
        let (_, rest) = quota.split_once(", requested: ")?;
        let (requested, rest) = rest.split_once(", used: ")?;
        let (used, limited) = rest.split_once(", limited: ")?;
        Some(Self { requested: list(requested)?, used: list(used)?, limited: list(limited)? })
    }
}

fn list(text: &str) -> Option<BTreeMap<String, f64>> {
    text.trim()
        .split(',')
        .map(|pair| {
            let (name, amount) = pair.split_once('=')?;
            Some((name.trim().to_owned(), Quantity(amount.trim().to_owned()).value()?))
        })
        .collect()
}

/// `cpu` in a quota means `requests.cpu`, and `count/pods` means `pods`.
fn canonical(name: &str) -> String {
    match name {
        "count/pods" => "pods".to_owned(),
        "pods" => name.to_owned(),
        _ if name.starts_with("requests.") || name.starts_with("limits.") => name.to_owned(),
        _ => format!("requests.{name}"),
    }
}

/// What a pod counts for in a quota, by canonical name.
fn amounts(pod: &Pod) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::from([("pods".to_owned(), 1.0)]);
    let Some(spec) = &pod.spec else { return all };
    let inits = spec.init_containers.iter().flatten();
    let (sidecars, inits): (Vec<_>, Vec<_>) = inits.partition(|init| init.restart_policy.as_deref() == Some("Always"));
    for container in spec.containers.iter().chain(sidecars) {
        for (name, amount) in of_container(container) {
            *all.entry(name).or_default() += amount;
        }
    }
    // Init containers run before the others, one after the other.
    for (name, amount) in inits.into_iter().flat_map(of_container) {
        let most = all.entry(name).or_default();
        *most = most.max(amount);
    }
    all
}

fn of_container(container: &Container) -> Vec<(String, f64)> {
    let resources = container.resources.clone().unwrap_or_default();
    let limits = resources.limits.unwrap_or_default();
    let mut requests = resources.requests.unwrap_or_default();
    for (name, limit) in &limits {
        requests.entry(name.clone()).or_insert_with(|| limit.clone());
    }
    let named = [("requests", requests), ("limits", limits)].into_iter().flat_map(|(list, amounts)| {
        amounts.into_iter().map(move |(name, amount)| (format!("{list}.{name}"), Quantity(amount.0).value()))
    });
    named.filter_map(|(name, amount)| Some((name, amount?))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(memory: &str) -> Pod {
        let containers = json!([{"name": "engine", "resources": {"limits": {"memory": memory, "cpu": "1"}}}]);
        serde_json::from_value(json!({"spec": {"containers": containers}})).unwrap()
    }

    fn refusal(requested: &str, used: &str, limited: &str) -> String {
        format!(
            "pods \"ada-x7k2p\" is forbidden: exceeded quota: units, requested: {requested}, used: {used}, limited: {limited}"
        )
    }

    #[test]
    fn quota_is_exceeded_only_while_the_running_pod_counts() {
        for (what, message, current, next, fits) in [
            (
                "as much as before",
                refusal("limits.memory=2Gi", "limits.memory=4Gi", "limits.memory=4Gi"),
                "2Gi",
                "2Gi",
                true,
            ),
            (
                "more, and there is room",
                refusal("limits.memory=3Gi,memory=3Gi", "limits.memory=4Gi,memory=4Gi", "limits.memory=5Gi,memory=5Gi"),
                "2Gi",
                "3Gi",
                true,
            ),
            (
                "more than there is room",
                refusal("limits.memory=3Gi", "limits.memory=4Gi", "limits.memory=4Gi"),
                "2Gi",
                "3Gi",
                false,
            ),
            ("the number of pods", refusal("pods=1", "pods=3", "pods=3"), "2Gi", "2Gi", true),
            ("another quota may limit what grows", refusal("pods=1", "pods=3", "pods=3"), "2Gi", "3Gi", false),
            ("two amounts", refusal("cpu=1,pods=1", "cpu=4,pods=3", "cpu=4,pods=3"), "2Gi", "1Gi", true),
            ("lowered below what is used", refusal("pods=1", "pods=9", "pods=3"), "2Gi", "2Gi", false),
            ("not understood", "exceeded quota: units".to_owned(), "2Gi", "2Gi", false),
            ("another refusal", "violates PodSecurity".to_owned(), "2Gi", "2Gi", false),
        ] {
            assert_eq!(fits_after_deletion(&message, &pod(current), &pod(next)), fits, "{what}");
        }
    }

    #[test]
    fn refusals_of_amounts_are_recognized() {
        for (message, expected) in [
            ("maximum memory usage per Container is 128Mi, but limit is 1Gi", true),
            ("minimum cpu usage per Pod is 1, but request is 100m", true),
            ("cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000", true),
            ("exceeded quota: units, requested: pods=1, used: pods=1, limited: pods=1", true),
            ("User \"operator\" cannot patch resource \"pods/resize\"", false),
        ] {
            assert_eq!(limits_amounts(message), expected, "{message}");
        }
    }
}
