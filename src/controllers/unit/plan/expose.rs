//! The route of a unit that runs: created guarded when the pod is ready, opened when every proxy has it, and repaired.

use kube::ResourceExt;

use super::Step;
use crate::controllers::unit::{
    assess::Assessment,
    blocked::Write,
    build::{Children, route},
    snapshot::{Child, Snapshot},
};

pub(super) fn step(snapshot: &Snapshot, children: &Children, assessment: &Assessment) -> Option<Step> {
    let guarded = || route::guarded(children.route.clone(), &snapshot.unit.uid().unwrap_or_default());
    match &snapshot.route {
        _ if snapshot.blocked.blocks(Write::HTTPRoute) => None,
        Child::Absent => (snapshot.ready() && gateway_served(snapshot)).then(|| Step::CreateRoute(Box::new(guarded()))),
        Child::Terminating => None,
        Child::Owned(_) => assessment.drifts.route.repair().map(|route| Step::ReplaceRoute(Box::new(route.clone()))),
    }
}

fn gateway_served(snapshot: &Snapshot) -> bool {
    snapshot.gateway.as_ref().is_some_and(|binding| binding.controller.is_ok())
}
