//! `delete`: deletes units.

use std::process::ExitCode;

use kube::{
    ResourceExt,
    api::{DeleteParams, Preconditions},
};

use super::{select::SelectAndWait, session::Session};
use crate::{error::Error, goal::Goal, options::ConnectionArgs, print, stdio::write_stdout};

/// Deletes units.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn delete(args: &SelectAndWait, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut changed = vec![];
    for unit in session.choose(&args.select).await? {
        let name = unit.name_any();
        // A new unit of the same name must not be deleted.
        let preconditions = Preconditions { uid: unit.uid(), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let api = session.connection.units();
        match session.connection.request(&name, api.delete(&name, &params)).await {
            Ok(_) => {
                write_stdout(&format!("{} deleting", print::name(&unit)))?;
                changed.push(unit);
            }
            Err(messages) => session.fail(messages),
        }
    }
    session.wait_and_print(changed, Goal::Deleted, args.wait.wait).await?;
    Ok(session.code())
}
