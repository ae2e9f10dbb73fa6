//! The status of a `ComputingUnitPool`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::PhaseCounts;

/// Most recently observed status of the pool.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComputingUnitPoolStatus {
    /// `metadata.generation` that the operator observed most recently.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Number of units that refer to the pool: `total`, and by phase. Updated at most every 10 s.
    #[serde(default)]
    pub units: PhaseCounts,
    /// Addresses of the Gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Conditions of the pool. `Accepted`: a listener of the Gateway allows routes of the namespace, and the routing
    /// does not overlap that of another pool. `GatewayFound`: the Gateway exists. `Activator`, present if `spec.activator`
    /// is set: the Gateway sends requests for units without a route to the activator. `BusyProbesValid`, present if
    /// `spec.activity.busyProbes` have expressions: they are valid. `ScheduleValid`, present if `spec.lifecycle.schedule` is set:
    /// it is valid. `Ready`: all of these are True. `ImageCatalogValid`, present if `spec.imageCatalog` is set: the catalog exists,
    /// and every image in it is valid. The pool is Ready without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
