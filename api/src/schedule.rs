//! Times at which units are suspended and resumed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Five fields, or a name such as `@daily`.
const CRON: &str =
    "^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|[A-Za-z0-9*,/?-]+( [A-Za-z0-9*,/?-]+){4})$";

/// Times at which a unit is suspended and resumed, whether it is in use or not. A unit that a person resumes between two
/// times runs until the next time of `suspend`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("(has(self.suspend) && size(self.suspend) > 0) || (has(self.resume) && size(self.resume) > 0)", "a schedule must have at least one time in suspend or resume"))]
pub struct Schedule {
    /// Time zone of the cron expressions, by its name in the IANA database, for example `Europe/Berlin`, or `Etc/UTC`.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_+/-]+$"))]
    pub time_zone: String,

    /// Times at which a running unit is suspended, as cron expressions with the five fields of a `CronJob`, for example
    /// `0 20 * * 1-5`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(
            length(min = 1, max = 128),
            regex(pattern = CRON)
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub suspend: Vec<String>,

    /// Times at which a unit is resumed that was suspended by its schedule. A unit that was suspended by a person or for
    /// being idle stays suspended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(
            length(min = 1, max = 128),
            regex(pattern = CRON)
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub resume: Vec<String>,

    /// Seconds for which a time is still applied that the operator has missed, for example because it did not run. Of
    /// several missed times the last one is applied.
    #[serde(default = "one_hour")]
    #[schemars(range(min = 10, max = 86_400))]
    pub starting_deadline_seconds: i32,
}

/// Next times of the schedule of a unit.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleStatus {
    /// Next time at which the unit is suspended. A time in the past was missed, and has not been applied yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_suspend: Option<Time>,

    /// Next time at which the unit is resumed if its schedule has suspended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_resume: Option<Time>,
}

const fn one_hour() -> i32 {
    3600
}
