//! `doctor`: checks what units depend on, and says what to do.

mod check;
mod definitions;
mod operator;
mod replicas;
mod rights;
mod routing;
mod units;

use std::{process::ExitCode, time::Duration};

use crate::{
    connection::{Connection, connect},
    error::Error,
    options::ConnectionArgs,
    stdio::write_stdout,
};
use check::{Check, Level};

/// Timeout of a request without `--request-timeout`.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What to check.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Check the pools and units of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// Namespace of the operator; defaults to all namespaces
    #[arg(long, value_name = "NAME")]
    operator_namespace: Option<String>,
}

/// Where to check.
struct Context {
    connection: Connection,
    /// Namespace of pools and units, or none for all.
    namespace: Option<String>,
    operator_namespace: Option<String>,
}

impl Context {
    /// A namespaced API, or one for all namespaces.
    fn api<K>(&self) -> kube::Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        let client = self.connection.client.clone();
        match &self.namespace {
            Some(namespace) => kube::Api::namespaced(client, namespace),
            None => kube::Api::all(client),
        }
    }

    /// `namespace "team"`, or `all namespaces`.
    fn place(&self) -> String {
        self.namespace.as_ref().map_or_else(|| "all namespaces".to_owned(), |name| format!("namespace {name:?}"))
    }

    /// Options for commands on the pools and units.
    fn options(&self) -> String {
        let place = self.namespace.as_ref().map_or_else(|| "-A".to_owned(), |name| format!("-n {name}"));
        format!("{place}{}", self.connection.flags)
    }
}

/// Checks everything, and prints the table.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn doctor(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut connection = connect(connection).await?;
    if connection.request_timeout.is_zero() {
        connection.request_timeout = TIMEOUT;
    }
    let namespace = (!args.all_namespaces).then(|| connection.namespace.clone());
    let context = Context { connection, namespace, operator_namespace: args.operator_namespace.clone() };
    let checks = checks(&context).await;
    check::lines(&checks).iter().try_for_each(|line| write_stdout(line))?;
    let failed = checks.iter().any(|check| check.level == Level::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn checks(context: &Context) -> Vec<Check> {
    let server = definitions::server(context).await;
    if server.level == Level::Fail {
        return vec![server];
    }
    let mut all = vec![server];
    let definitions = definitions::check(context).await;
    let missing = definitions.iter().any(|check| check.level == Level::Fail);
    all.extend(definitions);
    all.extend(operator::check(context).await);
    if !missing {
        let (pools, checks) = units::pools(context).await;
        all.extend(checks);
        all.extend(routing::check(context, &pools).await);
        all.extend(units::check(context).await);
        all.push(rights::check(context).await);
    }
    all
}

/// Sends a request within the timeout.
async fn send<T>(context: &Context, request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    tokio::time::timeout(context.connection.request_timeout, request).await.unwrap_or_else(|_| {
        let late = std::io::Error::new(std::io::ErrorKind::TimedOut, "the API server did not respond in time");
        Err(kube::Error::Service(Box::new(late)))
    })
}

#[cfg(test)]
mod tests;
