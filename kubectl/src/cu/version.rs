//! `version`: the versions of the plugin, the operator and the API server.

use std::process::ExitCode;

use kube::Resource;
use serde_json::{Value, json};

use super::operators::{self, is_forbidden};
use crate::{
    connection::{Connection, connect},
    error::Error,
    explain,
    options::ConnectionArgs,
    printer::{self, Format},
    stdio::{write_errors, write_stdout},
};

/// The version of the plugin.
pub const CLIENT: &str = env!("CARGO_PKG_VERSION");

/// Which versions.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the version of the plugin only, without a request
    #[arg(long)]
    client: bool,

    /// Namespace of the operator; defaults to all namespaces
    #[arg(long, value_name = "NAME")]
    operator_namespace: Option<String>,

    /// Output format. One of: json, yaml
    #[arg(short, long, value_name = "json|yaml")]
    output: Option<Format>,
}

/// Prints versions.
///
/// # Errors
/// If the API server cannot be reached, or the result cannot be written.
pub async fn version(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut all = json!({
        "clientVersion": format!("v{CLIENT}"),
        "apiVersion": computing_unit_api::ComputingUnit::api_version(&()),
    });
    let mut failed = vec![];
    if !args.client {
        match connect(connection).await {
            Ok(connection) => failed = remote(&mut all, &connection, args.operator_namespace.as_deref()).await,
            Err(error) => failed.push(error.to_string()),
        }
    }
    match &args.output {
        Some(format @ (Format::Json | Format::Yaml | Format::JsonPath(_))) => printer::print(&all, format)?,
        Some(_) => return Err(Error::message("--output must be json, yaml or jsonpath=TEMPLATE")),
        None => text(&all)?,
    }
    write_errors(&failed);
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Adds the versions of the operators and of the API server. Returns errors.
async fn remote(all: &mut Value, connection: &Connection, namespace: Option<&str>) -> Vec<String> {
    match connection.request(connection.here(), connection.client.apiserver_version()).await {
        Ok(info) => all["serverVersion"] = json!(info.git_version),
        Err(messages) => return messages,
    }
    match operators::deployments(connection, namespace).await {
        Ok(found) => {
            let version = |deployment| operators::version(deployment).map(|version| format!("v{version}"));
            let one = |deployment| json!({"deployment": operators::label(deployment), "version": version(deployment)});
            all["operators"] = found.iter().map(one).collect();
            vec![]
        }
        // It is not for everyone to know.
        Err(error) if is_forbidden(&error) => vec![],
        Err(error) => explain::request(&error, connection.here()),
    }
}

fn text(all: &Value) -> Result<(), Error> {
    let plain = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    write_stdout(&format!("Client Version: {}", plain(&all["clientVersion"])))?;
    write_stdout(&format!("API Version: {}", plain(&all["apiVersion"])))?;
    match all["operators"].as_array() {
        Some(operators) if operators.is_empty() => write_stdout("Operator Version: none found")?,
        Some(operators) => {
            for operator in operators {
                let (version, deployment) = (plain(&operator["version"]), plain(&operator["deployment"]));
                write_stdout(&format!("Operator Version: {version} (Deployment {deployment})"))?;
            }
        }
        None if all["serverVersion"].is_string() => {
            write_stdout("Operator Version: unknown (you cannot list Deployments)")?;
        }
        None => {}
    }
    if let Some(version) = all["serverVersion"].as_str() {
        write_stdout(&format!("Server Version: {version}"))?;
    }
    Ok(())
}
