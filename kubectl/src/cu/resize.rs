//! `resize`: changes CPU, memory and other resources of units.

use std::process::ExitCode;

use computing_unit_api::Quantity;
use serde_json::{Map, Value, json};

use super::{mode, session::Session};
use crate::{
    error::Error,
    goal::Goal,
    options::ConnectionArgs,
    values::{amount, quantity},
};

/// Units, and their new limits.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    units: mode::ChangeArgs,

    /// CPU limit, for example 2 or 500m
    #[arg(long, value_name = "QUANTITY", value_parser = quantity, required_unless_present_any = ["memory", "limits"])]
    cpu: Option<Quantity>,

    /// Memory limit, for example 4Gi
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    memory: Option<Quantity>,

    /// Limits of other resources, for example nvidia.com/gpu=1,ephemeral-storage=4Gi. They take effect as updateStrategy
    /// of the unit says
    #[arg(long, value_name = "NAME=QUANTITY,...", value_delimiter = ',', value_parser = amount)]
    limits: Vec<(String, Quantity)>,
}

/// Changes the limits of units. A request that exceeds the new limit is lowered to it.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn resize(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut reporter = args.units.reporter();
    let mut changed = vec![];
    for unit in session.choose_not_terminating(&args.units.select).await? {
        let requests = unit.spec.resources.as_ref().map(|resources| &resources.requests);
        let exceeded = |key: &str, limit: &Quantity| {
            let request = requests.and_then(|requests| requests.get(key)).and_then(Quantity::value);
            request.zip(limit.value()).is_some_and(|(request, limit)| request > limit)
        };
        let (mut limits, mut lowered) = (Map::new(), Map::new());
        let usual = [("cpu", args.cpu.as_ref()), ("memory", args.memory.as_ref())];
        let usual = usual.into_iter().filter_map(|(key, amount)| Some((key, amount?)));
        for (key, amount) in usual.chain(args.limits.iter().map(|(key, amount)| (key.as_str(), amount))) {
            limits.insert(key.to_owned(), json!(amount));
            if exceeded(key, amount) {
                lowered.insert(key.to_owned(), json!(amount));
            }
        }
        let mut resources = json!({"limits": limits});
        if !lowered.is_empty() {
            resources["requests"] = Value::Object(lowered);
        }
        let change = json!({"spec": {"resources": resources}});
        let dry_run = args.units.dry_run.dry_run;
        changed.extend(session.change(&unit, change, dry_run, "resized", &mut reporter).await?);
    }
    if let Some(timeout) = args.units.wait.limit() {
        session.wait_for(changed, &Goal::Resized, timeout).await?;
    }
    Ok(session.code())
}
