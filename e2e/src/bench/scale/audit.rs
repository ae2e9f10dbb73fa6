//! API calls by client, verb and resource, from lines of the API server's audit log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::number::{each, float};

/// The user agent of the benchmark.
pub const BENCH: &str = "bench-scale";
/// The user agent of the stand-in for the gateway's controller.
pub const CONTROLLER: &str = "gateway-stand-in";
/// The user agent of the simulated node.
pub const NODE: &str = "simulated-node";

/// The kind of a call.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Call {
    /// The client: a component, and for the controller manager also the controller.
    pub client: String,
    /// The verb as in RBAC, or `apply`.
    pub verb: String,
    /// The resource with its subresource, or the path of a request for no resource.
    pub resource: String,
}

impl Call {
    /// Whether it changes something other than a Lease or a node, which are written all the time.
    #[must_use]
    pub fn is_write(&self) -> bool {
        is_write(&self.verb, &self.resource)
    }
}

fn is_write(verb: &str, resource: &str) -> bool {
    let writes = matches!(verb, "create" | "update" | "patch" | "apply" | "delete" | "deletecollection");
    // These are written all the time, or are questions.
    let steady = ["leases", "nodes", "nodes/status", "subjectaccessreviews", "tokenreviews", "serviceaccounts/token"];
    writes && !steady.contains(&resource)
}

/// The number of calls of one kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Count {
    /// All calls.
    pub all: u64,
    /// Those that were answered with an error.
    pub failed: u64,
}

/// The number of calls by kind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Calls(BTreeMap<Call, Count>);

/// The number of calls of one kind during a phase.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CallCount {
    /// The client.
    pub client: String,
    /// The verb.
    pub verb: String,
    /// The resource.
    pub resource: String,
    /// All calls.
    pub count: u64,
    /// Those that were answered with an error.
    pub failed: u64,
    /// All calls, by unit.
    pub per_unit: f64,
}

impl CallCount {
    /// As for [`Call::is_write`].
    #[must_use]
    pub fn is_write(&self) -> bool {
        is_write(&self.verb, &self.resource)
    }
}

impl Calls {
    /// Counts one call.
    pub fn add(&mut self, call: Call, failed: bool) {
        let count = self.0.entry(call).or_default();
        count.all += 1;
        count.failed += u64::from(failed);
    }

    /// The calls since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let more = |(call, count): (&Call, &Count)| {
            let before = earlier.0.get(call).copied().unwrap_or_default();
            let more = Count { all: count.all - before.all, failed: count.failed - before.failed };
            (more.all > 0).then(|| (call.clone(), more))
        };
        Self(self.0.iter().filter_map(more).collect())
    }

    /// The counts with the number by unit.
    #[must_use]
    pub fn table(&self, units: usize) -> Vec<CallCount> {
        let row = |(call, count): (&Call, &Count)| CallCount {
            client: call.client.clone(),
            verb: call.verb.clone(),
            resource: call.resource.clone(),
            count: count.all,
            failed: count.failed,
            per_unit: each(float(count.all), units),
        };
        self.0.iter().map(row).collect()
    }

    /// The number of calls that satisfy `wanted`.
    #[must_use]
    pub fn count(&self, wanted: impl Fn(&Call) -> bool) -> u64 {
        self.0.iter().filter(|(call, _)| wanted(call)).map(|(_, count)| count.all).sum()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    #[serde(rename = "requestURI")]
    uri: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    object_ref: Option<ObjectRef>,
    response_status: Option<ResponseStatus>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize)]
struct ObjectRef {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    subresource: String,
}

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

/// The call of a line, and whether it failed. `None` if it is not a line of an audit log.
#[must_use]
pub fn parse(line: &str) -> Option<(Call, bool)> {
    let line: Line = serde_json::from_str(line).ok()?;
    let (path, query) = line.uri.split_once('?').unwrap_or((&line.uri, ""));
    // The log does not have the content type of a patch. Applies of these clients are forced.
    let applied = line.verb == "patch" && query.split('&').any(|pair| pair == "force=true");
    let resource = match line.object_ref {
        Some(of) if of.subresource.is_empty() => of.resource,
        Some(of) => format!("{}/{}", of.resource, of.subresource),
        None => path.to_owned(),
    };
    let call = Call {
        client: client(&line.user.username, &line.user_agent),
        verb: if applied { "apply".to_owned() } else { line.verb },
        resource,
    };
    Some((call, line.response_status.is_some_and(|status| status.code >= 400)))
}

