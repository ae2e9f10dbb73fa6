//! One command's dealings with the API server: which units it is about, what it asks of them, and what is still to be told
//! to the shell. What goes wrong with one unit is told, and the others go on.

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
    goal::Goal,
    options::ConnectionArgs,
    explain, print,
    screen::Screen,
    stdio::{ctrl_c, write_errors, write_stderr, write_stdout},
    wait::{self, Outcome, Waited},
};

/// The field manager of what a person changes with this program.
const FIELD_MANAGER: &str = "kubectl-cu";

/// A way to the units of one namespace, and how the command has gone so far.
pub struct Session {
    /// The way.
    pub connection: Connection,
    told: Vec<String>,
    interrupted: bool,
}

impl Session {
    /// Finds the way; nobody is asked yet.
    ///
    /// # Errors
    /// If there is none.
    pub async fn open(args: &ConnectionArgs) -> Result<Self, Error> {
        Ok(Self { connection: connect(args).await?, told: vec![], interrupted: false })
    }

    /// The units that a command is about. That one is missing is told, and the others are returned.
    ///
    /// # Errors
    /// If units with labels cannot be listed.
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

    /// The same, without those that are being deleted, of which nothing can be asked any more.
    ///
    /// # Errors
    /// If units with labels cannot be listed.
    pub async fn choose_not_terminating(&mut self, select: &Select) -> Result<Vec<ComputingUnit>, Error> {
        let (leaving, staying): (Vec<_>, Vec<_>) =
            self.choose(select).await?.into_iter().partition(|unit| unit.metadata.deletion_timestamp.is_some());
        for unit in leaving {
            self.fail([format!("the unit {} is being deleted", unit.name_any())]);
        }
        Ok(staying)
    }

    /// Changes a unit, and writes what is `doing` with it. Nothing where that was refused, which is told.
    ///
    /// # Errors
    /// If the result cannot be written.
    pub async fn change(
        &mut self,
        unit: &ComputingUnit,
        change: Value,
        doing: &str,
    ) -> Result<Option<ComputingUnit>, Error> {
        let changed = self.patch(unit, change).await;
        if let Some(unit) = &changed {
            write_stdout(&format!("{} {doing}", print::name(unit)))?;
        }
        Ok(changed)
    }

    /// Changes a unit. Nothing where that was refused, which is told.
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

    /// Waits for units, all together for so long, and returns those that are as they were wanted. Of the others it is told
    /// why they are not.
    ///
    /// # Errors
    /// Where nobody reads the progress any more.
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

    /// Waits for units where that is wanted, and writes what has become of each: where it answers, or that it is as it was
    /// wanted.
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

    /// Tells what went wrong, once where it is the same of several units.
    pub fn fail(&mut self, messages: impl IntoIterator<Item = String>) {
        for sentence in messages {
            if !self.told.contains(&sentence) {
                write_errors([&sentence]);
                self.told.push(sentence);
            }
        }
    }

    /// What the shell is told.
    pub fn code(&self) -> ExitCode {
        match (self.interrupted, self.told.is_empty()) {
            (true, _) => ExitCode::from(INTERRUPTED),
            (false, false) => ExitCode::FAILURE,
            (false, true) => ExitCode::SUCCESS,
        }
    }
}
