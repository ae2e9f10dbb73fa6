//! The result of a check, and the table of all.

use kube::core::Status;

use crate::{printer::table, status::one_line};

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Ok,
    Warn,
    Fail,
    /// The user is not allowed to check it.
    Skip,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub subject: String,
    pub level: Level,
    pub message: String,
    /// What to do.
    pub remedy: Option<String>,
}

impl Check {
    pub fn ok(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { subject: subject.into(), level: Level::Ok, message: message.into(), remedy: None }
    }

    pub fn warn(subject: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Warn, remedy: Some(remedy.into()), ..Self::ok(subject, message) }
    }

    pub fn fail(subject: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Fail, remedy: Some(remedy.into()), ..Self::ok(subject, message) }
    }

    pub fn skip(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level: Level::Skip, ..Self::ok(subject, message) }
    }

    /// A check whose request failed. A forbidden one is skipped.
    pub fn error(subject: impl Into<String>, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 403 => Self::skip(subject, denied(status)),
            kube::Error::Api(status) => Self::fail(
                subject,
                format!("the API server rejected the request: {}", status.message),
                "Check the API server.",
            ),
            other => {
                let message = crate::explain::innermost(other).to_string();
                Self::fail(
                    subject,
                    format!("the request failed: {message}"),
                    "Check the API server, then repeat the command.",
                )
            }
        }
    }
}

/// `user "eve" cannot list resource "deployments" ...`
fn denied(status: &Status) -> String {
    let message = status.message.as_str();
    let cause = message.split_once(" is forbidden: ").map_or(message, |(_, cause)| cause);
    cause.replacen("User ", "user ", 1)
}

/// The lines of the table. What to do follows on a line of its own.
pub fn lines(checks: &[Check]) -> Vec<String> {
    let row = |check: &Check| {
        let level = match check.level {
            Level::Ok => "OK",
            Level::Warn => "WARN",
            Level::Fail => "FAIL",
            Level::Skip => "SKIP",
        };
        vec![check.subject.clone(), level.to_owned(), sentence(&check.message)]
    };
    let heading = ["CHECK", "RESULT", "MESSAGE"].map(str::to_owned).to_vec();
    let rows: Vec<_> = [heading].into_iter().chain(checks.iter().map(row)).collect();
    let table = table::lines(&rows);
    let mut all = vec![];
    for (number, line) in table.into_iter().enumerate() {
        all.push(line);
        let remedy = number.checked_sub(1).and_then(|number| checks[number].remedy.as_ref());
        all.extend(remedy.map(|remedy| format!("  -> {remedy}")));
    }
    all
}

fn sentence(text: &str) -> String {
    let text = one_line(text);
    text.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn table_has_what_to_do_below_each_problem() {
        let checks = [Check::ok("API server", "runs"), Check::fail("Gateway", "has no\naddress.", "Give it one.")];
        assert_eq!(
            lines(&checks),
            [
                "CHECK        RESULT   MESSAGE",
                "API server   OK       runs",
                "Gateway      FAIL     has no address",
                "  -> Give it one.",
            ]
        );
    }

    #[test]
    fn forbidden_request_is_skipped() {
        let status = json!({"code": 403, "message":
            "deployments.apps is forbidden: User \"eve\" cannot list resource \"deployments\" at the cluster scope"});
        let error = kube::Error::Api(serde_json::from_value(status).unwrap());
        let check = Check::error("Operator", &error);
        assert_eq!(check.level, Level::Skip);
        assert_eq!(check.message, "user \"eve\" cannot list resource \"deployments\" at the cluster scope");
    }
}
