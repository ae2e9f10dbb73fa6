//! The closed sets that label values come from. Nothing that a user can name is ever a label.

use std::time::Duration;

/// A text for each member of a closed set.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$member_doc])* $member,)+
        }

        impl $name {
            /// All members.
            #[allow(dead_code, reason = "not every set is enumerated")]
            pub const ALL: &[Self] = &[$(Self::$member),+];

            /// The label's value.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$member => $text,)+
                }
            }
        }
    };
}

labels! {
    /// How a reconcile ended.
    Outcome {
        /// As intended; there may be something to wait for.
        Success = "success",
        /// Somebody else changed the object meanwhile.
        Conflict = "conflict",
        /// The API server does not let the operator do it.
        Forbidden = "forbidden",
        /// The API server refuses the object.
        Invalid = "invalid",
        /// The API server asks for fewer requests.
        Throttled = "throttled",
        /// The API server cannot be reached, or fails.
        Unavailable = "unavailable",
        /// It took longer than a reconcile may.
        Timeout = "timeout",
        /// Each plan led to another.
        NotConverged = "not_converged",
        /// Anything else.
        Other = "other",
    }
}

impl Outcome {
    /// What kind of failure an error of the client is.
    #[must_use]
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
    /// What every proxy has to show.
    ProbeGoal {
        /// It has the guarded route and can reach its backend. Probed with the guard header.
        Guarded = "guarded",
        /// Requests of users take the route. Probed as users send requests.
        Open = "open",
        /// No request of a user takes the route any more. Probed as users send requests.
        Withdrawn = "withdrawn",
    }
}

labels! {
    /// What a probe of a single proxy shows.
    ProbeResult {
        /// The answer shows the goal.
        Matched = "matched",
        /// The answer shows the opposite.
        NotMatched = "not_matched",
        /// The answer shows neither.
        Inconclusive = "inconclusive",
    }
}

labels! {
    /// What is done to an object.
    Verb {
        /// Made.
        Create = "create",
        /// Server-side apply.
        Apply = "apply",
        /// Any other patch.
        Patch = "patch",
        /// Deleted.
        Delete = "delete",
    }
}

labels! {
    /// What a request for a unit without a route met.
    ActivatorOutcome {
        /// No unit has the key, or the pool has no entry.
        Unknown = "unknown",
        /// It was the operator's own probe.
        Probe = "probe",
        /// The unit is suspended, and requests do not start it.
        Suspended = "suspended",
        /// The unit is on its way to be suspended.
        Suspending = "suspending",
        /// The unit is on its way to be reachable.
        Starting = "starting",
        /// The unit is reachable: the request came a moment too early.
        Ready = "ready",
        /// The unit did not start, or has run to its end.
        Ended = "ended",
        /// It was held until the unit was reachable, and sent there.
        Redirected = "redirected",
        /// It was held until its time was over.
        Expired = "expired",
        /// It was to be held and there was no room.
        Full = "full",
        /// The pool has its units looked up by host name, and the authorization did not answer with the unit's.
        Misdirected = "misdirected",
    }
}

labels! {
    /// How the write that starts a unit ended.
    WakeOutcome {
        /// It was carried out.
        Success = "success",
        /// Somebody else changed the unit meanwhile.
        Conflict = "conflict",
        /// It failed.
        Error = "error",
    }
}

labels! {
    /// What tells whether a unit is in use.
    #[derive(PartialOrd, Ord)]
    Signal {
        /// The counts of the gateway's proxies.
        Gateway = "gateway",
        /// The answer of the engine.
        BusyProbe = "busy_probe",
        /// The annotation.
        Annotation = "annotation",
    }
}

labels! {
    /// Why a signal could not be read.
    #[derive(PartialOrd, Ord)]
    Unread {
        /// There was no answer in time.
        Timeout = "timeout",
        /// There was no connection, or it broke off.
        Connection = "connection",
        /// The answer had another status than 200.
        Status = "status",
        /// It was not to be understood.
        Garbled = "garbled",
        /// It was too long.
        TooLong = "too_long",
        /// A proxy does not know the unit's route.
        Unknown = "unknown",
        /// It is not known which proxies there are, or there are none.
        NoProxies = "no_proxies",
    }
}

labels! {
    /// The resources that the operator watches or writes, as they are in a URL.
    Resource {
        /// The units.
        ComputingUnits = "computingunits",
        /// Their status.
        ComputingUnitsStatus = "computingunits/status",
        /// The pools.
        ComputingUnitPools = "computingunitpools",
        /// Their status.
        ComputingUnitPoolsStatus = "computingunitpools/status",
        /// The units' pods.
        Pods = "pods",
        /// Their CPU and memory while they run.
        PodsResize = "pods/resize",
        /// The units' volumes.
        PersistentVolumeClaims = "persistentvolumeclaims",
        /// The units' and the proxies' Services.
        Services = "services",
        /// The units' routes.
        HttpRoutes = "httproutes",
        /// The units' and the proxies' endpoints.
        EndpointSlices = "endpointslices",
        /// The pools' gateways.
        Gateways = "gateways",
        /// Their classes.
        GatewayClasses = "gatewayclasses",
        /// Reports to people.
        Events = "events",
    }
}

/// Upper bounds of the buckets for what should take milliseconds, in seconds.
pub(super) const QUICK: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];
/// Upper bounds of the buckets for what depends on others, in seconds.
pub(super) const SLOW: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// Seconds, as a histogram counts them.
pub(super) const fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
