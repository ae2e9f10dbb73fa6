//! `list`: shows units in a table, and optionally watches them.

use std::{collections::BTreeMap, pin::pin, process::ExitCode};

use clap::ValueEnum;
use computing_unit_api::ComputingUnit;
use futures::StreamExt;
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::ListParams,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;

use super::{
    columns::{Column, DEFAULT, WIDE},
    select,
    table::Table,
};
use crate::{
    connection::{Connection, connect},
    error::Error,
    explain,
    options::ConnectionArgs,
    print::{self, Output},
    stdio::{write_errors, write_stderr, write_stdout},
    wait::fatal,
};

/// Units, and how they are shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names of units; defaults to all
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Label selector, for example team=blue
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,

    /// Only units of this owner
    #[arg(long, value_name = "USER")]
    owner: Option<String>,

    /// List the units of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// After listing the units, watch for changes
    #[arg(short, long)]
    watch: bool,

    /// Output format. One of: wide, yaml, json, name
    #[arg(short, long, value_name = "wide|yaml|json|name", value_enum, hide_possible_values = true)]
    output: Option<Shape>,

    /// Columns to show, in this order
    #[arg(long, value_enum, value_name = "COLUMN,...", value_delimiter = ',', conflicts_with = "output")]
    columns: Vec<Column>,
}

/// Output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    Wide,
    Yaml,
    Json,
    Name,
}

/// Filters and output format.
struct View<'a> {
    names: Vec<String>,
    columns: Vec<Column>,
    output: Option<Shape>,
    /// Whether several units are printed as separate objects instead of a list.
    separate: bool,
    /// Namespace of the units, or none for all namespaces.
    namespace: Option<&'a str>,
}

/// Lists units.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn list(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let connection = connect(connection).await?;
    let units = if args.all_namespaces { Api::all(connection.client.clone()) } else { connection.units() };
    let view = View::new(args, &connection);
    if args.watch { watch(args, &view, &connection, units).await } else { once(args, &view, &connection, units).await }
}

