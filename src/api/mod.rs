//! The two custom resources, `ComputingUnit` and `ComputingUnitPool`, as the API server stores them.
//!
//! Types, schemas and their rules only: what a field means for children is decided in [`crate::validate`]
//! and [`crate::desired`], never here.

mod activity;
mod duration;
mod entry;
mod lifecycle;
mod pool;
mod pool_status;
mod probe;
mod quantity;
mod routing;
mod schema;
mod status;
mod unit;
mod volumes;

pub use activity::{ActivitySpec, BusyProbe, GatewayActivity, Signal};
pub use duration::{Duration, InvalidDuration};
pub use entry::EntrySpec;
pub use lifecycle::{IdleAction, PoolLifecycle, RestartBackoff, UnitLifecycle, UpdateStrategy};
pub use pool::{ComputingUnitPool, ComputingUnitPoolSpec, GatewayRef, OfferedImage, References};
pub use pool_status::{ComputingUnitPoolStatus, PhaseCounts};
pub use probe::{ProbeMethod, ProbeMode, ProbeSpec};
pub use quantity::Quantity;
pub use routing::{
    HostRouting, PathMatch, PathMatchType, PathRouting, QueryLookup, QueryRouting, Routing, RoutingType, Timeouts,
};
pub use schema::crds;
pub use status::{Activity, ComputingUnitStatus, Failure, Phase, ProvenRoute, Restarts, Stages};
pub use unit::{ComputingUnit, ComputingUnitSpec, OperatingMode, Resources};
pub use volumes::{ClaimMetadata, ClaimRetention, ClaimRetentionPolicy, VolumeClaimTemplate};

/// API group of both resources.
pub const GROUP: &str = "texera.apache.org";
