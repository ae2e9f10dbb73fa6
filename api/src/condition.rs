//! Conditions of units and pools: their types, and how to read them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Declares an enum of names as they appear in objects, with `ALL`, `as_str`, `FromStr`, `Display` and comparison with
/// strings.
macro_rules! names {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant),+
        }

        impl $name {
            /// Every member.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name as it appears in objects.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant)),+
                }
            }

            /// The member of that name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|member| member.as_str() == name)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl PartialEq<$name> for str {
            fn eq(&self, other: &$name) -> bool {
                self == other.as_str()
            }
        }

        impl PartialEq<$name> for String {
            fn eq(&self, other: &$name) -> bool {
                self == other.as_str()
            }
        }

        impl PartialEq<$name> for &str {
            fn eq(&self, other: &$name) -> bool {
                *self == other.as_str()
            }
        }
    };
}
pub(crate) use names;

names! {
    /// The types of conditions. A unit has all but the last four, a pool `Accepted`, `Ready` and the last four.
    ConditionType {
        /// The spec is valid, the pool allows it, and the routing key is reserved for the unit.
        Accepted,
        /// The pod is Ready.
        PodReady,
        /// The Gateway's controller has accepted the route.
        RouteAccepted,
        /// Every proxy of the Gateway answers requests under the unit's route.
        Reachable,
        /// The unit answers at its URL. Absent while the unit is suspended or finished as its spec asks, so that clients
        /// which wait for `Ready` do not wait for such a unit. The pool is accepted, and its Gateway and its activator work.
        Ready,
        /// The unit is suspended and has no pod. Present only while `spec.operatingMode` is `Suspended`.
        Suspended,
        /// The unit has been suspended for long, and is deleted soon. Present only then.
        Expiring,
        /// A change takes effect at the next start.
        UpdatePending,
        /// The resources of the running pod are being changed.
        ResizePending,
        /// The pod is being replaced to apply a change.
        Replacing,
        /// Admission changes what the operator writes, so that children of the unit differ from the desired ones.
        Overridden,
        /// The unit does not run again unless it is edited or resumed.
        Finished,
        /// The unit has failed, and is not retried. Present only then. Clients such as Helm and Flux stop waiting.
        Stalled,
        /// The Gateway of the pool exists.
        GatewayFound,
        /// The Gateway sends requests for units without a route to the activator.
        Activator,
        /// The expressions of the busy probes are valid CEL.
        BusyProbesValid,
        /// The schedule has valid cron expressions and a time zone that exists.
        ScheduleValid,
        /// The image catalog exists, and every image in it is valid. A pool is Ready without it.
        ImageCatalogValid,
    }
}

names! {
    /// The status of a condition.
    ConditionStatus {
        /// The condition holds.
        True,
        /// The condition does not hold.
        False,
        /// The operator cannot determine the status.
        Unknown,
    }
}

/// A list of conditions.
pub trait Conditions {
    /// The condition of that type.
    fn find(&self, type_: ConditionType) -> Option<&Condition>;

    /// The condition of that type, if its status is True.
    fn holding(&self, type_: ConditionType) -> Option<&Condition> {
        self.find(type_).filter(|condition| condition.status == ConditionStatus::True)
    }

    /// The condition that sums a unit up: `Ready`, or the one that explains its absence.
    fn summary(&self) -> Option<&Condition> {
        let types = [ConditionType::Ready, ConditionType::Finished, ConditionType::Suspended];
        types.into_iter().find_map(|type_| self.find(type_))
    }
}

impl Conditions for [Condition] {
    fn find(&self, type_: ConditionType) -> Option<&Condition> {
        self.iter().find(|condition| condition.type_ == type_)
    }
}
