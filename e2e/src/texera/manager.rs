//! A stand-in for the listing of Texera's workflow-computing-unit-managing-service: rows of its database, of which a
//! listing marks those as terminated whose unit is gone.

use std::collections::BTreeMap;

use kube::{ResourceExt, api::ListParams};

use crate::fixture::Fixture;

/// How the manager learns that a unit exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// By its pod: `isVanished` and `reconcileVanishedKubernetesUnits` in Texera's ComputingUnitHelpers.scala.
    Pods,
    /// By its ComputingUnit.
    Operator,
}

/// The rows of units that have been created.
#[derive(Debug)]
pub struct Manager {
    backend: Backend,
    /// Whether a unit is terminated, by its number.
    rows: BTreeMap<i64, bool>,
}

impl Manager {
    /// A database with these units.
    #[must_use]
    pub fn new(backend: Backend, cuids: &[i64]) -> Self {
        Self { backend, rows: cuids.iter().map(|cuid| (*cuid, false)).collect() }
    }

    /// Lists units, as the dashboard of any user does. Returns those that are not terminated. A row that has been marked as
    /// terminated stays so.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub async fn list(&mut self, fixture: &Fixture) -> anyhow::Result<Vec<i64>> {
        let all = ListParams::default();
        let existing: Vec<String> = match self.backend {
            Backend::Pods => fixture.pods().list(&all).await?.iter().map(ResourceExt::name_any).collect(),
            Backend::Operator => fixture.units().list(&all).await?.iter().map(ResourceExt::name_any).collect(),
        };
        for (cuid, terminated) in &mut self.rows {
            *terminated |= !existing.contains(&format!("computing-unit-{cuid}"));
        }
        Ok(self.rows.iter().filter(|(_, terminated)| !**terminated).map(|(cuid, _)| *cuid).collect())
    }
}
