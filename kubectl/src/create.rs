//! The one request that creates the unit, or asks whether it could be created.

use std::{future::pending, time::Duration};

use computing_unit_operator::api::ComputingUnit;
use kube::{Api, api::PostParams};
use tokio::time::timeout;

use crate::refusal::{self, Asked};

/// The field manager of `kubectl create`.
const FIELD_MANAGER: &str = "kubectl-create";

/// The unit as the API server stored it, or would have in a dry run; otherwise why not, as sentences.
///
/// # Errors
/// One sentence for each cause. `limit` is how long the answer may take, zero for no limit.
pub async fn create(
    api: &Api<ComputingUnit>,
    unit: &ComputingUnit,
    dry_run: bool,
    limit: Duration,
    asked: Asked<'_>,
) -> Result<ComputingUnit, Vec<String>> {
    let params = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) };
    let late = async {
        match limit {
            Duration::ZERO => pending().await,
            limit => timeout(limit, pending::<()>()).await,
        }
    };
    tokio::select! {
        answer = api.create(&params, unit) => answer.map_err(|error| refusal::request(&error, asked)),
        _ = late => Err(vec![refusal::late(asked, limit)]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{self, ASKED};

    const PATH: &str = "POST /apis/texera.apache.org/v1alpha1/namespaces/team/computingunits?";

    fn asked_for() -> ComputingUnit {
        serde_json::from_value(testing::unit(Value::Null)).unwrap()
    }

    #[tokio::test]
    async fn the_object_comes_back_as_it_was_stored() {
        let (api, mut server) = testing::server();
        let unit = asked_for();
        let stored = testing::unit(json!({"phase": "Pending"})).to_string();
        let created = testing::together(
            create(&api, &unit, true, Duration::ZERO, ASKED),
            server.answer(&format!("{PATH}&dryRun=All&fieldManager=kubectl-create"), 201, &stored),
        )
        .await
        .unwrap();
        assert!(created.status.is_some());
    }

    #[tokio::test]
    async fn a_refusal_is_said_in_sentences() {
        let (api, mut server) = testing::server();
        let unit = asked_for();
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422,
            "message": "ComputingUnit is invalid", "details": {"causes": [
                {"reason": "FieldValueInvalid", "field": "spec.cuid",
                 "message": "Invalid value: 0: spec.cuid in body should be greater than or equal to 1"},
            ]},
        });
        let refused = testing::together(
            create(&api, &unit, false, Duration::ZERO, ASKED),
            server.answer(PATH, 422, &status.to_string()),
        )
        .await;
        assert_eq!(refused.unwrap_err(), ["--cuid: must be at least 1"]);
    }

    #[tokio::test]
    async fn a_cluster_without_the_resource_says_what_to_install() {
        let (api, mut server) = testing::server();
        let unit = asked_for();
        let refused = testing::together(
            create(&api, &unit, false, Duration::ZERO, ASKED),
            server.answer(PATH, 404, "404 page not found\n"),
        )
        .await;
        assert!(refused.unwrap_err()[0].contains("CustomResourceDefinitions"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_in_time() {
        let (api, mut server) = testing::server();
        let unit = asked_for();
        let begun = tokio::time::Instant::now();
        let request = async {
            let (asked, _unanswered) = server.asked().await;
            assert!(asked.starts_with(PATH), "{asked}");
            pending::<()>().await;
        };
        tokio::select! {
            late = create(&api, &unit, false, Duration::from_secs(5), ASKED) => {
                assert!(late.unwrap_err()[0].contains("within 5s"));
                assert_eq!(begun.elapsed().as_secs(), 5, "on the test's own clock");
            }
            () = request => {}
        }
    }
}
