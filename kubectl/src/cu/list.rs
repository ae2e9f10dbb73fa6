//! `list`: shows units in a table, and optionally watches them.

use std::process::ExitCode;

use k8s_openapi::jiff::Timestamp;

use super::{
    columns::{Column, DEFAULT, WIDE},
    select::{Query, Select, Unselected},
    session::{Chosen, Session},
    watching,
};
use crate::{
    error::Error,
    explain,
    object::Unit,
    options::ConnectionArgs,
    printer::{ListArgs, Listing},
    stdio::write_stderr,
};

/// Units, and how they are shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub select: Select,

    /// After listing the units, watch for changes
    #[arg(short, long)]
    watch: bool,

    #[command(flatten)]
    pub list: ListArgs,

    /// Columns to show, in this order
    #[arg(long, value_enum, value_name = "COLUMN,...", value_delimiter = ',', conflicts_with = "output")]
    columns: Vec<Column>,
}

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

/// The list of units. `single`: it was requested by name.
pub fn listing(args: &Args, units: &[Unit], single: bool) -> Listing {
    let now = Timestamp::now();
    let columns = columns(args);
    let row = |unit: &Unit| columns.iter().map(|column| column.cell(unit, now)).collect();
    let listing = Listing {
        header: columns.iter().map(|column| column.header().to_owned()).collect(),
        rows: units.iter().map(row).collect(),
        objects: units.iter().map(Unit::plain).collect(),
        single,
    };
    if args.list.show_labels { listing.with_labels() } else { listing }
}

/// The columns of the table.
pub fn columns(args: &Args) -> Vec<Column> {
    let usual = if args.list.is_wide() { WIDE } else { DEFAULT };
    let mut columns = if args.columns.is_empty() { usual.to_vec() } else { args.columns.clone() };
    if args.select.is_all_namespaces() && !columns.contains(&Column::Namespace) {
        columns.insert(0, Column::Namespace);
    }
    columns
}
