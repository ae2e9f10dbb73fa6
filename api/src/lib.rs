//! The two custom resources, `ComputingUnit` and `ComputingUnitPool`, as the API server stores them.
//!
//! Types, schemas and their rules only: what a field means for children is decided in [`crate::controllers::unit::validate`]
//! and [`crate::controllers::unit::build`], never here.

mod activator;
mod activity;
mod condition;
mod duration;
#[cfg(feature = "gateway")]
pub mod gateway;
mod lifecycle;
pub mod names;
mod phase;
mod pool;
mod pool_status;
mod probe;
mod quantity;
pub mod rbac;
mod reason;
mod routing;
mod schema;
mod status;
mod unit;
mod volumes;

pub use activator::ActivatorSpec;
pub use activity::{ActivitySpec, BusyProbe, GatewayActivity, Signal};
pub use condition::{ConditionStatus, ConditionType, Conditions};
pub use duration::{Duration, InvalidDuration};
pub use lifecycle::{IdleAction, PoolLifecycle, RestartBackoff, UnitLifecycle, UpdateStrategy};
pub use phase::{Phase, PhaseCounts};
pub use pool::{ComputingUnitPool, ComputingUnitPoolSpec, GatewayRef, OfferedImage, References};
pub use pool_status::ComputingUnitPoolStatus;
pub use probe::{ProbeMethod, ProbeMode, ProbeSpec};
pub use quantity::Quantity;
pub use reason::{Reason, Severity};
pub use routing::{
    HostRouting, PathMatch, PathMatchType, PathRouting, QueryLookup, QueryRouting, Routing, RoutingType, Timeouts,
};
pub use schema::crds;
pub use status::{Activity, ComputingUnitStatus, Failure, Restarts, Stages, VerifiedRoute};
pub use unit::{ComputingUnit, ComputingUnitSpec, OperatingMode, Resources};
pub use volumes::{ClaimMetadata, ClaimRetention, ClaimRetentionPolicy, VolumeClaimTemplate};

/// API group of both resources.
pub const GROUP: &str = "texera.apache.org";
