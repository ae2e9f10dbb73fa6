//! Options of `create` for metadata, environment and lifecycle.

use clap::ArgAction;
use computing_unit_api::Duration;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::values::pair;

/// Metadata, environment and lifecycle of a unit.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct MoreArgs {
    /// Labels of the unit; can be repeated
    #[arg(short, long, value_name = "KEY=VALUE,...", value_parser = pair, value_delimiter = ',')]
    pub labels: Vec<(String, String)>,

    /// Annotation of the unit; can be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair, action = ArgAction::Append)]
    pub annotations: Vec<(String, String)>,

    /// Environment variable of the unit; can be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable, action = ArgAction::Append)]
    pub env: Vec<(String, String)>,

    /// Secret or ConfigMap whose entries become environment variables, optionally with a prefix of their names; can be
    /// repeated
    #[arg(long, value_name = "[PREFIX=]secret/NAME|configmap/NAME", value_parser = source, action = ArgAction::Append)]
    pub env_from: Vec<Value>,

    /// Time after which the idle unit is stopped, for example 30m; at most that of the pool
    #[arg(long, value_name = "DURATION")]
    pub idle_timeout: Option<Duration>,

    /// Action taken on the idle unit; defaults to that of the pool
    #[arg(long, value_enum, value_name = "suspend|delete", hide_possible_values = true)]
    pub idle_action: Option<IdleAction>,

    /// Time at which the unit is finished, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    pub shutdown_time: Option<Timestamp>,

    /// Seconds after which the unit is deleted once it is finished or has failed
    #[arg(long, value_name = "SECONDS")]
    pub ttl_seconds_after_finished: Option<u32>,

    /// Whether a change is applied at the next start, or by recreating the pod [default: on-restart]
    #[arg(long, value_enum, value_name = "on-restart|recreate", hide_possible_values = true)]
    pub update_strategy: Option<UpdateStrategy>,

    /// Create the unit suspended
    #[arg(long, conflicts_with = "wait")]
    pub suspended: bool,
}

/// Action taken on an idle unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum IdleAction {
    Suspend,
    Delete,
}

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum UpdateStrategy {
    OnRestart,
    Recreate,
}

impl IdleAction {
    /// The name in the spec.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suspend => "Suspend",
            Self::Delete => "Delete",
        }
    }
}

impl UpdateStrategy {
    /// The name in the spec.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnRestart => "OnRestart",
            Self::Recreate => "Recreate",
        }
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    let Some((name, value)) = text.split_once('=') else { return Err("must have the form NAME=VALUE".to_owned()) };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(allowed) {
        return Err(format!(
            "invalid name {name:?}: must consist of letters, digits, '_', '-' or '.', and must not start with a digit"
        ));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Parses `secret/NAME` as an entry of `spec.envFrom`.
fn source(text: &str) -> Result<Value, String> {
    let invalid = || "must have the form secret/NAME or configmap/NAME, with PREFIX= before it if needed".to_owned();
    let (prefix, reference) = text.split_once('=').map_or((None, text), |(prefix, rest)| (Some(prefix), rest));
    let (kind, name) = reference.split_once('/').filter(|(_, name)| !name.is_empty()).ok_or_else(invalid)?;
    let field = match kind {
        "secret" | "secrets" => "secretRef",
        "configmap" | "configmaps" | "cm" => "configMapRef",
        _ => return Err(invalid()),
    };
    let mut source = json!({field: {"name": name}});
    if let Some(prefix) = prefix {
        source["prefix"] = json!(prefix);
    }
    Ok(source)
}

fn timestamp(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "invalid time: use a format such as 2026-01-31T18:00:00Z".to_owned())
}
