//! Requests of one command: it selects units, changes them and waits for them. A failure is reported per unit, and the
//! remaining units are still processed.

use std::{process::ExitCode, time::Duration};

use json_patch::merge;
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::Value;
use tokio::time::Instant;

use super::select::{Query, Select, Unselected};
use crate::{
    connection::{Connection, connect},
    dry_run::DryRun,
    error::{Error, INTERRUPTED},
    explain,
    goal::Goal,
    object::Unit,
    options::ConnectionArgs,
    outcome::{Outcome, Waited},
    printer::Reporter,
    screen::Screen,
    stdio::{ctrl_c, write_errors, write_stderr},
    wait,
};

/// Field manager of this program.
const FIELD_MANAGER: &str = "kubectl-cu";

/// A connection, and the errors of the command.
pub struct Session {
    /// Connection.
    pub connection: Connection,
    errors: Vec<String>,
    interrupted: bool,
}

/// The selected units.
pub struct Chosen {
    /// Units that exist.
    pub units: Vec<Unit>,
    /// Whether nothing was found by labels and fields.
    pub none_found: bool,
}

impl Session {
    /// Creates a session. No request is sent.
    ///
    /// # Errors
    /// If there is no connection.
    pub async fn open(args: &ConnectionArgs) -> Result<Self, Error> {
        Ok(Self { connection: connect(args).await?, errors: vec![], interrupted: false })
    }

    /// The selected units. An error is reported for each that does not exist.
    ///
    /// # Errors
    /// If units cannot be listed.
    pub async fn choose(&mut self, select: &Select, default: Unselected) -> Result<Chosen, Error> {
        match select.query(default)? {
            Query::Named(names) => {
                let mut units = vec![];
                let api = self.connection.units(&self.connection.namespace);
                for name in names {
                    let target = self.connection.named(&name);
                    match self.connection.request(target, api.get_opt(&name)).await {
                        Ok(Some(unit)) => units.push(unit),
                        Ok(None) if select.ignore_not_found => {}
                        Ok(None) => self.fail([explain::not_found(self.connection.named(&name))]),
                        Err(messages) => self.fail(messages),
                    }
                }
                Ok(Chosen { units, none_found: false })
            }
            Query::Listed { labels, fields, all_namespaces } => {
                let connection = &self.connection;
                let api = connection.units_in(all_namespaces);
                let params = ListParams { label_selector: labels, field_selector: fields, ..ListParams::default() };
                let units = connection.request(connection.here(), api.list(&params)).await?.items;
                let none_found = units.is_empty();
                Ok(Chosen { units, none_found })
            }
        }
    }

    /// The selected units for a command that needs a selection, with a note if there are none.
    ///
    /// # Errors
    /// If units cannot be listed.
    pub async fn choose_or_note(&mut self, select: &Select) -> Result<Vec<Unit>, Error> {
        let Chosen { units, none_found } = self.choose(select, Unselected::Refused).await?;
        if none_found && !select.ignore_not_found {
            let namespace = (!select.is_all_namespaces()).then_some(self.connection.namespace.as_str());
            write_stderr(&explain::no_units(namespace));
        }
        Ok(units)
    }

    /// The same without those that are being deleted, for each of which an error is reported.
    ///
    /// # Errors
    /// If units cannot be listed.
    pub async fn choose_not_terminating(&mut self, select: &Select) -> Result<Vec<Unit>, Error> {
        let (terminating, others): (Vec<_>, Vec<_>) =
            self.choose_or_note(select).await?.into_iter().partition(|unit| unit.metadata.deletion_timestamp.is_some());
        for unit in terminating {
            self.fail([format!("computing unit {:?} is being deleted", unit.name_any())]);
        }
        Ok(others)
    }

    /// Changes a unit and reports the `operation`. Returns none if the change failed, which is reported.
    ///
    /// # Errors
    /// If the result cannot be written.
    pub async fn change(
        &mut self,
        unit: &Unit,
        change: Value,
        dry_run: DryRun,
        operation: &str,
        reporter: &mut Reporter,
    ) -> Result<Option<Unit>, Error> {
        if dry_run == DryRun::Client {
            let mut changed = unit.plain();
            merge(&mut changed, &change);
            reporter.report_value(&changed, operation)?;
            return Ok(None);
        }
        let changed = self.patch(unit, change, dry_run).await;
        if let Some(unit) = &changed {
            reporter.report(unit, operation)?;
        }
        // There is nothing to wait for after a dry run.
        Ok(changed.filter(|_| !dry_run.is_dry()))
    }

    /// Changes a unit. Returns none if the change failed, which is reported.
    pub async fn patch(&mut self, unit: &Unit, change: Value, dry_run: DryRun) -> Option<Unit> {
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            dry_run: dry_run.is_dry(),
            ..PatchParams::default()
        };
        let connection = &self.connection;
        let api = connection.units(&connection.namespace_of(unit));
        let patch = Patch::Merge(change);
        match connection.request(connection.target(unit), api.patch(&unit.name_any(), &params, &patch)).await {
            Ok(unit) => Some(unit),
            Err(messages) => {
                self.fail(messages);
                None
            }
        }
    }

    /// Waits for units with a common timeout. Returns those that have reached the state. An error is reported for each of
    /// the others.
    ///
    /// # Errors
    /// If the progress cannot be written.
    pub async fn wait_for(&mut self, units: Vec<Unit>, goal: &Goal, timeout: Duration) -> Result<Vec<Unit>, Error> {
        self.wait_until(units, goal, Instant::now() + timeout, timeout).await
    }

    /// The same until a deadline. `timeout` is for messages.
    ///
    /// # Errors
    /// If the progress cannot be written.
    pub async fn wait_until(
        &mut self,
        units: Vec<Unit>,
        goal: &Goal,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Vec<Unit>, Error> {
        if self.interrupted || units.is_empty() {
            return Ok(vec![]);
        }
        let mut screen = Screen::stderr(self.labels(&units));
        let waited = wait::wait(&self.connection, units, goal, deadline, ctrl_c(), &mut screen).await?;
        let mut reached = vec![];
        for Waited { outcome, last } in waited {
            if matches!(outcome, Outcome::Reached) {
                reached.push(last);
                continue;
            }
            self.interrupted |= matches!(outcome, Outcome::Interrupted(_));
            let messages = outcome.messages(goal, self.connection.target(&last), timeout);
            self.fail(messages);
        }
        Ok(reached)
    }

    /// Names of units, with the namespace if there are several.
    fn labels(&self, units: &[Unit]) -> Vec<String> {
        let namespaces: Vec<_> = units.iter().map(|unit| self.connection.namespace_of(unit)).collect();
        let several = namespaces.windows(2).any(|pair| pair[0] != pair[1]);
        let label = |(unit, namespace): (&Unit, &String)| {
            if several { format!("{namespace}/{}", unit.name_any()) } else { unit.name_any() }
        };
        units.iter().zip(&namespaces).map(label).collect()
    }

    /// Reports errors. An error of several units is reported once.
    pub fn fail(&mut self, messages: impl IntoIterator<Item = String>) {
        for message in messages {
            if !self.errors.contains(&message) {
                write_errors([&message]);
                self.errors.push(message);
            }
        }
    }

    /// The exit code.
    pub fn code(&self) -> ExitCode {
        match (self.interrupted, self.errors.is_empty()) {
            (true, _) => ExitCode::from(INTERRUPTED),
            (false, false) => ExitCode::FAILURE,
            (false, true) => ExitCode::SUCCESS,
        }
    }
}
