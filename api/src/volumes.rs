//! Volumes that belong to a unit and outlive its pods.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PersistentVolumeClaimSpec;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A volume that each unit has of its own: a PersistentVolumeClaim named `<template>-<unit>`, made before the unit's first
/// pod. Containers mount it by the template's name.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeClaimTemplate {
    /// Its name, labels and annotations.
    pub metadata: ClaimMetadata,
    /// The claim, as it is made.
    pub spec: PersistentVolumeClaimSpec,
}

/// Name, labels and annotations of a claim.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimMetadata {
    /// What containers mount the volume by.
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

/// What becomes of a unit's claims.
#[derive(KubeSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimRetentionPolicy {
    /// When the unit is deleted. They always survive its suspension.
    #[serde(default)]
    pub when_deleted: ClaimRetention,
}

/// Whether claims go with their unit.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimRetention {
    /// They are deleted with it.
    #[default]
    Delete,
    /// They stay; a unit of the same name finds them again.
    Retain,
}
