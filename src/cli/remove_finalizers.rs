//! `remove-finalizers`: removes the operator's finalizer from every unit when the operator is uninstalled. Without that,
//! units could no longer be deleted. Pods, Services and routes are not changed.
//!
//! It runs after the operator has stopped, with the rights in [`computing_unit_api::rbac::UNINSTALL`].

use std::time::Duration;

use computing_unit_api::{ComputingUnit, names::FINALIZER};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{Api, Client, ResourceExt, api::ListParams};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    config::{InvalidSettings, LogFormat, Logging, namespaces},
    k8s::{error::not_found, finalizer::remove_from},
};

/// Number of units in one page of a list.
const PAGE: u32 = 500;
/// Maximum number of concurrent writes.
const WRITES: usize = 16;
/// For how long an operator that is being stopped may still add finalizers.
const SETTLE: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Namespaces of units, separated by commas. Empty: all
    #[arg(long, env = "CU_WATCH_NAMESPACES", value_delimiter = ',', value_name = "NAMES")]
    namespaces: Vec<String>,
}

impl Args {
    /// Sorted; empty for all.
    pub(super) fn namespaces(self) -> Result<Vec<String>, InvalidSettings> {
        namespaces("--namespaces", self.namespaces)
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot connect to a cluster: set KUBECONFIG, or run in a pod with a service account ({0})")]
    Client(#[source] Box<kube::Error>),
    #[error("cannot remove the finalizers: {0}")]
    Api(#[source] Box<kube::Error>),
}

pub(super) fn logging() -> Result<Logging, InvalidSettings> {
    Logging::new(LogFormat::Text, String::new())
}

/// Removes the finalizer from every unit in `namespaces`, or in all namespaces if that is empty, until none is left and
/// some seconds have passed. Prints the number of removed finalizers.
pub(super) async fn run(namespaces: &[String]) -> Result<(), Error> {
    let client = Client::try_default().await.map_err(|error| Error::Client(Box::new(error)))?;
    let removed = remove_until_settled(client, namespaces, SETTLE).await;
    println!("removed {} finalizers", removed.map_err(|error| Error::Api(Box::new(error)))?);
    Ok(())
}

/// Returns the number of removed finalizers. A missing CRD counts as no units.
async fn remove_until_settled(client: Client, namespaces: &[String], settle: Duration) -> kube::Result<usize> {
    let scopes: Vec<Api<ComputingUnit>> = if namespaces.is_empty() {
        vec![Api::all(client.clone())]
    } else {
        namespaces.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect()
    };
    let started = Instant::now();
    let mut ticks = interval(settle.clamp(Duration::from_millis(1), Duration::from_secs(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut total = 0;
    loop {
        ticks.tick().await;
        let (mut pass, mut failure) = (Pass::default(), None);
        for scope in &scopes {
            match remove_all(&client, scope).await {
                Ok(seen) => pass = Pass { removed: pass.removed + seen.removed, left: pass.left + seen.left },
                // The other namespaces do not depend on it.
                Err(error) => failure = Some(error),
            }
        }
        total += pass.removed;
        if pass.removed > 0 {
            tracing::info!(units = pass.removed, "removed finalizers");
        }
        if pass.removed == 0 && pass.left == 0 && started.elapsed() >= settle {
            return failure.map_or(Ok(total), Err);
        }
    }
}

/// The result of one pass over all units.
#[derive(Clone, Copy, Default)]
struct Pass {
    removed: usize,
    left: usize,
}

async fn remove_all(client: &Client, scope: &Api<ComputingUnit>) -> kube::Result<Pass> {
    let mut pass = Pass::default();
    let mut token = None::<String>;
    loop {
        let mut params = ListParams::default().limit(PAGE);
        params.continue_token = token.take();
        let page = match scope.list_metadata(&params).await {
            Ok(page) => page,
            Err(kube::Error::Api(status)) if not_found(&status) => return Ok(pass),
            // The continue token is too old: the next pass starts from the beginning.
            Err(kube::Error::Api(status)) if status.code == 410 => {
                pass.left += 1;
                return Ok(pass);
            }
            Err(error) => return Err(error),
        };
        token = page.metadata.continue_.filter(|token| !token.is_empty());
        let held = page.items.into_iter().filter(|unit| unit.finalizers().iter().any(|f| f == FINALIZER));
        let done: Vec<bool> =
            stream::iter(held).map(|unit| remove_from(client, unit)).buffer_unordered(WRITES).try_collect().await?;
        pass.removed += done.iter().filter(|removed| **removed).count();
        pass.left += done.iter().filter(|removed| !**removed).count();
        if token.is_none() {
            return Ok(pass);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Request, Response, StatusCode};
    use http_body_util::BodyExt;
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    type Server = tower_test::mock::Handle<Request<Body>, Response<Body>>;

    async fn answer(server: &mut Server, code: StatusCode, body: Value) -> (Method, String, Value) {
        let (request, send) = server.next_request().await.expect("a request");
        let (parts, sent) = request.into_parts();
        let sent = sent.collect().await.unwrap().to_bytes();
        send.send_response(Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap());
        (parts.method, parts.uri.to_string(), serde_json::from_slice(&sent).unwrap_or(Value::Null))
    }

    fn page(token: &str, units: &[Value]) -> Value {
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
            "metadata": {"continue": token}, "items": units,
        })
    }

    fn unit(name: &str, version: &str, finalizers: &[&str]) -> Value {
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": name, "namespace": "a", "resourceVersion": version, "finalizers": finalizers},
        })
    }

    fn refusal(code: u16, reason: &str) -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason, "code": code})
    }

