//! How long a unit may live, be idle, and be tried again: what a user asks for and what the deployer allows.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Duration;

/// What a unit asks for of its own end. The pool has the last word.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitLifecycle {
    /// How long the unit may be idle before `idleAction` is taken. At most the pool's, which is what holds where this is
    /// absent; a pool without one never stops idle units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('[1-9]')", "spec.lifecycle.idleTimeout must be more than 0: leave it out for the pool's"))]
    pub idle_timeout: Option<Duration>,

    /// What becomes of the unit when it is idle. Absent: as the pool says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_action: Option<IdleAction>,

    /// When the unit is finished, whatever it does: its route is closed, its pod is stopped, and it is not started again
    /// unless this is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shutdown_time: Option<Time>,

    /// How many seconds after it is finished the unit is deleted: by `shutdownTime`, by the pool's `maxAge`, by its own
    /// end or by its failure. Absent: as the pool says; where the pool says nothing either, it stays. At most the
    /// pool's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ttl_seconds_after_finished: Option<i32>,
}

/// What becomes of a unit that is idle.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IdleAction {
    /// Its `spec.operatingMode` becomes Suspended: it costs nothing and can be started again.
    #[default]
    Suspend,
    /// It is deleted.
    Delete,
}

/// When a change of the unit's or the pool's template takes effect.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UpdateStrategy {
    /// When the unit is next started: running work is not interrupted.
    #[default]
    OnRestart,
    /// By itself: the route is closed and the pod is made anew.
    Recreate,
}

impl UpdateStrategy {
    /// What a unit that does not say has.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
    pub(super) fn is_on_restart(&self) -> bool {
        *self == Self::OnRestart
    }
}

/// Defaults and ceilings of the lives of a pool's units.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolLifecycle {
    /// How long a unit may be idle before `idleAction` is taken: the most that a unit can ask for, and what holds for
    /// one that does not ask. Absent: units are never stopped for being idle. What idle means is said in
    /// `spec.activity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('[1-9]')", "spec.lifecycle.idleTimeout must be more than 0: leave it out to never stop idle units"))]
    pub idle_timeout: Option<Duration>,

    /// What becomes of an idle unit that does not say.
    #[serde(default)]
    pub idle_action: IdleAction,

    /// How long after its creation a unit is finished, whatever it does. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('[1-9]')", "spec.lifecycle.maxAge must be more than 0: leave it out for no limit"))]
    pub max_age: Option<Duration>,

    /// How many seconds after it is finished a unit is deleted: the most that a unit can ask for, and what holds for one
    /// that does not ask. Absent: only units that ask are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ttl_seconds_after_finished: Option<i32>,
}

/// The delay before a pod that was lost, or that ended by its own fault, is made anew: doubled each time.
#[derive(KubeSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("duration(self.initial) <= duration(self.max)", "spec.restartBackoff.initial is where the delay begins: make it at most spec.restartBackoff.max"))]
pub struct RestartBackoff {
    /// The first delay.
    #[serde(default = "ten_seconds")]
    pub initial: Duration,
    /// The longest delay.
    #[serde(default = "five_minutes")]
    pub max: Duration,
    /// How long a pod has to be Ready before the delay begins anew.
    #[serde(default = "ten_minutes")]
    pub reset: Duration,
}

impl Default for RestartBackoff {
    fn default() -> Self {
        Self { initial: ten_seconds(), max: five_minutes(), reset: ten_minutes() }
    }
}

const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

const fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

const fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}