/// The client, by the name of its user and its user agent.
fn client(user: &str, agent: &str) -> String {
    let program = agent.split('/').next().unwrap_or_default();
    if let Some(account) = user.strip_prefix("system:serviceaccount:") {
        let (namespace, name) = account.split_once(':').unwrap_or(("", account));
        return match (namespace, name) {
            (_, "computing-unit-operator") => "operator".to_owned(),
            ("kube-system", controller) if program == "kube-controller-manager" => {
                format!("kube-controller-manager: {controller}")
            }
            (_, name) => name.to_owned(),
        };
    }
    match program {
        "" => "other".to_owned(),
        program => program.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(user: &str, agent: &str, verb: &str, uri: &str, object: serde_json::Value, code: u16) -> String {
        json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "stage": "ResponseComplete",
            "verb": verb, "requestURI": uri, "user": {"username": user, "groups": ["system:authenticated"]},
            "userAgent": agent, "objectRef": object, "responseStatus": {"metadata": {}, "code": code},
        })
        .to_string()
    }

    #[test]
    fn a_line_has_client_verb_and_resource() {
        let status = json!({"resource": "computingunits", "subresource": "status", "namespace": "a", "name": "b"});
        let (apply, merge) = ("/apis/x/status?&force=true&fieldManager=y", "/apis/x/status?fieldManager=y");
        let manager = "kube-controller-manager/v1.36.3 (linux/amd64) kubernetes/0/system:serviceaccount:kube-system:endpoint-controller";
        for (user, agent, verb, uri, object, code, expected) in [
            (
                "system:serviceaccount:e2e:computing-unit-operator",
                "",
                "patch",
                apply,
                status.clone(),
                200,
                ("operator", "apply", "computingunits/status", false),
            ),
            (
                "system:serviceaccount:e2e:computing-unit-operator",
                "",
                "patch",
                merge,
                status,
                409,
                ("operator", "patch", "computingunits/status", true),
            ),
            (
                "system:serviceaccount:kube-system:endpoint-controller",
                manager,
                "create",
                "/api/v1/x",
                json!({"resource": "endpoints"}),
                201,
                ("kube-controller-manager: endpoint-controller", "create", "endpoints", false),
            ),
            (
                "system:serviceaccount:envoy-gateway-system:envoy-gateway",
                "envoy-gateway/v0.0.0",
                "update",
                "/apis/x",
                json!({"resource": "httproutes", "subresource": "status"}),
                200,
                ("envoy-gateway", "update", "httproutes/status", false),
            ),
            (
                "admin",
                NODE,
                "patch",
                "/x",
                json!({"resource": "pods", "subresource": "status"}),
                200,
                (NODE, "patch", "pods/status", false),
            ),
            ("admin", "", "get", "/metrics?a=b", json!(null), 200, ("other", "get", "/metrics", false)),
            (
                "system:node:n",
                "kubelet/v1",
                "get",
                "/x",
                json!({"resource": "nodes"}),
                200,
                ("kubelet", "get", "nodes", false),
            ),
        ] {
            let (call, failed) = parse(&line(user, agent, verb, uri, object, code)).unwrap();
            assert_eq!((call.client.as_str(), call.verb.as_str(), call.resource.as_str(), failed), expected);
        }
        assert_eq!(parse("{\"kind\": \"Ev"), None);
    }

    #[test]
    fn calls_are_counted_since_an_earlier_time() {
        let call = |verb: &str, resource: &str| Call {
            client: "operator".to_owned(),
            verb: verb.to_owned(),
            resource: resource.to_owned(),
        };
        let mut calls = Calls::default();
        calls.add(call("list", "pods"), false);
        let earlier = calls.clone();
        calls.add(call("create", "pods"), false);
        calls.add(call("create", "pods"), true);
        calls.add(call("update", "leases"), false);
        let more = calls.since(&earlier);
        assert_eq!((more.count(|_| true), more.count(Call::is_write)), (3, 2));
        let table = more.table(4);
        assert_eq!((table[0].verb.as_str(), table[0].count, table[0].failed, table[0].per_unit), ("create", 2, 1, 0.5));
    }
}
