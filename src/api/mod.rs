//! The two custom resources, `ComputingUnit` and `ComputingUnitPool`, as the API server stores them.
//!
//! Types, schemas and their rules only: what a field means for children is decided in [`crate::validate`]
//! and [`crate::desired`], never here.

mod duration;
mod pool;
mod quantity;
mod routing;
mod schema;
mod status;
mod unit;

pub use duration::{Duration, InvalidDuration};
pub use pool::{
    ComputingUnitPool, ComputingUnitPoolSpec, ComputingUnitPoolStatus, GatewayRef, OfferedImage, PhaseCounts,
    ProbeMethod, ProbeMode, ProbeSpec, References,
};
pub use quantity::Quantity;
pub use routing::{HostRouting, PathMatch, PathMatchType, PathRouting, QueryRouting, Routing, RoutingType, Timeouts};
pub use schema::crds;
pub use status::{ComputingUnitStatus, Phase, ProvenRoute, Stages};
pub use unit::{ComputingUnit, ComputingUnitSpec, OperatingMode, Resources};

/// API group of both resources.
pub const GROUP: &str = "texera.apache.org";
/// API version of both resources.
pub const VERSION: &str = "v1alpha1";
