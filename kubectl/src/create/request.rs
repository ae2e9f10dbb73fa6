//! The request that creates a unit.

use computing_unit_api::ComputingUnit;
use http::Uri;
use kube::{Resource, api::PostParams, core::Request};
use serde_json::Value;

use crate::{connection::Connection, explain::Target, object::Unit};

/// The field manager of `kubectl create`.
const FIELD_MANAGER: &str = "kubectl-create";

/// Creates a unit. Returns it as the API server persisted it, or would have without the dry run. Unknown fields are
/// rejected, like by `kubectl create`.
///
/// # Errors
/// One message for each cause.
pub async fn create(connection: &Connection, unit: &Value, dry_run: bool) -> Result<Unit, Vec<String>> {
    let text = |field: &str| unit["metadata"][field].as_str();
    let target = Target {
        name: text("name").unwrap_or_default(),
        namespace: text("namespace").unwrap_or(&connection.namespace),
        ..connection.here()
    };
    let invalid = |error: &dyn std::fmt::Display| vec![format!("invalid request: {error}")];
    let params = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) };
    let path = ComputingUnit::url_path(&(), Some(target.namespace));
    let mut request =
        Request::new(path).create(&params, unit.to_string().into_bytes()).map_err(|error| invalid(&error))?;
    let strict: Uri = format!("{}&fieldValidation=Strict", request.uri()).parse().map_err(|error| invalid(&error))?;
    *request.uri_mut() = strict;
    connection.request(target, connection.client.request(request)).await
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use serde_json::{Value, json};

    use super::*;
    use crate::testing;

    const PATH: &str = "POST /apis/texera.apache.org/v1alpha1/namespaces/team/computingunits?";

    fn unit() -> Value {
        testing::unit(Value::Null)
    }

    #[tokio::test]
    async fn created_object_is_returned() {
        let (connection, mut server) = testing::server();
        let unit = unit();
        let stored = testing::unit(json!({"phase": "Pending"})).to_string();
        let created = testing::together(
            create(&connection, &unit, true),
            server.answer(
                &format!("{PATH}&dryRun=All&fieldManager=kubectl-create&fieldValidation=Strict"),
                201,
                &stored,
            ),
        )
        .await
        .unwrap();
        assert!(created.status.is_some());
    }

    #[tokio::test]
    async fn rejection_names_the_option() {
        let (connection, mut server) = testing::server();
        let unit = unit();
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422,
            "message": "ComputingUnit is invalid", "details": {"causes": [
                {"reason": "FieldValueInvalid", "field": "spec.cuid",
                 "message": "Invalid value: 0: spec.cuid in body should be greater than or equal to 1"},
            ]},
        });
        let rejected =
            testing::together(create(&connection, &unit, false), server.answer(PATH, 422, &status.to_string())).await;
        assert_eq!(rejected.unwrap_err(), ["--cuid: must be at least 1"]);
    }

    #[tokio::test]
    async fn missing_crd_is_explained() {
        let (connection, mut server) = testing::server();
        let unit = unit();
        let rejected =
            testing::together(create(&connection, &unit, false), server.answer(PATH, 404, "404 page not found\n"))
                .await;
        assert!(rejected.unwrap_err()[0].contains("CRDs"));
    }

    #[tokio::test(start_paused = true)]
    async fn request_times_out() {
        let (mut connection, mut server) = testing::server();
        connection.request_timeout = Duration::from_secs(5);
        let unit = unit();
        let start = tokio::time::Instant::now();
        let request = async {
            let (request, _pending_response) = server.next().await;
            assert!(request.starts_with(PATH), "{request}");
            pending::<()>().await;
        };
        tokio::select! {
            result = create(&connection, &unit, false) => {
                assert!(result.unwrap_err()[0].contains("within 5s"));
                assert_eq!(start.elapsed().as_secs(), 5, "in paused time");
            }
            () = request => {}
        }
    }
}
