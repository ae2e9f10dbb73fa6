//! The reasons of conditions and Events, and how severe each is.
//!
//! A condition may also carry a reason of another component: of the Gateway's controller on `RouteAccepted`, or of the
//! kubelet on `ResizePending`.

use crate::condition::names;

names! {
    /// Every reason that the operator itself gives.
    Reason {
        // Accepted, of units and pools.
        /// The spec is valid and the key is reserved; the pool's routing overlaps no other; the route is accepted.
        Accepted,
        /// The pool does not exist in the unit's namespace.
        PoolNotFound,
        /// The pool is not accepted.
        PoolNotAccepted,
        /// The pool's routing overlaps that of another pool on the same Gateway.
        Overlap,
        /// No listener of the Gateway allows routes of the namespace.
        NotAllowedByListeners,
        /// The pool does not offer the image.
        ImageNotOffered,
        /// The pool does not allow the Secret or ConfigMap.
        ReferenceNotAllowed,
        /// The pool does not allow the environment variable.
        EnvNotAllowed,
        /// The unit requests more than its pool or its own limits allow.
        LimitExceeded,
        /// The name of the unit cannot be part of a host name of its pool.
        NameNotAllowed,
        /// The schedule has an invalid cron expression, or a time zone that does not exist.
        InvalidSchedule,
        /// Another unit of the namespace has the routing key.
        KeyConflict,
        /// A unit in another namespace has the routing key.
        KeyConflictInOtherNamespace,
        /// An object with the name of a child belongs to somebody else.
        ChildNotOwned,
        /// The API server rejects a child as invalid.
        ChildRefused,
        /// A child of an earlier owner is being deleted.
        ChildTerminating,
        /// The API server does not allow a child to be created.
        Forbidden,
        /// The namespace is being deleted, so no child can be created.
        NamespaceTerminating,

        // PodReady.
        /// The pod is Ready.
        PodReady,
        /// There is no pod yet.
        PodNotCreated,
        /// The previous pod is terminating.
        PodTerminating,
        /// The pod is starting.
        PodStarting,
        /// Containers of the pod are not ready.
        ContainersNotReady,
        /// A scheduling gate holds the pod back.
        SchedulingGated,
        /// No node can take the pod.
        Unschedulable,
        /// A PersistentVolumeClaim of the unit is not bound.
        VolumePending,
        /// An image cannot be pulled.
        ImagePullFailed,
        /// A container fails again and again.
        CrashLoop,
        /// The kubelet cannot create a container.
        ContainerRefused,
        /// The node cannot mount a volume of the pod.
        VolumeMountFailed,
        /// A volume of the pod cannot be attached to the node.
        VolumeAttachFailed,
        /// The node cannot create the pod's sandbox: its network, its devices, or the container runtime.
        SandboxFailed,
        /// The node of the pod has stopped reporting.
        NodeNotReady,
        /// The pod was not Ready within the pool's `startTimeout`.
        StartTimeout,
        /// The pod failed.
        PodFailed,
        /// The pod succeeded.
        PodSucceeded,
        /// The pod was deleted, or its node was lost.
        PodLost,
        /// The cluster evicted the pod.
        PodEvicted,
        /// The next pod is created after a delay.
        Restarting,

        // RouteAccepted and Reachable.
        /// The Gateway does not exist.
        GatewayNotFound,
        /// The cluster does not serve the Gateway API.
        GatewayApiMissing,
        /// No controller serves the Gateway.
        NoController,
        /// The Gateway has no listener of that name.
        ListenerNotFound,
        /// The Gateway's controller has not processed the route yet.
        Pending,
        /// The previous route is being deleted.
        RouteTerminating,
        /// The route is created when the pod has an address.
        PodNotReady,
        /// Every proxy answers under the unit's route.
        Reachable,
        /// The unit has no route.
        NoRoute,
        /// The route is guarded until the unit can answer.
        RouteClosed,
        /// The route is being opened.
        RouteOpening,
        /// The proxies are being probed.
        Probing,
        /// A proxy has failed the probe for too long.
        ProbeFailed,
        /// The pool disables probes.
        Disabled,
        /// The route is being withdrawn.
        Closing,

        // Ready, Suspended, Replacing.
        /// The unit answers at its URL.
        Ready,
        /// The unit was Ready and is not any more.
        NotReady,
        /// The unit is being deleted.
        Terminating,
        /// The unit is being suspended.
        Suspending,
        /// The unit is suspended.
        Suspended,
        /// The unit was suspended because it was idle.
        Idle,
        /// The schedule of the unit has suspended it. As the reason of an Event: it has suspended or resumed it.
        Schedule,
        /// The route is withdrawn before the pod is stopped.
        RouteClosing,
        /// The route is gone and the pod is stopping.
        PodStopping,
        /// The pod is being replaced.
        Replacing,

        // Expiring.
        /// The unit has been suspended for long, and is deleted soon.
        SuspendedTooLong,

        // UpdatePending and ResizePending.
        /// The template changed after the pod was created.
        TemplateChanged,
        /// Other units of the pool are replaced first.
        Queued,
        /// The API server does not accept the pod that would replace the running one.
        ReplacementRefused,
        /// The cluster does not support or does not accept the resize.
        ResizeRefused,
        /// The resize has not been processed by the node yet.
        Proposed,
        /// The node is applying the resize.
        InProgress,
        /// The node cannot apply the resize now.
        Deferred,
        /// The node can never apply the resize.
        Infeasible,
        /// The kubelet failed to apply the resize.
        Error,

        // Overridden.
        /// A mutating webhook or admission policy changes what the operator writes.
        ChangedByAdmission,

        // Finished.
        /// `spec.lifecycle.shutdownTime` has passed.
        ShutdownTime,
        /// The unit is older than the pool's `spec.lifecycle.maxAge`.
        MaxAge,
        /// The unit is finished.
        Finished,

        // Conditions of pools.
        /// The Gateway exists.
        Found,
        /// The Gateway sends requests for units without a route to the activator.
        Served,
        /// The operator runs without an activator.
        NotConfigured,
        /// A route to the activator would hide units of another pool.
        WouldHideUnits,
        /// A pool in another namespace has the route to the activator for these addresses.
        RouteConflict,
        /// An HTTPRoute with the name of the pool's route exists and is not the pool's.
        NotOwned,
        /// The API server fails to write the route to the activator, a child of a unit, or its status.
        NotWritten,
        /// Every expression of a busy probe, or every image of the catalog, is valid.
        Valid,
        /// An expression of a busy probe is not valid CEL, or can never have a boolean or a timestamp as its value.
        InvalidExpression,
        /// The ConfigMap of the image catalog does not exist or lacks its label.
        CatalogNotFound,
        /// Images of the catalog are not valid.
        InvalidImage,

        // Events only.
        /// The unit failed.
        Failed,
        /// The unit is deleted after its TTL.
        Expired,
        /// The proxies did not withdraw the route in time.
        DrainTimedOut,
        /// The unit is stopped soon unless it is used.
        IdleSoon,
        /// A request started the unit.
        Woken,
        /// The operator cannot read the object.
        Unreadable,
    }
}
