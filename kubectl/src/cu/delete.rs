//! `delete`: the end of units. In which order route and pod go is the operator's business.

use std::process::ExitCode;

use kube::{
    ResourceExt,
    api::{DeleteParams, Preconditions},
};

use super::{select::Select, session::Session};
use crate::{
    error::Error,
    goal::Goal,
    options::{ConnectionArgs, WaitArgs},
    print,
    stdio::say,
};

/// Which units, and whether to wait until they are gone.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    wait: WaitArgs,
}

/// Deletes units.
///
/// # Errors
/// If there is no way to them, or the result cannot be written.
pub async fn delete(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut asked = vec![];
    for unit in session.choose(&args.select).await? {
        let name = unit.name_any();
        // Another unit that has the name since is not the one that was chosen.
        let same = Preconditions { uid: unit.uid(), resource_version: None };
        let params = DeleteParams { preconditions: Some(same), ..DeleteParams::default() };
        let api = session.connection.units();
        match session.connection.within(&name, api.delete(&name, &params)).await {
            Ok(_) => {
                say(&format!("{} deleting", print::name(&unit)))?;
                asked.push(unit);
            }
            Err(sentences) => session.fail(sentences),
        }
    }
    if let Some(patience) = args.wait.wait {
        for unit in session.reach(asked, Goal::Deleted, patience).await? {
            say(&format!("{} deleted", print::name(&unit)))?;
        }
    }
    Ok(session.code())
}
