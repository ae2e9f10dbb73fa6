//! Requests of one command: it selects units, changes them and waits for them. A failure is reported per unit, and the
//! remaining units are still processed.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use computing_unit_api::ComputingUnit;
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::Value;

use super::select::{Select, Selection};
use crate::{
    connection::{Connection, connect},
    create::url,
    error::{Error, INTERRUPTED},
    explain,
    goal::Goal,
    options::ConnectionArgs,
    print,
    screen::Screen,
    stdio::{ctrl_c, write_errors, write_stderr, write_stdout},
    wait::{self, Outcome, Waited},
};

/// Field manager of this program.
const FIELD_MANAGER: &str = "kubectl-cu";

/// A connection for one namespace, and the errors of the command.
pub struct Session {
    /// Connection.
    pub connection: Connection,
    errors: Vec<String>,
    interrupted: bool,
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
    pub async fn choose(&mut self, select: &Select) -> Result<Vec<ComputingUnit>, Error> {
        match select.selection() {
            Selection::Named(names) => {
                let mut found = vec![];
                for name in names {
                    match self.connection.request(&name, self.connection.units().get(&name)).await {
                        Ok(unit) => found.push(unit),
                        Err(messages) => self.fail(messages),
                    }
                }
                Ok(found)
            }
            Selection::Labelled(labels) => {
                let params = ListParams { label_selector: labels, ..ListParams::default() };
                let found = self.connection.request("", self.connection.units().list(&params)).await?.items;
                if found.is_empty() {
                    write_stderr(&explain::no_units(Some(&self.connection.namespace)));
                }
                Ok(found)
            }
        }
    }

    /// The selected units without those that are being deleted, for each of which an error is reported.
    ///
    /// # Errors
    /// If units cannot be listed.
    pub async fn choose_not_terminating(&mut self, select: &Select) -> Result<Vec<ComputingUnit>, Error> {
        let (terminating, others): (Vec<_>, Vec<_>) =
            self.choose(select).await?.into_iter().partition(|unit| unit.metadata.deletion_timestamp.is_some());
        for unit in terminating {
            self.fail([format!("computing unit {:?} is being deleted", unit.name_any())]);
        }
        Ok(others)
    }

    /// Changes a unit and writes its `progress`. Returns none if the change failed, which is reported.
    ///
    /// # Errors
    /// If the result cannot be written.
    pub async fn change(
        &mut self,
        unit: &ComputingUnit,
        change: Value,
        progress: &str,
    ) -> Result<Option<ComputingUnit>, Error> {
        let changed = self.patch(unit, change).await;
        if let Some(unit) = &changed {
            write_stdout(&format!("{} {progress}", print::name(unit)))?;
        }
        Ok(changed)
    }

    /// Changes a unit. Returns none if the change failed, which is reported.
    pub async fn patch(&mut self, unit: &ComputingUnit, change: Value) -> Option<ComputingUnit> {
        let name = unit.name_any();
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(change);
        match self.connection.request(&name, self.connection.units().patch(&name, &params, &patch)).await {
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
    pub async fn wait_for(
        &mut self,
        units: Vec<ComputingUnit>,
        goal: Goal,
        timeout: Duration,
    ) -> Result<Vec<ComputingUnit>, Error> {
        let deadline = Instant::now() + timeout;
        let mut screen = Screen::stderr(units.len() > 1);
        let mut reached = vec![];
        for unit in units {
            if self.interrupted {
                break;
            }
            let name = unit.name_any();
            let left = deadline.saturating_duration_since(Instant::now());
            let api = self.connection.units();
            let Waited { outcome, last } = wait::wait(api, unit, goal, left, ctrl_c(), &mut screen).await?;
            match outcome {
                Outcome::Reached => reached.push(last),
                Outcome::Interrupted => {
                    self.interrupted = true;
                    write_errors(Outcome::Interrupted.messages(goal, self.connection.target(&name), timeout));
                }
                outcome => self.fail(outcome.messages(goal, self.connection.target(&name), timeout)),
            }
        }
        Ok(reached)
    }

    /// Waits for units if there is a timeout, and writes the URL or the state of each.
    ///
    /// # Errors
    /// If the result cannot be written.
    pub async fn wait_and_print(
        &mut self,
        units: Vec<ComputingUnit>,
        goal: Goal,
        timeout: Option<Duration>,
    ) -> Result<(), Error> {
        let Some(timeout) = timeout else { return Ok(()) };
        for unit in self.wait_for(units, goal, timeout).await? {
            if goal == Goal::Ready {
                url(&unit)?;
            } else {
                write_stdout(&format!("{} {}", print::name(&unit), goal.state()))?;
            }
        }
        Ok(())
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
