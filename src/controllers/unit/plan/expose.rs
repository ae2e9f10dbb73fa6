//! The route of a unit that runs: created guarded when the pod has an address, opened when the pod is ready and every proxy
//! has the route, and repaired.
//!
//! The proxies get the route and its cluster while the pod starts, so that only the opening is left when it is ready. A route
//! that is created before the pod has an address would have no cluster, and the proxies would need another update.

use super::Step;
use crate::controllers::unit::{
    assess::Assessment,
    blocked::Write,
    build::{Children, guard},
    snapshot::{Child, Snapshot},
};

pub(super) fn step(snapshot: &Snapshot, children: &Children, assessment: &Assessment) -> Option<Step> {
    let guarded = || guard::guarded(children.route.clone(), &snapshot.uid());
    match &snapshot.route {
        _ if snapshot.blocked.blocks(Write::HTTPRoute) => None,
        Child::Absent => {
            (snapshot.has_address() && gateway_served(snapshot)).then(|| Step::CreateRoute(Box::new(guarded())))
        }
        Child::Terminating => None,
        Child::Owned(_) => assessment.drifts.route.repair().map(|route| Step::ReplaceRoute(Box::new(route.clone()))),
    }
}

fn gateway_served(snapshot: &Snapshot) -> bool {
    snapshot.gateway.as_ref().is_some_and(|binding| binding.controller.is_ok())
}
