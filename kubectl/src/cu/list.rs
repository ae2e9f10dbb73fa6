//! `list`: units in a table, once or for as long as somebody looks.

use std::{collections::BTreeMap, pin::pin, process::ExitCode};

use clap::ValueEnum;
use computing_unit_operator::api::ComputingUnit;
use futures::StreamExt;
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::ListParams,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;

use super::{
    columns::{Column, USUAL, WIDE},
    select,
    table::Table,
};
use crate::{
    connection::{Connection, connect},
    error::Error,
    options::ConnectionArgs,
    print::{self, Output},
    refusal,
    stdio::{say, tell},
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

/// Shows units.
///
/// # Errors
/// If there is no way to them, or the result cannot be written.
pub async fn list(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let connection = connect(connection).await?;
    let units = if args.all_namespaces { Api::all(connection.client.clone()) } else { connection.units() };
    if args.watch { watch(args, &connection, units).await } else { once(args, &connection, units).await }
}

async fn once(args: &Args, connection: &Connection, units: Api<ComputingUnit>) -> Result<ExitCode, Error> {
    let names = select::names(&args.names);
    let params = ListParams {
        label_selector: args.selector.clone(),
        field_selector: field_selector(args),
        ..ListParams::default()
    };
    let mut found = connection.within("", units.list(&params)).await?.items;
    let known = |name: &&String| !found.iter().any(|unit| unit.name_any() == **name);
    let missing: Vec<_> = names.iter().filter(known).cloned().collect();
    found.retain(|unit| wanted(args, unit));
    match args.output {
        Some(Shape::Yaml | Shape::Json) if !names.is_empty() || !found.is_empty() => objects(args, &found)?,
        Some(Shape::Name) => found.iter().try_for_each(|unit| say(&print::name(unit)))?,
        _ if found.is_empty() && missing.is_empty() => tell(&nothing(args, connection)),
        _ => {
            let rows = rows(args, &found);
            let table = Table::fitting(&rows);
            rows.iter().try_for_each(|row| say(&table.line(row)))?;
        }
    }
    for name in &missing {
        tell(&format!("error: {}", refusal::missing(connection.asked(name))));
    }
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn watch(args: &Args, connection: &Connection, units: Api<ComputingUnit>) -> Result<ExitCode, Error> {
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
                if wanted(args, &unit) {
                    first.push(unit);
                }
                continue;
            }
            Ok(watcher::Event::InitDone) => {
                if table.is_none() {
                    shown.extend(first.iter().map(|unit| (unit.uid().unwrap_or_default(), unit.resource_version())));
                    table = Some(begin(args, connection, &std::mem::take(&mut first))?);
                }
                continue;
            }
            Ok(watcher::Event::InitApply(unit) | watcher::Event::Apply(unit)) => (unit, false),
            Ok(watcher::Event::Delete(unit)) => (unit, true),
            Err(error) => match fatal(error, table.is_some()) {
                Ok(error) => return Err(refusal::request(&error, connection.asked("")).into()),
                Err(sentence) => {
                    tell(&format!("waiting for the API server: {sentence}"));
                    continue;
                }
            },
        };
        let version = unit.resource_version();
        if !wanted(args, &unit)
            || shown.insert(unit.uid().unwrap_or_default(), version.clone()) == Some(version) && !gone
        {
            continue;
        }
        match (args.output, &table) {
            (Some(Shape::Yaml | Shape::Json), _) => objects(args, std::slice::from_ref(&unit))?,
            (Some(Shape::Name), _) => say(&print::name(&unit))?,
            (_, Some(table)) => {
                let mut row = row(args, &unit);
                if gone && let Some(phase) = columns(args).iter().position(|column| *column == Column::Phase) {
                    "Deleted".clone_into(&mut row[phase]);
                }
                say(&table.line(&row))?;
            }
            (_, None) => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what there is when the watch begins.
fn begin(args: &Args, connection: &Connection, units: &[ComputingUnit]) -> Result<Table, Error> {
    let rows = rows(args, units);
    let table = Table::fitting(&rows);
    match args.output {
        Some(Shape::Yaml | Shape::Json) => {
            units.iter().try_for_each(|unit| objects(args, std::slice::from_ref(unit)))?;
        }
        Some(Shape::Name) => units.iter().try_for_each(|unit| say(&print::name(unit)))?,
        _ => rows.iter().try_for_each(|row| say(&table.line(row)))?,
    }
    if units.is_empty() {
        tell(&nothing(args, connection));
    }
    Ok(table)
}

/// One object as it is, several in a list, as kubectl does.
fn objects(args: &Args, units: &[ComputingUnit]) -> Result<(), Error> {
    let output = if args.output == Some(Shape::Json) { Output::Json } else { Output::Yaml };
    if let [unit] = units
        && (args.names.len() == 1 || args.watch)
    {
        return Ok(say(&print::object(unit, output)?)?);
    }
    let items: Vec<_> = units.iter().map(print::plain).collect::<Result<_, _>>()?;
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items});
    Ok(say(&print::text(&list, output)?)?)
}

fn field_selector(args: &Args) -> Option<String> {
    args.owner.as_ref().map(|owner| format!("spec.owner={owner}"))
}

fn wanted(args: &Args, unit: &ComputingUnit) -> bool {
    args.names.is_empty() || select::names(&args.names).contains(&unit.name_any())
}

fn columns(args: &Args) -> Vec<Column> {
    let usual = if args.output == Some(Shape::Wide) { WIDE } else { USUAL };
    let mut columns = if args.columns.is_empty() { usual.to_vec() } else { args.columns.clone() };
    if args.all_namespaces && !columns.contains(&Column::Namespace) {
        columns.insert(0, Column::Namespace);
    }
    columns
}

fn rows(args: &Args, units: &[ComputingUnit]) -> Vec<Vec<String>> {
    let heading = columns(args).iter().map(|column| column.heading().to_owned()).collect();
    [heading].into_iter().chain(units.iter().map(|unit| row(args, unit))).collect()
}

fn row(args: &Args, unit: &ComputingUnit) -> Vec<String> {
    columns(args).iter().map(|column| column.cell(unit, Timestamp::now())).collect()
}

fn nothing(args: &Args, connection: &Connection) -> String {
    if args.all_namespaces {
        return "no computing units found".to_owned();
    }
    format!("no computing units found in namespace {}", connection.namespace)
}
