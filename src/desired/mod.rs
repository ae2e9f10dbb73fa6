//! The children of a unit as they should be.
//!
//! Pure, one file per kind. When each of them may exist is decided in [`crate::plan`].

pub mod claim;
pub mod pod;
pub mod route;
pub mod service;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};

use crate::{gateway::HTTPRoute, validate::Unit};

/// The children of one unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Children {
    /// Its volumes, as they are claimed.
    pub claims: Vec<PersistentVolumeClaim>,
    /// The engine.
    pub pod: Pod,
    /// Its endpoint.
    pub service: Service,
    /// The way to it, open; [`route::guarded`] makes it guarded.
    pub route: HTTPRoute,
}

/// Builds the children of a unit.
#[must_use]
pub fn children(unit: &Unit) -> Children {
    Children {
        claims: claim::claims(unit),
        pod: pod::pod(unit),
        service: service::service(unit),
        route: route::route(unit),
    }
}
