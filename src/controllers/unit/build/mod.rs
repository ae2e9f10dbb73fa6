//! Builds the children that a unit should have.
//!
//! Pure, one file for each kind. When each of them may exist is decided by the plan.

pub mod drift;
pub mod filters;
pub mod guard;
pub mod pod;
pub mod pvc;
pub mod route;
pub mod sandbox;
pub mod service;

use computing_unit_api::gateway::HTTPRoute;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};

use crate::controllers::unit::validate::{Rejection, Unit};

/// The children of one unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Children {
    pub pvcs: Vec<PersistentVolumeClaim>,
    pub pod: Pod,
    pub service: Service,
    /// The open route. [`guard::guarded`] guards it.
    pub route: HTTPRoute,
}

/// The children that a unit should have, or why it should have none.
pub type Wanted = Result<Children, Rejection>;

/// Builds the children of a unit.
pub fn children(unit: &Unit) -> Children {
    Children { pvcs: pvc::pvcs(unit), pod: pod::pod(unit), service: service::service(unit), route: route::route(unit) }
}
