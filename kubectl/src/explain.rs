//! Errors of requests and of the kubeconfig, as messages for the user.

use std::{error::Error, io, time::Duration};

use computing_unit_api as api;
use kube::{config::KubeconfigError, core::Status, core::response::StatusCause};

use crate::flags;

/// The target of a request.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Name of the unit.
    pub name: &'a str,
    /// Namespace of the unit.
    pub namespace: &'a str,
    /// URL of the API server.
    pub server: &'a str,
    /// Options that select the cluster and the user, with a space before each.
    pub flags: &'a str,
}

impl Target<'_> {
    /// A command for the unit that can be pasted into a shell, such as `kubectl cu resume ada -n team`.
    pub fn command(self, command: &str) -> String {
        let Target { name, namespace, flags, .. } = self;
        format!("kubectl {command} {name} -n {namespace}{flags}")
    }
}

/// Messages for a failed request, one for each cause.
pub fn request(error: &kube::Error, target: Target<'_>) -> Vec<String> {
    match error {
        kube::Error::Api(status) => rejected(status, target),
        kube::Error::Auth(error) => vec![format!("cannot authenticate to {}: {error}", target.server)],
        kube::Error::SerdeError(error) => {
            vec![format!("{} returned an invalid response: {error}", target.server)]
        }
        other => vec![unreachable(other, target.server)],
    }
}

/// The message for an error of the kubeconfig.
pub fn kubeconfig(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::CurrentContextNotSet => "the kubeconfig has no current context; use --context or kubectl \
                                                  config use-context"
            .to_owned(),
        KubeconfigError::LoadContext(name) if name.is_empty() => kubeconfig(&KubeconfigError::CurrentContextNotSet),
        KubeconfigError::LoadContext(name) => {
            format!("context {name:?} does not exist in the kubeconfig; see kubectl config get-contexts")
        }
        KubeconfigError::LoadClusterOfContext(name) => {
            format!("cluster {name:?} does not exist in the kubeconfig; see kubectl config get-clusters")
        }
        KubeconfigError::ReadConfig(error, path) => format!("cannot read kubeconfig {}: {error}", path.display()),
        other => format!("invalid kubeconfig: {other}"),
    }
}

fn rejected(status: &Status, target: Target<'_>) -> Vec<String> {
    let Target { name, namespace, server, flags } = target;
    let causes = status.details.as_ref().map_or(&[][..], |details| &details.causes);
    let one = |message: String| vec![message];
    if status.is_already_exists() && status.message.starts_with("object is being deleted") {
        return one(format!(
            "computing unit {name:?} is still being deleted in namespace {namespace:?}; wait with {}",
            target.command("cu wait --for=delete")
        ));
    }
    if status.is_already_exists() {
        return one(format!("computing unit {name:?} already exists in namespace {namespace:?}"));
    }
    if status.is_invalid() && !causes.is_empty() {
        return causes.iter().filter(|cause| !follows_from_others(cause)).map(flags::cause).collect();
    }
    match status.code {
        401 => one(format!("{server} rejected the credentials; check the user of the context, or log in again")),
        403 => one(forbidden(status, namespace)),
        404 if status.details.as_ref().is_some_and(|details| details.kind == "namespaces") => one(format!(
            "namespace {namespace:?} not found; create it with kubectl create namespace {namespace}{flags}"
        )),
        404 if status.details.as_ref().is_none_or(|details| details.name.is_empty()) => one(format!(
            "{server} does not serve computing units; install the chart of the operator, or the CRDs with kubectl apply \
             --server-side -f crds/{flags}"
        )),
        404 => one(not_found(target)),
        _ => one(format!("the API server rejected the request: {}", flags::with_options(&status.message))),
    }
}

/// The note of the API server that it skipped validation rules.
fn follows_from_others(cause: &StatusCause) -> bool {
    cause.message.contains("some validation rules were not checked")
}

fn forbidden(status: &Status, namespace: &str) -> String {
    let message = &status.message;
    let denied = || {
        let (_, rest) = message.split_once("User \"")?;
        let (user, rest) = rest.split_once("\" cannot ")?;
        let (verb, rest) = rest.split_once(" resource \"computingunits\"")?;
        let place = if rest.contains("at the cluster scope") {
            "all namespaces".to_owned()
        } else {
            format!("namespace {namespace:?}")
        };
        // Details of the authorizer, for example a role that does not exist.
        let more = rest.split_once("in the namespace ").and_then(|(_, rest)| rest.split_once(": "));
        let more = more.map(|(_, more)| format!(" ({more})")).unwrap_or_default();
        Some(format!(
            "user {user:?} cannot {verb} computing units in {place}{more}; this requires the verb {verb:?} on \
             computingunits.texera.apache.org"
        ))
    };
    denied().unwrap_or_else(|| {
        let cause = message.split_once(" is forbidden: ").map_or(message.as_str(), |(_, cause)| cause);
        format!("forbidden: {}", flags::with_options(cause))
    })
}

/// The message for an empty list.
pub fn no_units(namespace: Option<&str>) -> String {
    let place = namespace.map(|namespace| format!(" in namespace {namespace:?}")).unwrap_or_default();
    format!("no computing units found{place}")
}

/// The message for a unit that does not exist.
pub fn not_found(target: Target<'_>) -> String {
    let Target { name, namespace, .. } = target;
    format!("computing unit {name:?} not found in namespace {namespace:?}")
}

