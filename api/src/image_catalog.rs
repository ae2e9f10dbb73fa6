//! A catalog of images: how a pool refers to it, and its entries.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A ConfigMap with images. Who may change the ConfigMap adds and removes images, and needs no permission on the pool.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageCatalogRef {
    /// Name of the ConfigMap, in the namespace of the pool. It needs the label `texera.apache.org/image-catalog: "true"`. Each
    /// key is the name of an image, and each value describes it in YAML or JSON.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub config_map_name: String,
}

/// An image of a catalog. A field that does not exist is an error: it could be a restriction with a typing error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CatalogImage {
    /// Image reference with digest (`repository@sha256:...`).
    pub image: String,
    /// Name for people. The operator does not use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Description for people. The operator does not use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Restrictions of containers with this image, in addition to those of the pool.
    #[serde(default)]
    pub security_context: ImageSecurityContext,
}

/// Restrictions of a container. The fields are those of a container's `securityContext` that can only restrict it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageSecurityContext {
    /// `true`: the container must not run as root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_non_root: Option<bool>,
    /// User ID. Not 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<i64>,
    /// Group ID. Not 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_group: Option<i64>,
    /// `false`: a process cannot gain more privileges than its parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_privilege_escalation: Option<bool>,
    /// `true`: the root file system is read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only_root_filesystem: Option<bool>,
    /// `drop: [ALL]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<DroppedCapabilities>,
    /// `type: RuntimeDefault`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp_profile: Option<ImageSeccompProfile>,
}

/// Capabilities that a container loses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DroppedCapabilities {
    /// Only `ALL`.
    pub drop: Vec<String>,
}

/// A seccomp profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSeccompProfile {
    /// Only `RuntimeDefault`.
    pub r#type: String,
}
