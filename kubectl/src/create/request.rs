//! The one request that creates the unit, or asks whether it could be created.

use computing_unit_api::ComputingUnit;
use kube::{ResourceExt, api::PostParams};

use crate::connection::Connection;

/// The field manager of `kubectl create`.
const FIELD_MANAGER: &str = "kubectl-create";

/// The unit as the API server stored it, or would have in a dry run.
///
/// # Errors
/// One sentence for each cause.
pub async fn create(
    connection: &Connection,
    unit: &ComputingUnit,
    dry_run: bool,
) -> Result<ComputingUnit, Vec<String>> {
    let params = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) };
    connection.request(&unit.name_any(), connection.units().create(&params, unit)).await
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use serde_json::{Value, json};

    use super::*;
    use crate::testing;

    const PATH: &str = "POST /apis/texera.apache.org/v1alpha1/namespaces/team/computingunits?";

    fn asked_for() -> ComputingUnit {
        serde_json::from_value(testing::unit(Value::Null)).unwrap()
    }

    #[tokio::test]
    async fn the_object_comes_back_as_it_was_stored() {
        let (connection, mut server) = testing::server();
        let unit = asked_for();
        let stored = testing::unit(json!({"phase": "Pending"})).to_string();
        let created = testing::together(
            create(&connection, &unit, true),
            server.answer(&format!("{PATH}&dryRun=All&fieldManager=kubectl-create"), 201, &stored),
        )
        .await
        .unwrap();
        assert!(created.status.is_some());
    }

    #[tokio::test]
    async fn a_refusal_is_said_in_sentences() {
        let (connection, mut server) = testing::server();
        let unit = asked_for();
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422,
            "message": "ComputingUnit is invalid", "details": {"causes": [
                {"reason": "FieldValueInvalid", "field": "spec.cuid",
                 "message": "Invalid value: 0: spec.cuid in body should be greater than or equal to 1"},
            ]},
        });
        let refused =
            testing::together(create(&connection, &unit, false), server.answer(PATH, 422, &status.to_string())).await;
        assert_eq!(refused.unwrap_err(), ["--cuid: must be at least 1"]);
    }

    #[tokio::test]
    async fn a_cluster_without_the_resource_says_what_to_install() {
        let (connection, mut server) = testing::server();
        let unit = asked_for();
        let refused =
            testing::together(create(&connection, &unit, false), server.answer(PATH, 404, "404 page not found\n"))
                .await;
        assert!(refused.unwrap_err()[0].contains("CustomResourceDefinitions"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_in_time() {
        let (mut connection, mut server) = testing::server();
        connection.limit = Duration::from_secs(5);
        let unit = asked_for();
        let begun = tokio::time::Instant::now();
        let request = async {
            let (asked, _unanswered) = server.asked().await;
            assert!(asked.starts_with(PATH), "{asked}");
            pending::<()>().await;
        };
        tokio::select! {
            late = create(&connection, &unit, false) => {
                assert!(late.unwrap_err()[0].contains("within 5s"));
                assert_eq!(begun.elapsed().as_secs(), 5, "on the test's own clock");
            }
            () = request => {}
        }
    }
}