async fn once(
    args: &Args,
    view: &View<'_>,
    connection: &Connection,
    units: Api<ComputingUnit>,
) -> Result<ExitCode, Error> {
    let params = ListParams {
        label_selector: args.selector.clone(),
        field_selector: field_selector(args),
        ..ListParams::default()
    };
    let mut found = connection.request("", units.list(&params)).await?.items;
    let absent = |name: &&String| !found.iter().any(|unit| unit.name_any() == **name);
    let missing: Vec<_> = view.names.iter().filter(absent).collect();
    found.retain(|unit| view.has(unit));
    if found.is_empty() && view.names.is_empty() && args.output != Some(Shape::Name) {
        write_stderr(&explain::no_units(view.namespace));
    } else {
        view.show(&found, &view.table(&found), true)?;
    }
    for name in &missing {
        write_errors([explain::not_found(connection.target(name))]);
    }
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn watch(
    args: &Args,
    view: &View<'_>,
    connection: &Connection,
    units: Api<ComputingUnit>,
) -> Result<ExitCode, Error> {
    let config = watcher::Config {
        label_selector: args.selector.clone(),
        field_selector: field_selector(args),
        ..watcher::Config::default()
    };
    let mut events = pin!(watcher(units, config).default_backoff());
    let mut table: Option<Table> = None;
    let mut first = vec![];
    // A watch that is restarted lists all units again.
    let mut shown: BTreeMap<String, Option<String>> = BTreeMap::new();
    while let Some(event) = events.next().await {
        let (unit, deleted) = match event {
            Ok(watcher::Event::Init) => continue,
            Ok(watcher::Event::InitApply(unit)) if table.is_none() => {
                first.push(unit);
                continue;
            }
            Ok(watcher::Event::InitDone) => {
                if table.is_none() {
                    first.retain(|unit| view.has(unit));
                    shown.extend(first.iter().map(|unit| (unit.uid().unwrap_or_default(), unit.resource_version())));
                    let fitting = view.table(&first);
                    view.show(&first, &fitting, true)?;
                    if first.is_empty() {
                        write_stderr(&explain::no_units(view.namespace));
                    }
                    table = Some(fitting);
                    first = vec![];
                }
                continue;
            }
            Ok(watcher::Event::InitApply(unit) | watcher::Event::Apply(unit)) => (unit, false),
            Ok(watcher::Event::Delete(unit)) => (unit, true),
            Err(error) => match fatal(error, table.is_some()) {
                Ok(error) => return Err(explain::request(&error, connection.target("")).into()),
                Err(message) => {
                    write_stderr(&format!("waiting for the API server: {message}"));
                    continue;
                }
            },
        };
        let version = unit.resource_version();
        let new = view.has(&unit)
            && (shown.insert(unit.uid().unwrap_or_default(), version.clone()) != Some(version) || deleted);
        let Some(table) = table.as_ref().filter(|_| new) else { continue };
        if deleted && view.is_table() {
            write_stdout(&table.line(&view.last_row(&unit)))?;
        } else {
            view.show(&[unit], table, false)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn field_selector(args: &Args) -> Option<String> {
    args.owner.as_ref().map(|owner| format!("spec.owner={owner}"))
}

impl<'a> View<'a> {
    fn new(args: &Args, connection: &'a Connection) -> Self {
        let usual = if args.output == Some(Shape::Wide) { WIDE } else { DEFAULT };
        let mut columns = if args.columns.is_empty() { usual.to_vec() } else { args.columns.clone() };
        if args.all_namespaces && !columns.contains(&Column::Namespace) {
            columns.insert(0, Column::Namespace);
        }
        let namespace = (!args.all_namespaces).then_some(connection.namespace.as_str());
        Self { names: select::names(&args.names), columns, output: args.output, separate: args.watch, namespace }
    }

    fn has(&self, unit: &ComputingUnit) -> bool {
        self.names.is_empty() || self.names.contains(&unit.name_any())
    }

    const fn is_table(&self) -> bool {
        matches!(self.output, None | Some(Shape::Wide))
    }

    /// A table with the column widths for these units.
    fn table(&self, units: &[ComputingUnit]) -> Table {
        Table::fitting(&[vec![self.header()], self.rows(units)].concat())
    }

    /// Writes units, with the header if they are the `first`.
    fn show(&self, units: &[ComputingUnit], table: &Table, first: bool) -> Result<(), Error> {
        match self.output {
            Some(Shape::Yaml) => self.objects(units, Output::Yaml),
            Some(Shape::Json) => self.objects(units, Output::Json),
            Some(Shape::Name) => Ok(units.iter().try_for_each(|unit| write_stdout(&print::name(unit)))?),
            None | Some(Shape::Wide) => {
                let header = first.then(|| self.header());
                Ok(header.iter().chain(&self.rows(units)).try_for_each(|row| write_stdout(&table.line(row)))?)
            }
        }
    }

    /// Writes objects: a single unit that was requested by name, or a list, like kubectl.
    fn objects(&self, units: &[ComputingUnit], output: Output) -> Result<(), Error> {
        if self.separate || (self.names.len() == 1 && units.len() == 1) {
            return units.iter().try_for_each(|unit| Ok(write_stdout(&print::object(unit, output)?)?));
        }
        let items: Vec<_> = units.iter().map(print::plain).collect::<Result<_, _>>()?;
        let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items});
        Ok(write_stdout(&print::text(&list, output)?)?)
    }

    fn header(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.header().to_owned()).collect()
    }

    fn rows(&self, units: &[ComputingUnit]) -> Vec<Vec<String>> {
        let now = Timestamp::now();
        units.iter().map(|unit| self.columns.iter().map(|column| column.cell(unit, now)).collect()).collect()
    }

    /// The row of a deleted unit.
    fn last_row(&self, unit: &ComputingUnit) -> Vec<String> {
        let now = Timestamp::now();
        let cell = |column: &Column| {
            if *column == Column::Phase { "Deleted".to_owned() } else { column.cell(unit, now) }
        };
        self.columns.iter().map(cell).collect()
    }
}
