//! The number of calls of each kind, as a snapshot that can be compared with a later one.

use std::collections::BTreeMap;
use std::fmt;

use super::call::{Call, Class};

/// The number of calls, by call without query. Calls that never reached the API server are not counted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counts(BTreeMap<Call, u64>);

impl Counts {
    /// Counts one call.
    pub(super) fn add(&mut self, call: &Call) {
        *self.0.entry(call.without_query()).or_default() += 1;
    }

    /// The calls since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let more = |(call, count): (&Call, &u64)| {
            let more = count.saturating_sub(earlier.0.get(call).copied().unwrap_or_default());
            (more > 0).then(|| (call.clone(), more))
        };
        Self(self.0.iter().filter_map(more).collect())
    }

    /// The calls that satisfy `wanted`.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&Call) -> bool) -> Self {
        Self(self.0.iter().filter(|(call, _)| wanted(call)).map(|(call, count)| (call.clone(), *count)).collect())
    }

    /// The number of calls.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// The number of calls of a class.
    #[must_use]
    pub fn of(&self, class: Class) -> u64 {
        self.0.iter().filter(|(call, _)| call.class() == class).map(|(_, count)| count).sum()
    }

    /// The number of writes other than of Leases and Events.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.of(Class::Write)
    }

    /// The calls and their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&Call, u64)> {
        self.0.iter().map(|(call, count)| (call, *count))
    }
}

/// One line for each class, followed by its calls. For Leases and Events, the number alone.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes = [
            (Class::Write, "writes"),
            (Class::Lease, "writes of Leases"),
            (Class::Event, "writes of Events"),
            (Class::Read, "reads"),
            (Class::Watch, "watches"),
        ];
        for (number, (class, name)) in classes.into_iter().enumerate() {
            let line = if number == 0 { "" } else { "\n" };
            write!(f, "{line}{}: {name}", self.of(class))?;
            if !matches!(class, Class::Lease | Class::Event) {
                let calls = self.iter().filter(|(call, _)| call.class() == class);
                calls.into_iter().try_for_each(|(call, count)| write!(f, "\n  {count}: {call}"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn counts(calls: &[(Method, &str)]) -> Counts {
        let mut counts = Counts::default();
        for (method, uri) in calls {
            counts.add(&Call::new(method, &uri.parse().unwrap()));
        }
        counts
    }

    #[test]
    fn a_difference_has_what_came_later() {
        let (pod, lease) = ("/api/v1/namespaces/a/pods/b", "/apis/coordination.k8s.io/v1/namespaces/a/leases/b");
        let earlier = counts(&[(Method::GET, pod), (Method::PATCH, pod)]);
        let later = counts(&[
            (Method::GET, pod),
            (Method::PATCH, pod),
            (Method::PATCH, "/api/v1/namespaces/a/pods/b?force=true"),
            (Method::PUT, lease),
        ]);
        let difference = later.since(&earlier);
        assert_eq!(difference, counts(&[(Method::PATCH, pod), (Method::PUT, lease)]));
        assert_eq!((difference.writes(), difference.of(Class::Lease), difference.of(Class::Read)), (1, 1, 0));
        assert_eq!(later.since(&later), Counts::default());
        assert_eq!(later.only(|call| call.resource == "pods").total(), 3);
        assert_eq!(
            difference.to_string(),
            "1: writes\n  1: patch pods -n a b\n1: writes of Leases\n0: writes of Events\n0: reads\n0: watches"
        );
    }
}
