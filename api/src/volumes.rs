//! PersistentVolumeClaims of units, which outlive their pods.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PersistentVolumeClaimSpec;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Template of a PersistentVolumeClaim that is created for each unit before its first pod. The name of the claim is
/// `<template>-<unit>`. Containers mount the volume by the name of the template.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeClaimTemplate {
    /// Name, labels and annotations of the claim.
    pub metadata: ClaimMetadata,
    /// Spec of the claim.
    pub spec: PersistentVolumeClaimSpec,
}

/// Name, labels and annotations of a PersistentVolumeClaim.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimMetadata {
    /// Name of the volume in `volumeMounts` of the pod template, and prefix of the name of the claim.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Labels of the claim.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the claim.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub annotations: BTreeMap<String, String>,
}

/// Whether PersistentVolumeClaims are deleted with their unit.
#[derive(KubeSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimRetentionPolicy {
    /// Whether the claims are deleted when the unit is deleted. They are kept when the unit is suspended.
    #[serde(default)]
    pub when_deleted: ClaimRetention,
}

/// Whether PersistentVolumeClaims are kept.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimRetention {
    /// The claims are deleted with the unit.
    #[default]
    Delete,
    /// The claims are kept. A unit of the same name uses them again.
    Retain,
}