/// The message for a request that timed out.
pub fn timed_out(target: Target<'_>, limit: Duration) -> String {
    let limit = api::Duration(limit);
    format!(
        "{} did not respond within {limit} (--request-timeout); the request may have been processed, see {}",
        target.server,
        target.command("cu list")
    )
}

/// The root cause of an error.
pub fn innermost(error: &kube::Error) -> &(dyn Error + 'static) {
    chain(error).last().unwrap_or(error)
}

fn chain(error: &kube::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let outermost: &(dyn Error + 'static) = error;
    std::iter::successors(Some(outermost), |&error| error.source())
}

fn unreachable(error: &kube::Error, server: &str) -> String {
    let kind = chain(error).filter_map(|error| error.downcast_ref::<io::Error>()).last().map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => {
            format!("connection to {server} refused; check that the cluster is running and that the context is correct")
        }
        Some(io::ErrorKind::TimedOut) => {
            format!("connection to {server} timed out; check that the cluster is running and reachable")
        }
        _ => format!("cannot connect to {server}: {}", innermost(error)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::TARGET;

    fn explained(status: Value) -> Vec<String> {
        request(&kube::Error::Api(serde_json::from_value(status).unwrap()), TARGET)
    }

    #[test]
    fn each_cause_has_a_message_with_its_option() {
        let lines = explained(
            json!({"reason": "Invalid", "code": 422, "message": "all of them", "details": {"causes": [
                {"reason": "FieldValueInvalid", "field": "spec.cuid",
                 "message": "Invalid value: 0: spec.cuid in body should be greater than or equal to 1"},
                {"reason": "FieldValueInvalid", "field": "<nil>",
                 "message": "Invalid value: null: some validation rules were not checked because the object was invalid; \
                             correct the existing errors to complete validation"},
                {"reason": "FieldValueInvalid", "field": "spec",
                 "message": "Invalid value: spec.sharedMemory must be greater than 0; omit it for the default size"},
            ]}}),
        );
        assert_eq!(
            lines,
            ["--cuid: must be at least 1", "--shared-memory must be greater than 0; omit it for the default size"]
        );
    }

    #[test]
    fn name_conflict_is_explained() {
        let exists =
            json!({"reason": "AlreadyExists", "code": 409, "message": "computingunits \"ada\" already exists"});
        assert_eq!(explained(exists), ["computing unit \"ada\" already exists in namespace \"team\""]);
        let terminating = json!({"reason": "AlreadyExists", "code": 409, "message":
            "object is being deleted: computingunits.texera.apache.org \"ada\" already exists"});
        assert!(explained(terminating)[0].contains("still being deleted"));
    }

    #[test]
    fn missing_permission_is_explained() {
        let denied = |more: &str| {
            explained(json!({"reason": "Forbidden", "code": 403, "message": format!(
                "computingunits.texera.apache.org is forbidden: User \"eve\" cannot create resource \"computingunits\" \
                 in API group \"texera.apache.org\" in the namespace \"team\"{more}")}))
        };
        assert_eq!(
            denied(""),
            ["user \"eve\" cannot create computing units in namespace \"team\"; this requires the verb \"create\" on \
              computingunits.texera.apache.org"]
        );
        assert!(denied(": role not found")[0].contains("\"team\" (role not found); this requires"));
        let quota = json!({"reason": "Forbidden", "code": 403, "message":
            "computingunits.texera.apache.org \"ada\" is forbidden: exceeded quota: units"});
        assert_eq!(explained(quota), ["forbidden: exceeded quota: units"]);
    }

    #[test]
    fn missing_namespace_resource_and_credentials_are_explained() {
        let no_namespace = json!({"reason": "NotFound", "code": 404, "message": "namespaces \"team\" not found",
            "details": {"kind": "namespaces", "name": "team"}});
        assert!(explained(no_namespace)[0].starts_with("namespace \"team\" not found"));
        for no_resource in [
            json!({"reason": "NotFound", "code": 404, "message": "the server could not find the requested resource",
                   "details": {}}),
            json!({"reason": "Failed to parse error data", "code": 404, "message": "404 page not found\n"}),
        ] {
            assert!(explained(no_resource)[0].contains("CRDs"));
        }
        assert!(
            explained(json!({"reason": "Unauthorized", "code": 401, "message": "Unauthorized"}))[0]
                .contains("rejected the credentials")
        );
    }

    #[test]
    fn connection_error_is_explained() {
        let at =
            |kind: io::ErrorKind| request(&kube::Error::Service(Box::new(io::Error::from(kind))), TARGET)[0].clone();
        assert!(at(io::ErrorKind::ConnectionRefused).starts_with("connection to https://k:6443 refused"));
        assert!(at(io::ErrorKind::TimedOut).starts_with("connection to https://k:6443 timed out"));
        assert!(at(io::ErrorKind::UnexpectedEof).starts_with("cannot connect to https://k:6443: "));
    }

    #[test]
    fn kubeconfig_error_is_explained() {
        for (error, expected) in [
            (KubeconfigError::CurrentContextNotSet, "no current context"),
            (KubeconfigError::LoadContext(String::new()), "no current context"),
            (KubeconfigError::LoadContext("c".into()), "context \"c\" does not exist"),
            (KubeconfigError::LoadClusterOfContext("c".into()), "cluster \"c\" does not exist"),
            (KubeconfigError::MissingClusterUrl, "invalid kubeconfig: cluster url is missing"),
        ] {
            let message = kubeconfig(&error);
            assert!(message.contains(expected), "{message}");
        }
    }
}
