//! `ComputingUnit.status`: what the operator reports back.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::Phase;

/// What the operator saw and did last.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComputingUnitStatus {
    /// The `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Where the unit is in its life, in one word. The conditions say why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,

    /// Where the unit answers once it is Ready. Can be opened as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,

    /// What requests carry to reach this unit: its cuid or its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,

    /// The unit's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,

    /// The node that the pod runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,

    /// The image that the pod runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,

    /// When the present start began: when its pod was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,

    /// When each stage of the present start was passed.
    #[serde(default, skip_serializing_if = "Stages::is_empty")]
    pub stages: Stages,

    /// The state of the HTTPRoute through which every proxy was last seen to answer for this unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_route: Option<VerifiedRoute>,

    /// When the unit was last in use, and when it will be stopped for being idle. Only where the pool stops idle units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,

    /// How the unit's pod was lost, ended or could not be started the last time. It stays when the unit runs again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,

    /// How often pods were made anew since the unit last ran well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<Restarts>,

    /// Accepted, PodReady, RouteAccepted, Reachable, Ready; `Suspended`, present only while `operatingMode` is
    /// `Suspended`; UpdatePending where a change waits for the next start, ResizePending where CPU and memory are being
    /// changed, Replacing where the pod is being made anew for a change, Finished where the unit will not run again unless
    /// it is edited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// When each stage of a start was passed.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stages {
    /// The spec was found valid and the pool allowed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Time>,
    /// The pod was given a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Time>,
    /// The pod became Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_ready: Option<Time>,
    /// The gateway accepted the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_accepted: Option<Time>,
    /// Every proxy answered for the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reachable: Option<Time>,
}

impl Stages {
    /// Whether no stage was passed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One state of one HTTPRoute.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedRoute {
    /// `metadata.uid` of the route.
    pub uid: String,
    /// `metadata.generation` of the route.
    pub generation: i64,
}

/// When a unit was in use.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// When it was last in use, as far as is known. Brought up to date in steps of a tenth of the idle timeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
    /// What told so: Start, Request, Traffic, BusyProbe or Annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When the unit is stopped for being idle, unless it is used before. Absent where a signal cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_at: Option<Time>,
    /// Which signal cannot be read and why. The unit is not stopped as long as that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a pod was lost, ended or could not be started.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// One word.
    pub reason: String,
    /// A sentence, with the last lines that the container wrote where Kubernetes has them.
    pub message: String,
    /// The container that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Its exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// Pods that were made anew.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restarts {
    /// How many, since the unit last ran well for as long as the pool's `restartBackoff.reset`.
    pub count: i32,
    /// When the next one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Time>,
}
