//! `list`: units in a table, once or for as long as somebody looks.

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
    options::ConnectionArgs,
    print::{self, Output},
    explain,
    stdio::{write_errors, write_stderr, write_stdout},
    wait::fatal,
};

/// Which units, and how they are shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names of units; all without
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Units with these labels, such as team=blue
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,

    /// Units of this owner
    #[arg(long, value_name = "USER")]
    owner: Option<String>,

    /// Units of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// Show the units, then each change of one as it comes
    #[arg(short, long)]
    watch: bool,

    /// How the units are shown
    #[arg(short, long, value_name = "wide|yaml|json|name", value_enum, hide_possible_values = true)]
    output: Option<Shape>,

    /// Which columns, in which order
    #[arg(long, value_enum, value_name = "COLUMN,...", value_delimiter = ',', conflicts_with = "output")]
    columns: Vec<Column>,
}

/// How the units are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    Wide,
    Yaml,
    Json,
    Name,
}

/// What is shown, and how; settled once for all units.
struct View<'a> {
    names: Vec<String>,
    columns: Vec<Column>,
    output: Option<Shape>,
    /// Whether several units are several objects, not a list of them.
    separate: bool,
    /// Where the units are; nothing for everywhere.
    namespace: Option<&'a str>,
}

/// Shows units.
///
/// # Errors
/// If there is no way to them, or the result cannot be written.
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
    let known = |name: &&String| !found.iter().any(|unit| unit.name_any() == **name);
    let missing: Vec<_> = view.names.iter().filter(known).collect();
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
    // A watch that breaks off is begun anew with all units, of which most were shown already.
    let mut shown: BTreeMap<String, Option<String>> = BTreeMap::new();
    while let Some(event) = events.next().await {
        let (unit, gone) = match event {
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
                Err(sentence) => {
                    write_stderr(&format!("waiting for the API server: {sentence}"));
                    continue;
                }
            },
        };
        let version = unit.resource_version();
        let new =
            view.has(&unit) && (shown.insert(unit.uid().unwrap_or_default(), version.clone()) != Some(version) || gone);
        let Some(table) = table.as_ref().filter(|_| new) else { continue };
        if gone && view.is_table() {
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

    /// A table that fits these units.
    fn table(&self, units: &[ComputingUnit]) -> Table {
        Table::fitting(&[vec![self.heading()], self.rows(units)].concat())
    }

    /// Writes units, under their headings where they are `first`.
    fn show(&self, units: &[ComputingUnit], table: &Table, first: bool) -> Result<(), Error> {
        match self.output {
            Some(Shape::Yaml) => self.objects(units, Output::Yaml),
            Some(Shape::Json) => self.objects(units, Output::Json),
            Some(Shape::Name) => Ok(units.iter().try_for_each(|unit| write_stdout(&print::name(unit)))?),
            None | Some(Shape::Wide) => {
                let heading = first.then(|| self.heading());
                Ok(heading.iter().chain(&self.rows(units)).try_for_each(|row| write_stdout(&table.line(row)))?)
            }
        }
    }

    /// Writes objects: one that was asked for by its name as it is, several in a list, as kubectl does.
    fn objects(&self, units: &[ComputingUnit], output: Output) -> Result<(), Error> {
        if self.separate || (self.names.len() == 1 && units.len() == 1) {
            return units.iter().try_for_each(|unit| Ok(write_stdout(&print::object(unit, output)?)?));
        }
        let items: Vec<_> = units.iter().map(print::plain).collect::<Result<_, _>>()?;
        let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items});
        Ok(write_stdout(&print::text(&list, output)?)?)
    }

    fn heading(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.heading().to_owned()).collect()
    }

    fn rows(&self, units: &[ComputingUnit]) -> Vec<Vec<String>> {
        let now = Timestamp::now();
        units.iter().map(|unit| self.columns.iter().map(|column| column.cell(unit, now)).collect()).collect()
    }

    /// The row of a unit that is gone.
    fn last_row(&self, unit: &ComputingUnit) -> Vec<String> {
        let now = Timestamp::now();
        let cell = |column: &Column| {
            if *column == Column::Phase { "Deleted".to_owned() } else { column.cell(unit, now) }
        };
        self.columns.iter().map(cell).collect()
    }
}
