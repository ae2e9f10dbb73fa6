//! The audit log of the API server: one line for each request, by which benchmarks count calls by client, verb and
//! resource. It is off by default, because it costs the API server CPU time.

use std::{fs, path::PathBuf};

use super::layout::Layout;

/// A watch is recorded when it starts, any other request when it is answered. Health checks are left out.
const POLICY: &str = r#"apiVersion: audit.k8s.io/v1
kind: Policy
rules:
  - level: None
    nonResourceURLs: ["/healthz*", "/livez*", "/readyz*"]
  - level: Metadata
    verbs: ["watch"]
    omitStages: [RequestReceived, ResponseComplete]
  - level: Metadata
    omitStages: [RequestReceived, ResponseStarted]
"#;
/// The size in megabytes at which the log is rotated. A benchmark follows one file.
const SIZE: u32 = 100_000;

/// The log.
///
/// # Errors
/// If `HOME` is not set.
pub fn log(layout: &Layout) -> anyhow::Result<PathBuf> {
    Ok(layout.state()?.join("audit/log"))
}

fn policy(layout: &Layout) -> anyhow::Result<PathBuf> {
    Ok(layout.state()?.join("audit/policy.yaml"))
}

/// Whether the API server writes the log, or will when it starts.
///
/// # Errors
/// If `HOME` is not set.
pub fn is_on(layout: &Layout) -> anyhow::Result<bool> {
    Ok(policy(layout)?.exists())
}

/// Makes the API server write the log when it starts the next time.
///
/// # Errors
/// If the policy cannot be written.
pub fn turn_on(layout: &Layout) -> anyhow::Result<()> {
    let policy = policy(layout)?;
    fs::create_dir_all(policy.parent().unwrap_or(&policy))?;
    Ok(fs::write(policy, POLICY)?)
}

/// The flags of the API server.
pub(super) fn flags(layout: &Layout) -> anyhow::Result<Vec<String>> {
    if !is_on(layout)? {
        return Ok(vec![]);
    }
    Ok(vec![
        format!("--audit-policy-file={}", policy(layout)?.display()),
        format!("--audit-log-path={}", log(layout)?.display()),
        format!("--audit-log-maxsize={SIZE}"),
    ])
}
