//! The table of units, and its options.

use k8s_openapi::jiff::Timestamp;

use super::{
    columns::{Column, DEFAULT, WIDE},
    select::Select,
};
use crate::{
    object::Unit,
    printer::{ListArgs, Listing},
};

/// Units, and how they are shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub select: Select,

    /// After listing the units, watch for changes
    #[arg(short, long)]
    pub watch: bool,

    #[command(flatten)]
    pub list: ListArgs,

    /// Columns to show, in this order
    #[arg(long, value_enum, value_name = "COLUMN,...", value_delimiter = ',', conflicts_with = "output")]
    columns: Vec<Column>,
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
