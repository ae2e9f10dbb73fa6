//! Whether a request starts a suspended unit, by the rules of its pool.

use computing_unit_api::{ActivatorSpec, ComputingUnit, ComputingUnitPool, Phase};
use kube::Api;

use super::session::Session;
use crate::object::Unit;

/// Whether a request for the unit's URL starts it. False if the pool cannot be read.
pub async fn starts_on_request(session: &Session, unit: &Unit) -> bool {
    let activator = activator(session, unit).await.ok().flatten();
    activator.is_some_and(|activator| activator.wake.refusal(unit).is_none())
}

/// The section of `describe` about requests. `None` if the unit is not suspended.
pub async fn describe(session: &Session, unit: &Unit) -> Option<String> {
    if unit.status.as_ref()?.phase? != Phase::Suspended {
        return None;
    }
    let activator = activator(session, unit).await.map_err(|messages| messages.join("; "));
    let resume = session.connection.target(unit).command("cu resume");
    Some(format!("Requests:\n  {}", text(unit, activator.as_ref().map(Option::as_ref), &resume)))
}

/// The settings of the unit's pool.
async fn activator(session: &Session, unit: &Unit) -> Result<Option<ActivatorSpec>, Vec<String>> {
    let connection = &session.connection;
    let pools = Api::<ComputingUnitPool>::namespaced(connection.client.clone(), &connection.namespace_of(unit));
    let pool = connection.request(connection.target(unit), pools.get(&unit.spec.pool_name)).await?;
    Ok(pool.spec.activator)
}

fn text(unit: &ComputingUnit, activator: Result<Option<&ActivatorSpec>, &String>, resume: &str) -> String {
    let never = |because: &str| format!("a request does not start it: {because}; run {resume}");
    let activator = match activator {
        Ok(Some(activator)) => activator,
        Ok(None) => return never("its pool has no activator"),
        Err(error) => return format!("unknown, because its pool cannot be read: {error}"),
    };
    if let Some(refusal) = activator.wake.refusal(unit) {
        return never(refusal.because());
    }
    let quiet = match activator.quiet_period {
        period if period.0.is_zero() => String::new(),
        period => format!(
            " A WebSocket handshake or a request of a page on its own starts it only after {period} without one. Reload \
             the page to start it at once."
        ),
    };
    format!("a request for its URL starts it, except HEAD, OPTIONS, prefetches and those of other sites' pages.{quiet}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{self, condition};

    const RESUME: &str = "kubectl cu resume ada -n units";

    fn described(reason: &str, activator: Value) -> String {
        let status = json!({"phase": "Suspended", "conditions": [condition("Suspended", "True", reason)]});
        let unit = serde_json::from_value(testing::unit(status)).unwrap();
        let activator: Option<ActivatorSpec> = serde_json::from_value(activator).unwrap();
        text(&unit, Ok(activator.as_ref()), RESUME)
    }

    #[test]
    fn reason_why_a_request_does_not_start_a_unit_is_shown() {
        for (reason, activator, expected) in [
            ("Suspended", json!({}), "a request does not start it: it was suspended by its owner, "),
            ("Idle", json!({"wake": "Never"}), "a request does not start it: requests start no units of its pool; "),
            (
                "Idle",
                json!(null),
                "a request does not start it: its pool has no activator; run kubectl cu resume ada -n units",
            ),
        ] {
            let text = described(reason, activator);
            assert!(text.starts_with(expected) && text.ends_with(&format!("run {RESUME}")), "{text}");
        }
        for (reason, activator) in [("Idle", json!({})), ("Suspended", json!({"wake": "Always"}))] {
            let text = described(reason, activator);
            assert!(
                text.starts_with("a request for its URL starts it") && text.contains("after 10m without"),
                "{text}"
            );
        }
        assert!(!described("Idle", json!({"quietPeriod": "0s"})).contains("handshake"));
        let unit = serde_json::from_value(testing::unit(Value::Null)).unwrap();
        let error = "pools is forbidden".to_owned();
        assert_eq!(text(&unit, Err(&error), RESUME), "unknown, because its pool cannot be read: pools is forbidden");
    }
}