    #[tokio::test]
    async fn only_the_own_finalizer_is_removed_with_a_retry_after_a_conflict() {
        let (service, mut server) = tower_test::mock::pair();
        let client = Client::new(service, "default");
        let namespaces = ["a".to_owned()];
        let work = remove_until_settled(client, &namespaces, Duration::ZERO);
        let script = async {
            let (_, uri, _) = answer(&mut server, StatusCode::OK, page("next", &[unit("free", "1", &["other"])])).await;
            assert!(uri.contains("/namespaces/a/computingunits") && uri.contains("limit=500"), "{uri}");
            let held = [unit("held", "2", &["other", FINALIZER])];
            let (_, uri, _) = answer(&mut server, StatusCode::OK, page("", &held)).await;
            assert!(uri.contains("continue=next"), "{uri}");
            let (method, uri, body) = answer(&mut server, StatusCode::CONFLICT, refusal(409, "Conflict")).await;
            assert_eq!(method, Method::PATCH);
            assert!(uri.contains("/namespaces/a/computingunits/held"), "{uri}");
            assert_eq!(body["metadata"], json!({"finalizers": ["other"], "resourceVersion": "2"}));

            let held = [unit("held", "3", &["other", FINALIZER])];
            answer(&mut server, StatusCode::OK, page("", &held)).await;
            let (_, _, body) = answer(&mut server, StatusCode::OK, unit("held", "4", &["other"])).await;
            assert_eq!(body["metadata"]["resourceVersion"], "3");
            answer(&mut server, StatusCode::OK, page("", &[unit("held", "4", &["other"])])).await;
        };
        let (removed, ()) = tokio::join!(work, script);
        assert_eq!(removed.unwrap(), 1);
    }

    #[tokio::test]
    async fn namespace_that_fails_does_not_stop_the_others() {
        let (service, mut server) = tower_test::mock::pair();
        let client = Client::new(service, "default");
        let namespaces = ["a".to_owned(), "b".to_owned()];
        let work = remove_until_settled(client, &namespaces, Duration::ZERO);
        let script = async {
            answer(&mut server, StatusCode::FORBIDDEN, refusal(403, "Forbidden")).await;
            answer(&mut server, StatusCode::OK, page("", &[unit("held", "1", &[FINALIZER])])).await;
            answer(&mut server, StatusCode::OK, unit("held", "2", &[])).await;
            answer(&mut server, StatusCode::FORBIDDEN, refusal(403, "Forbidden")).await;
            answer(&mut server, StatusCode::OK, page("", &[])).await;
        };
        let (removed, ()) = tokio::join!(work, script);
        assert!(removed.is_err(), "reported at the end");
    }

    #[tokio::test]
    async fn missing_crd_counts_as_no_units() {
        let (service, mut server) = tower_test::mock::pair();
        let client = Client::new(service, "default");
        let work = remove_until_settled(client, &[], Duration::ZERO);
        let script = async { answer(&mut server, StatusCode::NOT_FOUND, refusal(404, "NotFound")).await };
        let (removed, (_, uri, _)) = tokio::join!(work, script);
        assert_eq!(removed.unwrap(), 0);
        assert!(uri.starts_with("/apis/texera.apache.org/v1alpha1/computingunits"), "{uri}");
    }
}
