//! Whatever goes wrong, as a sentence that says what, where, and what to do.

use std::path::PathBuf;

use kube::config::{InferConfigError, KubeconfigError};

/// Why no unit was made, or why it does not answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A flag that is no amount.
    #[error("{flag}: {text:?} is not an amount above 0: write it like 2, 500m or 4Gi")]
    Amount {
        /// The flag.
        flag: &'static str,
        /// What it was given.
        text: String,
    },
    /// No cluster at all.
    #[error("no cluster to talk to: give --kubeconfig, or set KUBECONFIG ({0})")]
    NoCluster(#[source] Box<InferConfigError>),
    /// A kubeconfig that cannot be used.
    #[error("the kubeconfig{} cannot be used: {error}", path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default())]
    Kubeconfig {
        /// Which, where it was named.
        path: Option<PathBuf>,
        /// Why.
        #[source]
        error: Box<KubeconfigError>,
    },
    /// Credentials that cannot be used.
    #[error("no connection to {server} can be prepared: {error}")]
    Client {
        /// The API server.
        server: String,
        /// Why.
        #[source]
        error: Box<kube::Error>,
    },
    /// The API server said no, in words of its own or ours.
    #[error("{0}")]
    Refused(String),
    /// The API server cannot be reached.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(#[source] Box<kube::Error>),
    /// The unit cannot be opened.
    #[error("{0}")]
    NotReady(String),
    /// The answer cannot be printed.
    #[error("cannot print: {0}")]
    Print(String),
}

/// A refused creation.
pub fn create(error: kube::Error, name: &str, namespace: &str) -> Failure {
    let kube::Error::Api(status) = error else { return Failure::Unreachable(Box::new(error)) };
    let sentence = if status.is_already_exists() {
        format!(
            "there is a computing unit {name:?} in namespace {namespace:?} already: choose another name, or delete it \
             with: kubectl delete computingunit {name} -n {namespace}"
        )
    } else if status.is_forbidden() && status.message.contains("being terminated") {
        format!("namespace {namespace:?} is being deleted: create the unit in another one")
    } else if status.is_forbidden() {
        format!("you may not create it: {}", status.message)
    } else if status.code == 401 {
        "the API server does not know you: log in again, or choose another context with --context".to_owned()
    } else if status.is_not_found() && status.message.contains("namespaces") {
        format!("there is no namespace {namespace:?}: create it with: kubectl create namespace {namespace}")
    } else if status.is_not_found() {
        "the cluster does not know computing units: install the operator and its CRDs first (its Helm chart has both)"
            .to_owned()
    } else if status.is_invalid() {
        invalid(&status)
    } else {
        status.message.clone()
    };
    Failure::Refused(sentence)
}

/// One line for each thing that is wrong, under the flag that it came from.
fn invalid(status: &kube::core::Status) -> String {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    let mut lines: Vec<String> = causes
        .iter()
        .map(|cause| {
            let message = plain(&cause.message);
            match flag(&cause.field) {
                Some(flag) => format!("{flag}: {message}"),
                None if cause.field.is_empty() || message.starts_with("spec.") => message,
                None => format!("{}: {message}", cause.field),
            }
        })
        .collect();
    lines.dedup();
    match lines.as_slice() {
        [] => status.message.clone(),
        [line] => line.clone(),
        _ => format!("the unit is not valid:\n  {}", lines.join("\n  ")),
    }
}

/// `Invalid value: "object": message` without its head.
fn plain(message: &str) -> String {
    let Some(rest) = message.strip_prefix("Invalid value: ") else { return message.to_owned() };
    let after = match rest.strip_prefix('"') {
        // The value is quoted, with quotes inside escaped.
        Some(quoted) => {
            let mut escaped = false;
            let end = quoted.find(|c: char| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.map(|end| &quoted[end + 1..])
        }
        // A bare value is one word; a sentence is already what is looked for.
        None => rest.find(": ").filter(|end| !rest[..*end].contains(' ')).map(|end| &rest[end..]),
    };
    after.and_then(|after| after.strip_prefix(": ")).unwrap_or(rest).to_owned()
}

fn flag(field: &str) -> Option<&'static str> {
    Some(match field.strip_prefix("spec.").unwrap_or(field).split(['[', '.']).next()? {
        // A rule on the whole object is about its name.
        "metadata" | "<nil>" => "NAME",
        "cuid" => "--cuid",
        "poolName" => "--pool",
        "image" => "--image",
        "owner" => "--owner",
        "sharedMemory" => "--shared-memory",
        "env" => "--env",
        "resources" if field.contains("memory") => "--memory",
        "resources" if field.contains("cpu") => "--cpu",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use serde_json::json;

    use super::*;

    fn told(status: serde_json::Value) -> String {
        let status: Status = serde_json::from_value(status).unwrap();
        create(kube::Error::Api(Box::new(status)), "mine", "units").to_string()
    }

    #[test]
    fn a_refusal_is_a_sentence_with_its_flag() {
        let invalid = json!({
            "status": "Failure", "reason": "Invalid", "code": 422, "message": "ComputingUnit.texera.apache.org \"mine\" is invalid: []",
            "details": {"causes": [
                {"reason": "FieldValueInvalid", "field": "spec.cuid",
                 "message": "Invalid value: 0: spec.cuid in body should be greater than or equal to 1"},
                {"reason": "FieldValueInvalid", "field": "spec",
                 "message": "Invalid value: \"object\": spec.sharedMemory is taken from the unit's memory"},
            ]},
        });
        let text = told(invalid);
        assert!(text.contains("--cuid: spec.cuid in body should be greater"), "{text}");
        assert!(text.contains("\n  spec.sharedMemory is taken"), "{text}");
    }

    #[test]
    fn what_to_do_is_said() {
        let status = |code: u16, reason: &str, message: &str| {
            told(json!({"status": "Failure", "code": code, "reason": reason, "message": message}))
        };
        assert!(status(409, "AlreadyExists", "").contains("kubectl delete computingunit mine -n units"));
        assert!(status(404, "NotFound", "namespaces \"units\" not found").contains("kubectl create namespace units"));
        assert!(status(404, "NotFound", "the server could not find the requested resource").contains("CRDs"));
        assert!(status(403, "Forbidden", "User \"eve\" cannot create").contains("eve"));
        assert!(status(401, "Unauthorized", "Unauthorized").contains("--context"));
    }

    #[test]
    fn a_quoted_value_may_hold_anything() {
        assert_eq!(plain(r#"Invalid value: "a\": b": the rest"#), "the rest");
        assert_eq!(plain("Invalid value: -3: the rest"), "the rest");
        assert_eq!(plain("Invalid value: spec.a is b: do c"), "spec.a is b: do c");
        assert_eq!(plain("Required value"), "Required value");
    }
}
