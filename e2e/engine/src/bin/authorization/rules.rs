//! Which requests the authorization decides about, and how. Pure.

use clap::ValueEnum;

use crate::key::decoded;

/// The rules for paths and methods.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Rules {
    /// Every path is one of a unit, and every method is allowed. A request without a token gets 401.
    Any,
    /// Those of Texera's AccessControlResource.scala, in the version of 2026-07: `authorize` and its methods.
    Texera,
    /// The same with a rule for `/api/execution/<workflow>/<cuid>/run`, which Texera has to add before its agent service can
    /// use the gateway.
    TexeraWithExecution,
}

/// What the authorization does with a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// Authorizes it for a unit. `refusal` is the status without a token.
    Unit { refusal: u16 },
    /// Authenticates its user only: `checkAgentAccess`.
    Agents,
    /// Authorizes it for the Jupyter server of a user, which is in the path.
    Jupyter,
    /// 200 without any header: Jersey answers OPTIONS itself.
    Options,
    /// 405: no method of the resource.
    MethodNotAllowed,
    /// 403: no rule for the path.
    Denied,
}

/// The rule for a request. `path` is that of the original request.
pub fn rule(rules: Rules, method: &str, path: &str) -> Rule {
    if rules == Rules::Any {
        return Rule::Unit { refusal: 401 };
    }
    // Jersey answers HEAD like GET.
    match method {
        "GET" | "HEAD" | "POST" | "DELETE" => {}
        "OPTIONS" => return Rule::Options,
        _ => return Rule::MethodNotAllowed,
    }
    let path = decoded(path);
    if path.contains("/wsapi/workflow-websocket") || path.contains("/api/executions/result/export") || stats(&path) {
        return Rule::Unit { refusal: 403 };
    }
    let pve = ["/api/pve", "/wsapi/pve"].iter().find_map(|prefix| path.strip_prefix(prefix));
    if pve.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Rule::Unit { refusal: 403 };
    }
    if rules == Rules::TexeraWithExecution && execution(&path) {
        return Rule::Unit { refusal: 403 };
    }
    if path.contains("/api/agents") {
        return Rule::Agents;
    }
    if path.starts_with("/jupyter/") {
        return Rule::Jupyter;
    }
    Rule::Denied
}

/// Whether a path is `/api/execution/<workflow>/<cuid>/run`.
fn execution(path: &str) -> bool {
    let rest = path.strip_prefix("/api/execution/").and_then(|rest| rest.strip_suffix("/run"));
    rest.and_then(|rest| rest.split_once('/')).is_some_and(|(workflow, cuid)| {
        [workflow, cuid].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Whether a path contains `/api/executions/<n>/stats/<n>`.
fn stats(path: &str) -> bool {
    let number = |text: &str| text.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    path.split_once("/api/executions/")
        .and_then(|(_, rest)| rest.split_once("/stats/"))
        .is_some_and(|(execution, rest)| execution.bytes().all(|byte| byte.is_ascii_digit()) && number(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texera_has_rules_for_its_own_paths_and_methods() {
        let unit = Rule::Unit { refusal: 403 };
        for (method, path, expected) in [
            ("GET", "/wsapi/workflow-websocket", unit),
            ("GET", "/api/executions/1/stats/2", unit),
            ("POST", "/api/executions/result/export", unit),
            ("GET", "/api/pve/list", unit),
            ("GET", "/wsapi/pve", unit),
            ("DELETE", "/api/pve/pves/42", unit),
            ("GET", "/wsapi", Rule::Denied),
            ("GET", "/api/pvelist", Rule::Denied),
            ("GET", "/api/executions/x/stats/2", Rule::Denied),
            ("POST", "/api/agents/7/react", Rule::Agents),
            ("GET", "/jupyter/7/lab", Rule::Jupyter),
            ("PUT", "/api/pve/db/1", Rule::MethodNotAllowed),
            ("PATCH", "/api/pve/db/1", Rule::MethodNotAllowed),
            ("OPTIONS", "/wsapi/workflow-websocket", Rule::Options),
        ] {
            assert_eq!(rule(Rules::Texera, method, path), expected, "{method} {path}");
            assert_eq!(rule(Rules::TexeraWithExecution, method, path), expected, "{method} {path}");
            assert_eq!(rule(Rules::Any, method, path), Rule::Unit { refusal: 401 });
        }
        let path = "/api/execution/1/42/run";
        assert_eq!(rule(Rules::Texera, "POST", path), Rule::Denied);
        assert_eq!(rule(Rules::TexeraWithExecution, "POST", path), unit);
    }
}
