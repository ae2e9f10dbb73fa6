//! The rights that the operator needs. The chart grants exactly these: a test compares the two.
//!
//! Add a line here with each new kind of request to the API server.

/// Where a right is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// In every namespace of pools and units.
    Unit,
    /// In every namespace of Gateways and of their proxies.
    Gateway,
    /// On objects that have no namespace.
    Cluster,
    /// In the operator's own namespace.
    OwnNamespace,
}

/// The verbs that are used on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Resource, or `resource/subresource`.
    pub resource: &'static str,
    /// Verbs.
    pub verbs: &'static [&'static str],
    /// Where the right is needed.
    pub scope: Scope,
}

const TEXERA: &str = crate::GROUP;
const GATEWAY: &str = "gateway.networking.k8s.io";
const READ: &[&str] = &["list", "watch"];
const PATCH: &[&str] = &["patch"];
/// `get` tells whose an object is that was there already.
const OWN: &[&str] = &["get", "list", "watch", "create", "patch"];
/// A unit that is suspended keeps its Service; when it ends, its children go with their owner.
const OWN_AND_STOP: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// What the running operator needs.
pub const USED: &[Access] = &[
    // The finalizer is written by a patch of the metadata. Units are deleted that were finished for long enough.
    unit(TEXERA, "computingunits", &["list", "watch", "patch", "delete"]),
    unit(TEXERA, "computingunits/status", PATCH),
    // For `blockOwnerDeletion`, where the API server runs the admission plugin OwnerReferencesPermissionEnforcement.
    unit(TEXERA, "computingunits/finalizers", &["update"]),
    unit(TEXERA, "computingunitpools", READ),
    unit(TEXERA, "computingunitpools/status", PATCH),
    unit("", "pods", OWN_AND_STOP),
    // CPU and memory of a pod that runs.
    unit("", "pods/resize", PATCH),
    // Volumes go with their owner, or stay.
    unit("", "persistentvolumeclaims", OWN),
    unit("", "services", OWN),
    unit(GATEWAY, "httproutes", OWN_AND_STOP),
    // Whether a unit's pod has reached its Service.
    unit("discovery.k8s.io", "endpointslices", READ),
    unit("events.k8s.io", "events", &["create", "patch"]),
    // The listeners, and the proxies behind them.
    gateway(GATEWAY, "gateways"),
    gateway("discovery.k8s.io", "endpointslices"),
    // Which controller serves a Gateway.
    Access { group: GATEWAY, resource: "gatewayclasses", verbs: READ, scope: Scope::Cluster },
    Access {
        group: "coordination.k8s.io",
        resource: "leases",
        verbs: &["get", "create", "update"],
        scope: Scope::OwnNamespace,
    },
];

/// What [`crate::cli::remove_finalizers`] needs, which runs by an account of its own when the operator is uninstalled.
pub const UNINSTALL: &[Access] = &[unit(TEXERA, "computingunits", &["list", "patch"])];

const fn unit(group: &'static str, resource: &'static str, verbs: &'static [&'static str]) -> Access {
    Access { group, resource, verbs, scope: Scope::Unit }
}

const fn gateway(group: &'static str, resource: &'static str) -> Access {
    Access { group, resource, verbs: READ, scope: Scope::Gateway }
}
