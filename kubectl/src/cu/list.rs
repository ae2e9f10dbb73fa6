//! `list`: shows units in a table, and optionally watches them.

use std::process::ExitCode;

use super::{
    rows::{Args, listing},
    select::{Query, Unselected},
    session::{Chosen, Session},
    watching,
};
use crate::{error::Error, explain, options::ConnectionArgs, stdio::write_stderr};

/// Lists units.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn list(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    if args.watch {
        if args.list.sort_by.is_some() {
            return Err(Error::message("--watch cannot be used with --sort-by"));
        }
        watching::watch(args, &session).await?;
        return Ok(session.code());
    }
    let Chosen { units, none_found } = session.choose(&args.select, Unselected::All).await?;
    if none_found && args.list.is_table() {
        if !args.select.ignore_not_found {
            let namespace = (!args.select.is_all_namespaces()).then_some(session.connection.namespace.as_str());
            write_stderr(&explain::no_units(namespace));
        }
    } else if !units.is_empty() || none_found {
        let named = matches!(args.select.query(Unselected::All)?, Query::Named(names) if names.len() == 1);
        listing(args, &units, named).print(&args.list)?;
    }
    Ok(session.code())
}
