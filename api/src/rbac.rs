//! Permissions that the operator needs. A test verifies that the chart grants exactly these.
//!
//! Add a line for each new kind of request to the API server.

/// Where a permission is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// In every namespace with pools and units.
    Unit,
    /// In every namespace with Gateways or their proxies.
    Gateway,
    /// On cluster-scoped objects.
    Cluster,
    /// In the operator's own namespace.
    OwnNamespace,
}

/// Verbs on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Resource, or `resource/subresource`.
    pub resource: &'static str,
    /// Verbs.
    pub verbs: &'static [&'static str],
    /// Where the permission is needed.
    pub scope: Scope,
}

const TEXERA: &str = crate::GROUP;
const GATEWAY: &str = "gateway.networking.k8s.io";
const READ: &[&str] = &["list", "watch"];
const PATCH: &[&str] = &["patch"];
/// `get` determines the owner of an object that already exists. Children are deleted with their unit, the pod and the route
/// also when it is suspended.
const OWN: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// Permissions of the running operator.
pub const USED: &[Access] = &[
    // The finalizer is added and removed by a patch of the metadata. `delete` is for units whose TTL has passed.
    unit(TEXERA, "computingunits", &["list", "watch", "patch", "delete"]),
    unit(TEXERA, "computingunits/status", PATCH),
    // For `blockOwnerDeletion` if the admission plugin OwnerReferencesPermissionEnforcement is enabled.
    unit(TEXERA, "computingunits/finalizers", &["update"]),
    unit(TEXERA, "computingunitpools", READ),
    unit(TEXERA, "computingunitpools/status", PATCH),
    unit("", "pods", OWN),
    // In-place resize of CPU and memory.
    unit("", "pods/resize", PATCH),
    // Claims are garbage-collected with the unit, or kept. The operator deletes none, but a change of the retention policy
    // sets an owner reference, which OwnerReferencesPermissionEnforcement allows only with `delete`.
    unit("", "persistentvolumeclaims", OWN),
    unit("", "services", OWN),
    unit(GATEWAY, "httproutes", OWN),
    // Image catalogs, which are selected by a label.
    unit("", "configmaps", READ),
    // Whether the pod of a unit is an endpoint of its Service.
    unit("discovery.k8s.io", "endpointslices", READ),
    // `list` is for the Events of a pod whose containers are not created.
    unit("events.k8s.io", "events", &["list", "create", "patch"]),
    // Listeners and proxies.
    gateway(GATEWAY, "gateways"),
    gateway("discovery.k8s.io", "endpointslices"),
    // A Role in a namespace of units may be deleted with the namespace, before its units. The operator still has to find
    // them and to remove its finalizer.
    Access { group: TEXERA, resource: "computingunits", verbs: &["list", "watch", "patch"], scope: Scope::Cluster },
    // Controller of a Gateway.
    Access { group: GATEWAY, resource: "gatewayclasses", verbs: READ, scope: Scope::Cluster },
    // Labels, which listeners select namespaces by.
    Access { group: "", resource: "namespaces", verbs: READ, scope: Scope::Cluster },
    Access {
        group: "coordination.k8s.io",
        resource: "leases",
        verbs: &["get", "create", "update"],
        scope: Scope::OwnNamespace,
    },
];

/// Permissions of the subcommand `remove-finalizers`, which has its own service account and runs at uninstall.
pub const UNINSTALL: &[Access] =
    &[Access { group: TEXERA, resource: "computingunits", verbs: &["list", "patch"], scope: Scope::Cluster }];

const fn unit(group: &'static str, resource: &'static str, verbs: &'static [&'static str]) -> Access {
    Access { group, resource, verbs, scope: Scope::Unit }
}

const fn gateway(group: &'static str, resource: &'static str) -> Access {
    Access { group, resource, verbs: READ, scope: Scope::Gateway }
}
