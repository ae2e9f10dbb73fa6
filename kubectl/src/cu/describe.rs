//! `describe`: shows details of units and their Events.

use std::process::ExitCode;

use k8s_openapi::{api::core::v1::Event, jiff::Timestamp};
use kube::{Api, ResourceExt, api::ListParams};

use super::{
    description,
    select::{Select, Unselected},
    session::{Chosen, Session},
    wake,
};
use crate::{
    error::Error,
    explain,
    object::Unit,
    options::ConnectionArgs,
    stdio::{write_stderr, write_stdout},
    values::switch,
};

/// Units, and whether to show Events.
#[derive(Debug, clap::Args)]
#[command(mut_arg("show_events", switch))]
pub struct Args {
    #[command(flatten)]
    select: Select,

    /// Show Events
    #[arg(long, default_value = "true")]
    show_events: bool,
}

/// Describes units.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn describe(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let Chosen { units, none_found } = session.choose(&args.select, Unselected::All).await?;
    if none_found && !args.select.ignore_not_found {
        let namespace = (!args.select.is_all_namespaces()).then_some(session.connection.namespace.as_str());
        write_stderr(&explain::no_units(namespace));
    }
    for (index, unit) in units.iter().enumerate() {
        if index > 0 {
            write_stdout("\n")?;
        }
        write_stdout(&description::text(unit, Timestamp::now()))?;
        if let Some(requests) = wake::describe(&session, unit).await {
            write_stdout(&requests)?;
        }
        if args.show_events {
            let events = events(&session, unit).await;
            let events = events.as_deref().map_err(|messages| messages.join("; "));
            write_stdout(&description::events(events, Timestamp::now()))?;
        }
    }
    Ok(session.code())
}

/// The Events of the unit and of its children, which have the same name. Those of an earlier unit of the name are left out.
async fn events(session: &Session, unit: &Unit) -> Result<Vec<Event>, Vec<String>> {
    let connection = &session.connection;
    let events = Api::<Event>::namespaced(connection.client.clone(), &connection.namespace_of(unit));
    let params = ListParams::default().fields(&format!("involvedObject.name={}", unit.name_any()));
    let mut found = connection.request(connection.target(unit), events.list(&params)).await?.items;
    found.retain(|event| description::concerns(event, unit));
    Ok(found)
}
