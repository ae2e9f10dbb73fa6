//! `resize`: how much CPU and memory a unit has. Whether the running pod can be given it is the operator's and the node's
//! business; the conditions tell.

use std::process::ExitCode;

use computing_unit_api::Quantity;
use serde_json::{Map, Value, json};

use super::{select::SelectAndWait, session::Session};
use crate::{
    error::Error,
    goal::Goal,
    options::{ConnectionArgs, quantity},
};

/// Which units, and how much.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    units: SelectAndWait,

    /// The most CPU that the unit may use, such as 2 or 500m
    #[arg(long, value_name = "QUANTITY", value_parser = quantity, required_unless_present = "memory")]
    cpu: Option<Quantity>,

    /// The most memory that the unit may use, such as 4Gi
    #[arg(long, value_name = "QUANTITY", value_parser = quantity)]
    memory: Option<Quantity>,
}

/// Changes the limits of units. A request that a unit has beside its limit is brought along where it would be above it.
///
/// # Errors
/// If there is no way to them, or the result cannot be written.
pub async fn resize(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut asked = vec![];
    for unit in session.choose_not_terminating(&args.units.select).await? {
        let requests = unit.spec.resources.as_ref().map(|resources| &resources.requests);
        let asked_less = |key: &str, limit: &Quantity| {
            let request = requests.and_then(|requests| requests.get(key)).and_then(Quantity::value);
            request.zip(limit.value()).is_some_and(|(request, limit)| request > limit)
        };
        let (mut limits, mut lowered) = (Map::new(), Map::new());
        for (key, amount) in [("cpu", &args.cpu), ("memory", &args.memory)] {
            let Some(amount) = amount else { continue };
            limits.insert(key.to_owned(), json!(amount));
            if asked_less(key, amount) {
                lowered.insert(key.to_owned(), json!(amount));
            }
        }
        let mut resources = json!({"limits": limits});
        if !lowered.is_empty() {
            resources["requests"] = Value::Object(lowered);
        }
        asked.extend(session.change(&unit, json!({"spec": {"resources": resources}}), "resizing").await?);
    }
    session.wait_and_print(asked, Goal::Resized, args.units.wait.wait).await?;
    Ok(session.code())
}
