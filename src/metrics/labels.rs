//! The labels of metrics and their values. No value contains a name that users choose.

use std::time::Duration;

/// Defines an enum of label values.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$member_doc])* $member,)+
        }

        impl $name {
            #[allow(dead_code, reason = "used for some of the enums")]
            pub const ALL: &[Self] = &[$(Self::$member),+];

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$member => $text,)+
                }
            }
        }
    };
}

labels! {
    /// The outcome of a reconcile.
    Outcome {
        Success = "success",
        /// Another client changed the object in the meantime.
        Conflict = "conflict",
        /// The API server denied access.
        Forbidden = "forbidden",
        /// The API server rejected the object.
        Invalid = "invalid",
        /// The API server limits the rate of requests.
        Throttled = "throttled",
        /// The API server is unreachable or failed.
        Unavailable = "unavailable",
        /// The reconcile exceeded its timeout.
        Timeout = "timeout",
        /// Each plan led to another one, up to the limit.
        NotConverged = "not_converged",
        Other = "other",
    }
}

impl Outcome {
    pub fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                401 | 403 => Self::Forbidden,
                409 => Self::Conflict,
                400 | 422 => Self::Invalid,
                429 => Self::Throttled,
                500.. => Self::Unavailable,
                _ => Self::Other,
            },
            kube::Error::HyperError(_) | kube::Error::Service(_) => Self::Unavailable,
            _ => Self::Other,
        }
    }
}

labels! {
    /// What every proxy has to confirm.
    ProbeGoal {
        /// The proxy has the guarded route and its backend. Probed with the guard header.
        Guarded = "guarded",
        /// The proxy has the open route. Probed like a user's request.
        Open = "open",
        /// The proxy has dropped the open route. Probed like a user's request.
        Withdrawn = "withdrawn",
    }
}

labels! {
    /// The result of one probe of one proxy.
    ProbeResult {
        /// The proxy has the route.
        Matched = "matched",
        /// The request took another route, or none.
        NotMatched = "not_matched",
        /// The response, or its absence, shows neither.
        Inconclusive = "inconclusive",
    }
}

labels! {
    /// The kind of a write.
    Verb {
        Create = "create",
        /// A create that stores nothing.
        DryRun = "dry_run",
        /// Server-side apply.
        Apply = "apply",
        /// Any other patch.
        Patch = "patch",
        Delete = "delete",
    }
}

labels! {
    /// The outcome of a request to the activator.
    ActivatorOutcome {
        /// No unit has the key, or the pool has no activator.
        Unknown = "unknown",
        /// A probe of the operator.
        Probe = "probe",
        /// The unit is suspended, and the request does not start it.
        Suspended = "suspended",
        /// The unit is being suspended.
        Suspending = "suspending",
        /// The unit is starting.
        Starting = "starting",
        /// The unit is reachable. Its route was opened after the request was sent.
        Ready = "ready",
        /// The unit has failed or is finished.
        Ended = "ended",
        /// Held until the unit was reachable, then redirected to it.
        Redirected = "redirected",
        /// Held for the pool's limit, and the unit was not reachable by then.
        Expired = "expired",
        /// Not held, because too many requests were held.
        Full = "full",
        /// The pool looks units up by host name, and the authorization did not respond with the unit's host name.
        Misdirected = "misdirected",
    }
}

labels! {
    /// Why a request for a suspended unit did not start it. Also in the response.
    NotStarted {
        /// The pool has `wake: Never`.
        Never = "never",
        /// The pool has `wake: Idle`, and the unit was not suspended for being idle.
        NotIdle = "not_idle",
        /// HEAD.
        Head = "head",
        /// OPTIONS, such as a CORS preflight.
        Options = "options",
        /// A browser fetches or renders the URL before anybody opens it.
        Prefetch = "prefetch",
        /// A page of another site refers to the URL, or sends a request to it.
        CrossSite = "cross_site",
        /// A WebSocket handshake, or a request of a page on its own, less than the quiet period after the suspension or
        /// the last such request.
        QuietPeriod = "quiet_period",
        /// The waiting page queries the progress.
        Page = "page",
    }
}

labels! {
    /// The outcome of an attempt to start a unit.
    WakeOutcome {
        Success = "success",
        /// Another client changed the unit in the meantime.
        Conflict = "conflict",
        Error = "error",
    }
}

labels! {
    /// A source of information on the activity of units.
    #[derive(PartialOrd, Ord)]
    Signal {
        /// The statistics of the gateway's proxies.
        Gateway = "gateway",
        /// The response of the engine.
        BusyProbe = "busy_probe",
        /// The annotation with the last activity.
        Annotation = "annotation",
    }
}

labels! {
    /// Why a signal could not be read.
    #[derive(PartialOrd, Ord)]
    UnreadableReason {
        /// No response in time.
        Timeout = "timeout",
        /// No connection, or it failed.
        Connection = "connection",
        /// A status other than 200.
        Status = "status",
        /// An invalid response or annotation.
        Invalid = "invalid",
        /// The response was too long.
        TooLong = "too_long",
        /// A proxy does not have the unit's route.
        UnknownRoute = "unknown_route",
        /// The Gateway has no proxies, or they are not known yet.
        NoProxies = "no_proxies",
        /// The operator does not know the statistics of this implementation of Gateway API.
        Unsupported = "unsupported",
    }
}

labels! {
    /// What a namespace is watched for.
    WatchedScope {
        /// Units, pools and children.
        Units = "units",
        /// Gateways and their proxies.
        Gateways = "gateways",
    }
}

labels! {
    /// A resource of the API server.
    Resource {
        ComputingUnits = "computingunits",
        ComputingUnitsStatus = "computingunits/status",
        ComputingUnitPools = "computingunitpools",
        ComputingUnitPoolsStatus = "computingunitpools/status",
        ConfigMaps = "configmaps",
        Pods = "pods",
        PodsResize = "pods/resize",
        PersistentVolumeClaims = "persistentvolumeclaims",
        Services = "services",
        HttpRoutes = "httproutes",
        EndpointSlices = "endpointslices",
        Gateways = "gateways",
        GatewayClasses = "gatewayclasses",
        Namespaces = "namespaces",
        Events = "events",
    }
}

/// Buckets for operations that take milliseconds, in seconds.
pub(super) const QUICK: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];
/// Buckets for operations that depend on other components, in seconds.
pub(super) const SLOW: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

pub(super) const fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
