//! The condition `BusyProbesValid` of a pool.
//!
//! Units of a pool with an invalid expression run on, and are not stopped for being idle.

use std::collections::HashSet;

use computing_unit_api::{ComputingUnitPool, ConditionType, Reason};

use crate::controllers::{condition::Draft, idle::Expressions};

/// The texts of a pool's expressions.
pub fn texts(pool: &ComputingUnitPool) -> impl Iterator<Item = &str> {
    pool.spec.activity.busy_probes.iter().filter_map(|probe| probe.expression.as_deref())
}

/// Discards the expressions that none of `pools` has.
pub fn retain<'a>(expressions: &Expressions, pools: impl Iterator<Item = &'a ComputingUnitPool>) {
    expressions.retain(&pools.flat_map(texts).collect::<HashSet<_>>());
}

/// `None` for a pool without expressions.
pub fn condition(expressions: &Expressions, pool: &ComputingUnitPool) -> Option<Draft> {
    let type_ = ConditionType::BusyProbesValid;
    texts(pool).next()?;
    let invalid = pool.spec.activity.busy_probes.iter().enumerate().find_map(|(number, probe)| {
        let parsed = expressions.get(probe.expression.as_deref()?);
        let error = parsed.as_ref().as_ref().err()?;
        Some(format!(
            "spec.activity.busyProbes[{number}].expression: {error}. Correct it; until then no unit of the pool is \
             stopped for being idle"
        ))
    });
    Some(match invalid {
        Some(message) => Draft::no(type_, Reason::InvalidExpression, message),
        None => Draft::yes(type_, Reason::Valid, "the expressions of the busy probes are valid"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing;

    #[test]
    fn first_invalid_expression_is_reported() {
        let expressions = Expressions::default();
        let reason = |probes: serde_json::Value| {
            let mut pool = testing::pool(testing::query_routing());
            pool.spec.activity.busy_probes = serde_json::from_value(probes).unwrap();
            condition(&expressions, &pool).map(|draft| (draft.reason, draft.message))
        };
        assert_eq!(reason(json!([{"path": "/busy"}])), None);
        let valid = reason(json!([{"path": "/busy", "expression": "response.json.busy"}]));
        assert_eq!(valid.unwrap().0, Reason::Valid);
        let (reason, message) =
            reason(json!([{"path": "/"}, {"path": "/", "expression": "true"}, {"path": "/", "expression": "busy"}]))
                .unwrap();
        assert_eq!(reason, Reason::InvalidExpression);
        assert!(message.starts_with("spec.activity.busyProbes[2].expression: \"busy\" is unknown"), "{message}");
    }
}
