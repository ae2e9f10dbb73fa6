//! `list --watch`.

use std::{collections::BTreeMap, pin::pin};

use futures::StreamExt;
use kube::{
    ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};

use super::{
    columns::Column,
    rows::{Args, columns, listing},
    select::{Query, Unselected},
    session::Session,
};
use crate::{
    error::Error,
    explain,
    object::Unit,
    printer::{ListArgs, Listing, table::Table},
    stdio::{write_stderr, write_stdout},
    waiting::retried,
};

/// The units that were shown, by UID, with their versions. A watch that is restarted lists all units again.
#[derive(Default)]
struct Shown(BTreeMap<String, Option<String>>);

impl Shown {
    fn is_new(&mut self, unit: &Unit) -> bool {
        let version = unit.resource_version();
        self.0.insert(unit.uid().unwrap_or_default(), version.clone()) != Some(version)
    }
}

/// Lists units, then watches for changes.
///
/// # Errors
/// If the units cannot be watched, or the result cannot be written.
pub async fn watch(args: &Args, session: &Session) -> Result<(), Error> {
    let connection = &session.connection;
    let (names, labels, fields, all) = match args.select.query(Unselected::All)? {
        Query::Named(names) => (names, None, None, false),
        Query::Listed { labels, fields, all_namespaces } => (vec![], labels, fields, all_namespaces),
    };
    let api = connection.units_in(all);
    let config = watcher::Config { label_selector: labels, field_selector: fields, ..watcher::Config::default() };
    let selected = |unit: &Unit| names.is_empty() || names.contains(&unit.name_any());
    let mut events = pin!(watcher(api, config).default_backoff());
    let mut table: Option<Table> = None;
    let mut first = vec![];
    let mut shown = Shown::default();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::InitApply(unit)) if table.is_none() => {
                if selected(&unit) {
                    shown.is_new(&unit);
                    first.push(unit);
                }
            }
            Ok(Event::InitDone) if table.is_none() => {
                if first.is_empty() {
                    write_stderr(&explain::no_units((!all).then_some(connection.namespace.as_str())));
                }
                let listing = listing(args, &first, false);
                table = Some(listing.table());
                begin(listing, args, &first)?;
                first = vec![];
            }
            Ok(Event::Init | Event::InitDone) => {}
            Ok(Event::InitApply(unit) | Event::Apply(unit)) => {
                if selected(&unit) && shown.is_new(&unit) {
                    change(args, &unit, table.as_ref(), false)?;
                }
            }
            Ok(Event::Delete(unit)) => {
                if selected(&unit) {
                    change(args, &unit, table.as_ref(), true)?;
                }
            }
            Err(error) => retried(error, table.is_some(), connection.here())?,
        }
    }
    Ok(())
}

/// Shows the units that exist. Objects are not in a list, because others follow.
fn begin(listing: Listing, args: &Args, units: &[Unit]) -> Result<(), Error> {
    if args.list.is_table() { listing.print(&args.list) } else { units.iter().try_for_each(|unit| object(args, unit)) }
}

/// Shows a unit that has changed.
fn change(args: &Args, unit: &Unit, table: Option<&Table>, deleted: bool) -> Result<(), Error> {
    let Some(table) = table.filter(|_| args.list.is_table()) else { return object(args, unit) };
    let mut listing = listing(args, std::slice::from_ref(unit), false);
    let phase = columns(args).iter().position(|column| *column == Column::Phase);
    for row in &mut listing.rows {
        if let Some(cell) = phase.filter(|_| deleted).and_then(|phase| row.get_mut(phase)) {
            "Deleted".clone_into(cell);
        }
        write_stdout(&table.line(row))?;
    }
    Ok(())
}

fn object(args: &Args, unit: &Unit) -> Result<(), Error> {
    let list = ListArgs { no_headers: true, ..args.list.clone() };
    listing(args, std::slice::from_ref(unit), true).print(&list)
}
