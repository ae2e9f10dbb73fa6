//! What a pool allows its units to set: environment variables and resources.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Quantity;

/// Environment variables that units can set in `env` and `envFrom`.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvSpec {
    /// Which variables units can set. `Allowed`: all, except those that change which code a program loads, such as `LD_PRELOAD`,
    /// `PYTHONPATH` and `JAVA_TOOL_OPTIONS`. `Listed`: those in `names` only, and no `envFrom`. It must be `Listed` if the
    /// engine's container in the template has `envFrom`, because a variable of a unit would override one from there.
    #[serde(default)]
    pub policy: EnvPolicy,
    /// Names of variables that units can always set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub names: Vec<String>,
}

/// Which environment variables units can set.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EnvPolicy {
    /// All but those that change which code a program loads.
    #[default]
    Allowed,
    /// Those that the pool lists.
    Listed,
}

/// Resources that units can request.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourcesSpec {
    /// Maximum amounts that a unit can set in `spec.resources`, by resource name. Resources other than `cpu`, `memory` and
    /// `ephemeral-storage` can be requested only if they are listed here. Those three have no maximum unless they are listed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub max: BTreeMap<String, Quantity>,
}
