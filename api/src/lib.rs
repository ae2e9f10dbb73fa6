//! The custom resources `ComputingUnit` and `ComputingUnitPool`, their conditions and reasons, and the names of their
//! children.
//!
//! This crate has types, schemas and validation rules only. The operator decides what a field means for the children.

mod activator;
mod activity;
mod condition;
mod duration;
#[cfg(feature = "gateway")]
pub mod gateway;
mod image_catalog;
mod lifecycle;
pub mod names;
mod phase;
mod pool;
mod pool_status;
mod ports;
mod probe;
mod quantity;
pub mod rbac;
mod reason;
mod routing;
mod schedule;
mod schema;
mod severity;
mod status;
mod unit;
mod unit_limits;
mod volumes;

pub use activator::{ActivatorSpec, WakePolicy, WakeRefusal};
pub use activity::{ActivitySpec, BusyProbe, GatewayActivity, Signal};
pub use condition::{ConditionStatus, ConditionType, Conditions};
pub use duration::{Duration, InvalidDuration};
pub use image_catalog::{
    CatalogImage, DroppedCapabilities, ImageCatalogRef, ImageSeccompProfile, ImageSecurityContext,
};
pub use lifecycle::{IdleAction, PoolLifecycle, RestartBackoff, UnitLifecycle, UpdateStrategy};
pub use phase::{Phase, PhaseCounts};
pub use pool::{ComputingUnitPool, ComputingUnitPoolSpec, GatewayRef, OfferedImage, References};
pub use pool_status::ComputingUnitPoolStatus;
pub use ports::{BackendProtocol, ExposedPort, PortStatus};
pub use probe::{ProbeMethod, ProbeMode, ProbeSpec};
pub use quantity::Quantity;
pub use reason::Reason;
pub use routing::{
    HostRouting, Isolation, PathMatch, PathMatchType, PathRouting, QueryLookup, QueryRouting, Routing, RoutingType,
    Timeouts,
};
pub use schedule::{Schedule, ScheduleStatus};
pub use schema::crds;
pub use severity::Severity;
pub use status::{
    Activity, ComputingUnitStatus, Failure, Restarts, Stages, VerifiedGateway, VerifiedProbe, VerifiedRoute,
};
pub use unit::{ComputingUnit, ComputingUnitSpec, OperatingMode, Resources};
pub use unit_limits::{EnvPolicy, EnvSpec, ResourcesSpec};
pub use volumes::{ClaimMetadata, ClaimRetention, ClaimRetentionPolicy, VolumeClaimTemplate};

/// API group of both resources.
pub const GROUP: &str = "texera.apache.org";
