//! The status of a `ComputingUnitPool`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::PhaseCounts;

/// What the operator saw last of a pool.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComputingUnitPoolStatus {
    /// The `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many units are made from the pool. Brought up to date at most every 10 s.
    #[serde(default)]
    pub units: PhaseCounts,
    /// The addresses of the pool's Gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Accepted: the routing does not overlap that of an older pool of the same gateway. GatewayFound: the Gateway
    /// exists. Entry, where the pool asks for one: the gateway sends requests for units without a route to the operator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
