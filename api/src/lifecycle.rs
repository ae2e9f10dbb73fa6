//! Idle timeouts, time limits, schedules, update strategy and restart backoff, of units and of pools.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Duration, Schedule};

/// Idle timeout and time limits of a unit. The pool's `spec.lifecycle` has the defaults and maximums.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitLifecycle {
    /// Time after which `idleAction` is taken on the idle unit. It must not exceed that of the pool, which is the default.
    /// If the pool has no idle timeout, idle units are not stopped, and this field must be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('[1-9]')", "spec.lifecycle.idleTimeout must be greater than 0; omit it to use that of the pool"))]
    pub idle_timeout: Option<Duration>,

    /// Action taken on the idle unit. Defaults to that of the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_action: Option<IdleAction>,

    /// Time at which the unit is finished even if it is in use: its route is closed, then its pod is stopped. It is not
    /// started again unless this field is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self < timestamp('9999-01-01T00:00:00Z')", "spec.lifecycle.shutdownTime must be before the year 9999; omit it for no limit"))]
    pub shutdown_time: Option<Time>,

    /// Seconds after which the unit is deleted once it is finished or has failed. It must not exceed that of the pool, which
    /// is the default. If neither is set, the unit is not deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ttl_seconds_after_finished: Option<i32>,

    /// Seconds after which the unit is deleted once it is suspended. It must not exceed that of the pool, which is the
    /// default. If neither is set, the unit is not deleted. `status.expiresAt` has the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub ttl_seconds_after_suspended: Option<i32>,

    /// Times at which the unit is suspended and resumed. `suspend` is in addition to that of the pool, and `resume` replaces
    /// that of the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
}

/// Action taken on an idle unit. That of a unit takes precedence over the default of its pool.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IdleAction {
    /// `spec.operatingMode` is set to `Suspended`. The unit can be started again.
    #[default]
    Suspend,
    /// The unit is deleted.
    Delete,
}

/// When a change of the unit's spec or of the pool's template takes effect.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UpdateStrategy {
    /// At the next start. Running work is not interrupted.
    #[default]
    OnRestart,
    /// By recreating the pod: the route is closed, and the pod is replaced.
    Recreate,
}

impl UpdateStrategy {
    /// Whether this is the default.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn is_on_restart(&self) -> bool {
        *self == Self::OnRestart
    }
}

/// Defaults and maximums of the idle timeout and the time limits of a pool's units.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolLifecycle {
    /// Time after which `idleAction` is taken on an idle unit: the default, and the maximum that a unit can set. If absent,
    /// idle units are not stopped. `spec.activity` defines if a unit is idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('[1-9]')", "spec.lifecycle.idleTimeout must be greater than 0; omit it to keep idle units running"))]
    pub idle_timeout: Option<Duration>,

    /// Default action taken on an idle unit.
    #[serde(default)]
    pub idle_action: IdleAction,

    /// Age at which a unit is finished even if it is in use. If absent, there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = ("self.matches('[1-9]')", "spec.lifecycle.maxAge must be greater than 0; omit it for no limit"))]
    pub max_age: Option<Duration>,

    /// Seconds after which a unit is deleted once it is finished or has failed: the default, and the maximum that a unit can
    /// set. If absent, only units that set their own are deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ttl_seconds_after_finished: Option<i32>,

    /// Seconds after which a unit is deleted once it is suspended: the default, and the maximum that a unit can set. If
    /// absent, only units that set their own are deleted. A unit that is suspended already when this is set or lowered is
    /// deleted half of the new time later at the earliest, or 3 days later if that is sooner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub ttl_seconds_after_suspended: Option<i32>,

    /// Times at which the units are suspended and resumed. `suspend` applies to every unit. A unit that has its own schedule
    /// is resumed at the times of that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
}

/// Delay before a pod that was lost or has failed is recreated. It doubles with each restart.
#[derive(KubeSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("duration(self.initial) <= duration(self.max)", "spec.restartBackoff.initial must not exceed spec.restartBackoff.max"))]
pub struct RestartBackoff {
    /// First delay.
    #[serde(default = "ten_seconds")]
    pub initial: Duration,
    /// Maximum delay.
    #[serde(default = "five_minutes")]
    pub max: Duration,
    /// Time for which a pod must be Ready before the delay is reset to `initial`.
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
