//! Why a request came to nothing, as sentences for the person who typed the command. Pure; nothing is tried again here.

use std::{error::Error, io, time::Duration};

use computing_unit_api as api;
use kube::{config::KubeconfigError, core::Status, core::response::StatusCause};

use crate::flags;

/// What was asked for, and where.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Name of the unit.
    pub name: &'a str,
    /// Namespace of the unit.
    pub namespace: &'a str,
    /// URL of the API server.
    pub server: &'a str,
}

/// Says why a request failed; one sentence for each cause.
pub fn request(error: &kube::Error, asked: Asked<'_>) -> Vec<String> {
    match error {
        kube::Error::Api(status) => answered(status, asked),
        kube::Error::Auth(error) => vec![format!("cannot log in to {}: {error}", asked.server)],
        kube::Error::SerdeError(error) => {
            vec![format!("{} answers with something that is no computing unit: {error}", asked.server)]
        }
        other => vec![unreachable(other, asked.server)],
    }
}

/// Says what is wrong with the kubeconfig.
pub fn kubeconfig(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::CurrentContextNotSet => "the kubeconfig has no current context: choose one with --context or \
                                                  with kubectl config use-context"
            .to_owned(),
        KubeconfigError::LoadContext(name) if name.is_empty() => kubeconfig(&KubeconfigError::CurrentContextNotSet),
        KubeconfigError::LoadContext(name) => format!(
            "there is no context {name:?} in the kubeconfig: kubectl config get-contexts shows those that there are"
        ),
        KubeconfigError::LoadClusterOfContext(name) => format!(
            "there is no cluster {name:?} in the kubeconfig: kubectl config get-clusters shows those that there are"
        ),
        KubeconfigError::ReadConfig(error, path) => format!("cannot read kubeconfig {}: {error}", path.display()),
        other => format!("the kubeconfig cannot be used: {other}"),
    }
}

fn answered(status: &Status, asked: Asked<'_>) -> Vec<String> {
    let Asked { name, namespace, server } = asked;
    let causes = status.details.as_ref().map_or(&[][..], |details| &details.causes);
    let one = |sentence: String| vec![sentence];
    if status.is_already_exists() && status.message.starts_with("object is being deleted") {
        return one(format!(
            "a computing unit named {name} is still being deleted in namespace {namespace}: choose another name, or \
             wait with kubectl wait --for=delete computingunit {name} -n {namespace}"
        ));
    }
    if status.is_already_exists() {
        return one(format!(
            "a computing unit named {name} already exists in namespace {namespace}: choose another name or delete it \
             with kubectl delete computingunit {name} -n {namespace}"
        ));
    }
    if status.is_invalid() && !causes.is_empty() {
        return causes.iter().filter(|cause| !follows_from_others(cause)).map(flags::cause).collect();
    }
    match status.code {
        401 => one(format!("{server} does not know who you are: check the user of the context, or log in again")),
        403 => one(forbidden(status, namespace)),
        404 if status.details.as_ref().is_some_and(|details| details.kind == "namespaces") => one(format!(
            "there is no namespace {namespace}: choose another with -n, or create it with kubectl create namespace \
             {namespace}"
        )),
        404 if status.details.as_ref().is_none_or(|details| details.name.is_empty()) => one(format!(
            "{server} knows no computing units: install the operator's chart, or its CustomResourceDefinitions with \
             kubectl apply --server-side -f crds/"
        )),
        404 => one(missing(asked)),
        _ => one(format!("the API server refuses: {}", flags::in_place_of_fields(&status.message))),
    }
}

/// The API server's remark that it did not look further, which is no cause.
fn follows_from_others(cause: &StatusCause) -> bool {
    cause.message.contains("some validation rules were not checked")
}

fn forbidden(status: &Status, namespace: &str) -> String {
    let message = &status.message;
    let denied = || {
        let (_, rest) = message.split_once("User \"")?;
        let (user, rest) = rest.split_once("\" cannot ")?;
        let (verb, rest) = rest.split_once(" resource \"computingunits\"")?;
        // What an authorizer adds, such as a role that it cannot find.
        let more = rest.split_once("in the namespace ").and_then(|(_, rest)| rest.split_once(": "));
        let more = more.map(|(_, more)| format!(" ({more})")).unwrap_or_default();
        Some(format!(
            "user {user:?} may not {verb} computing units in namespace {namespace}{more}: ask for the verb {verb:?} on \
             computingunits.texera.apache.org"
        ))
    };
    denied().unwrap_or_else(|| {
        let why = message.split_once(" is forbidden: ").map_or(message.as_str(), |(_, why)| why);
        format!("forbidden: {}", flags::in_place_of_fields(why))
    })
}

/// Says that there are no units, in a namespace or at all.
pub fn none(namespace: Option<&str>) -> String {
    let place = namespace.map(|namespace| format!(" in namespace {namespace}")).unwrap_or_default();
    format!("no computing units found{place}")
}

/// Says that there is no such unit.
pub fn missing(asked: Asked<'_>) -> String {
    let Asked { name, namespace, .. } = asked;
    format!(
        "there is no computing unit {name} in namespace {namespace}: kubectl get computingunits -n {namespace} shows those \
         that there are"
    )
}

