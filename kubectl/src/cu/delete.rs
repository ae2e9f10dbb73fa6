//! `delete`: the end of units. In which order route and pod go is the operator's business.

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
/// If there is no way to them, or the result cannot be written.
pub async fn delete(args: &SelectAndWait, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let mut asked = vec![];
    for unit in session.choose(&args.select).await? {
        let name = unit.name_any();
        // Another unit that has the name since is not the one that was chosen.
        let same = Preconditions { uid: unit.uid(), resource_version: None };
        let params = DeleteParams { preconditions: Some(same), ..DeleteParams::default() };
        let api = session.connection.units();
        match session.connection.request(&name, api.delete(&name, &params)).await {
            Ok(_) => {
                write_stdout(&format!("{} deleting", print::name(&unit)))?;
                asked.push(unit);
            }
            Err(messages) => session.fail(messages),
        }
    }
    session.wait_and_print(asked, Goal::Deleted, args.wait.wait).await?;
    Ok(session.code())
}
