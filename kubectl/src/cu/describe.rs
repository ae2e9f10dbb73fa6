//! `describe`: shows details of units and their Events.

use std::process::ExitCode;

use computing_unit_api::ComputingUnit;
use k8s_openapi::{api::core::v1::Event, jiff::Timestamp};
use kube::{Api, ResourceExt, api::ListParams};

use super::{description, select::Select, session::Session};
use crate::{error::Error, options::ConnectionArgs, stdio::write_stdout};

/// Units, and whether to show Events.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    select: Select,

    /// Do not show Events
    #[arg(long)]
    no_events: bool,
}

/// Describes units.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn describe(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    for (index, unit) in session.choose(&args.select).await?.iter().enumerate() {
        if index > 0 {
            write_stdout("\n")?;
        }
        write_stdout(&description::text(unit, Timestamp::now()))?;
        if !args.no_events {
            let events = events(&session, unit).await;
            let events = events.as_deref().map_err(|messages| messages.join("; "));
            write_stdout(&description::events(events, Timestamp::now()))?;
        }
    }
    Ok(session.code())
}

/// The Events of the unit and of its children, which have the same name.
async fn events(session: &Session, unit: &ComputingUnit) -> Result<Vec<Event>, Vec<String>> {
    let connection = &session.connection;
    let events = Api::<Event>::namespaced(connection.client.clone(), &connection.namespace);
    let params = ListParams::default().fields(&format!("involvedObject.name={}", unit.name_any()));
    Ok(connection.request(&unit.name_any(), events.list(&params)).await?.items)
}
