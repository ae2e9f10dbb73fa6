//! Takes the operator's finalizer off every unit, for when the operator is uninstalled: nobody else ever would, and the
//! units could not be deleted any more. Pods, Services and routes are left as they are.
//!
//! It runs once the operator is gone, by rights of its own ([`crate::rbac::RELEASE`]).

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, ObjectMeta, PartialObjectMeta, PartialObjectMetaExt, Patch, PatchParams},
};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    api::ComputingUnit,
    error::not_found,
    names::{FIELD_MANAGER, FINALIZER},
};

/// How many units are read at once.
const PAGE: u32 = 500;
/// How many units are written at once.
const WRITES: usize = 16;
/// How long an operator that is just being stopped may still put finalizers back.
const SETTLE: Duration = Duration::from_secs(5);

/// Releases every unit of `namespaces`, or of all namespaces where that is empty, until none is left and some seconds
/// have passed. Returns how many finalizers it took off; an absent CRD is no unit.
///
/// # Errors
/// The first answer of the API server that is neither success nor a unit that changed or went meanwhile.
pub async fn release(client: Client, namespaces: &[String]) -> kube::Result<usize> {
    release_until_settled(client, namespaces, SETTLE).await
}

async fn release_until_settled(client: Client, namespaces: &[String], settle: Duration) -> kube::Result<usize> {
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
        let mut pass = Pass::default();
        for scope in &scopes {
            let seen = release_all(&client, scope).await?;
            pass = Pass { released: pass.released + seen.released, left: pass.left + seen.left };
        }
        total += pass.released;
        if pass.released > 0 {
            tracing::info!(units = pass.released, "finalizers taken off");
        }
        if pass.released == 0 && pass.left == 0 && started.elapsed() >= settle {
            return Ok(total);
        }
    }
}

/// Lets go of a unit that is being deleted and whose rest cannot be read.
///
/// # Errors
/// As for [`release`].
pub async fn unreadable(client: &Client, metadata: ObjectMeta) -> kube::Result<()> {
    if metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER) {
        release_one(client, metadata.into_response_partial::<ComputingUnit>()).await?;
    }
    Ok(())
}

/// What one look at all units came to.
#[derive(Clone, Copy, Default)]
struct Pass {
    released: usize,
    left: usize,
}

async fn release_all(client: &Client, scope: &Api<ComputingUnit>) -> kube::Result<Pass> {
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
            stream::iter(held).map(|unit| release_one(client, unit)).buffer_unordered(WRITES).try_collect().await?;
        pass.released += done.iter().filter(|released| **released).count();
        pass.left += done.iter().filter(|released| !**released).count();
        if token.is_none() {
            return Ok(pass);
        }
    }
}

/// Whether the unit was released now. A unit that changed since it was read is left to the next pass.
async fn release_one(client: &Client, unit: PartialObjectMeta<ComputingUnit>) -> kube::Result<bool> {
    let others: Vec<String> = unit.finalizers().iter().filter(|f| *f != FINALIZER).cloned().collect();
    let patch =
        ObjectMeta { finalizers: Some(others), resource_version: unit.resource_version(), ..ObjectMeta::default() }
            .into_request_partial::<ComputingUnit>();
    let api: Api<ComputingUnit> = Api::namespaced(client.clone(), &unit.namespace().unwrap_or_default());
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    match api.patch_metadata(&unit.name_any(), &params, &Patch::Merge(patch)).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_conflict() || not_found(&status) => Ok(false),
        Err(error) => Err(error),
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
    async fn takes_off_its_own_finalizer_only_and_tries_again_after_a_conflict() {
        let (service, mut server) = tower_test::mock::pair();
        let client = Client::new(service, "default");
        let namespaces = ["a".to_owned()];
        let work = release_until_settled(client, &namespaces, Duration::ZERO);
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
        let (released, ()) = tokio::join!(work, script);
        assert_eq!(released.unwrap(), 1);
    }

    #[tokio::test]
    async fn has_nothing_to_do_without_the_definition() {
        let (service, mut server) = tower_test::mock::pair();
        let client = Client::new(service, "default");
        let work = release_until_settled(client, &[], Duration::ZERO);
        let script = async { answer(&mut server, StatusCode::NOT_FOUND, refusal(404, "NotFound")).await };
        let (released, (_, uri, _)) = tokio::join!(work, script);
        assert_eq!(released.unwrap(), 0);
        assert!(uri.starts_with("/apis/texera.apache.org/v1alpha1/computingunits"), "{uri}");
    }
}