/// Says that there was no answer in time.
pub fn late(asked: Asked<'_>, limit: Duration) -> String {
    let Asked { name, namespace, server } = asked;
    let limit = api::Duration(limit);
    format!(
        "{server} did not answer within {limit} (--request-timeout); what was asked for may have been done all the same: \
         kubectl get computingunit {name} -n {namespace}"
    )
}

/// The error at the bottom, which says what happened; those above say who met it.
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
            format!("nothing answers at {server}: is the cluster running, and is it the context that you mean?")
        }
        Some(io::ErrorKind::TimedOut) => {
            format!("{server} does not answer in time: is the cluster running, and can it be reached from here?")
        }
        _ => format!("cannot reach {server}: {}", innermost(error)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::ASKED;

    fn says(status: Value) -> Vec<String> {
        request(&kube::Error::Api(serde_json::from_value(status).unwrap()), ASKED)
    }

    #[test]
    fn each_cause_is_a_line_with_its_option() {
        let lines = says(json!({"reason": "Invalid", "code": 422, "message": "all of them", "details": {"causes": [
            {"reason": "FieldValueInvalid", "field": "spec.cuid",
             "message": "Invalid value: 0: spec.cuid in body should be greater than or equal to 1"},
            {"reason": "FieldValueInvalid", "field": "<nil>",
             "message": "Invalid value: null: some validation rules were not checked because the object was invalid; \
                         correct the existing errors to complete validation"},
            {"reason": "FieldValueInvalid", "field": "spec",
             "message": "Invalid value: spec.sharedMemory must be more than 0: leave it out for none"},
        ]}}));
        assert_eq!(lines, ["--cuid: must be at least 1", "--shared-memory must be more than 0: leave it out for none"]);
    }

    #[test]
    fn a_name_that_is_taken() {
        let exists =
            json!({"reason": "AlreadyExists", "code": 409, "message": "computingunits \"ada\" already exists"});
        assert_eq!(
            says(exists),
            ["a computing unit named ada already exists in namespace team: choose another name or delete it with \
              kubectl delete computingunit ada -n team"]
        );
        let leaving = json!({"reason": "AlreadyExists", "code": 409, "message":
            "object is being deleted: computingunits.texera.apache.org \"ada\" already exists"});
        assert!(says(leaving)[0].contains("still being deleted"));
    }

    #[test]
    fn who_may_not_do_what() {
        let denied = |more: &str| {
            says(json!({"reason": "Forbidden", "code": 403, "message": format!(
                "computingunits.texera.apache.org is forbidden: User \"eve\" cannot create resource \"computingunits\" \
                 in API group \"texera.apache.org\" in the namespace \"team\"{more}")}))
        };
        assert_eq!(
            denied(""),
            ["user \"eve\" may not create computing units in namespace team: ask for the verb \"create\" on \
              computingunits.texera.apache.org"]
        );
        assert!(denied(": role not found")[0].contains("team (role not found): ask"));
        let quota = json!({"reason": "Forbidden", "code": 403, "message":
            "computingunits.texera.apache.org \"ada\" is forbidden: exceeded quota: units"});
        assert_eq!(says(quota), ["forbidden: exceeded quota: units"]);
    }

    #[test]
    fn what_is_missing() {
        let no_namespace = json!({"reason": "NotFound", "code": 404, "message": "namespaces \"team\" not found",
            "details": {"kind": "namespaces", "name": "team"}});
        assert!(says(no_namespace)[0].starts_with("there is no namespace team"));
        for no_resource in [
            json!({"reason": "NotFound", "code": 404, "message": "the server could not find the requested resource",
                   "details": {}}),
            json!({"reason": "Failed to parse error data", "code": 404, "message": "404 page not found\n"}),
        ] {
            assert!(says(no_resource)[0].contains("CustomResourceDefinitions"));
        }
        assert!(says(json!({"reason": "Unauthorized", "code": 401, "message": "Unauthorized"}))[0].contains("who you"));
    }

    #[test]
    fn nobody_there() {
        let at =
            |kind: io::ErrorKind| request(&kube::Error::Service(Box::new(io::Error::from(kind))), ASKED)[0].clone();
        assert!(at(io::ErrorKind::ConnectionRefused).starts_with("nothing answers at https://k:6443"));
        assert!(at(io::ErrorKind::TimedOut).starts_with("https://k:6443 does not answer in time"));
        assert!(at(io::ErrorKind::UnexpectedEof).starts_with("cannot reach https://k:6443: "));
    }

    #[test]
    fn what_is_wrong_with_the_kubeconfig() {
        for (error, says) in [
            (KubeconfigError::CurrentContextNotSet, "no current context"),
            (KubeconfigError::LoadContext(String::new()), "no current context"),
            (KubeconfigError::LoadContext("c".into()), "no context \"c\""),
            (KubeconfigError::LoadClusterOfContext("c".into()), "no cluster \"c\""),
            (KubeconfigError::MissingClusterUrl, "cannot be used: cluster url is missing"),
        ] {
            let sentence = kubeconfig(&error);
            assert!(sentence.contains(says), "{sentence}");
        }
    }
}
