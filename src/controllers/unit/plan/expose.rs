//! The route of a unit that runs: created guarded when the pod is ready, opened when every proxy has it, and repaired.

use kube::ResourceExt;

use super::Step;
use crate::controllers::unit::{
    assess::{Assessment, key_record::KeyRecord},
    blocked::Write,
    build::{Children, drift, route},
    snapshot::{Child, Snapshot},
};

pub(super) fn step(snapshot: &Snapshot, children: &Children, assessment: &Assessment) -> Option<Step> {
    let guarded = || route::guarded(children.route.clone(), &snapshot.unit.uid().unwrap_or_default());
    match &snapshot.route {
        _ if snapshot.blocked.blocks(Write::HTTPRoute) => None,
        Child::Absent => (snapshot.ready() && gateway_served(snapshot)).then(|| Step::CreateRoute(Box::new(guarded()))),
        Child::Terminating => None,
        Child::Owned(current) => {
            let open = !route::is_guarded(current);
            // An open route of another key is guarded before that key is released.
            let other_key = assessment.key == KeyRecord::Other;
            let desired = if (open && snapshot.serving() && !other_key) || (!open && assessment.may_open) {
                children.route.clone()
            } else {
                guarded()
            };
            (!drift::route_matches(current, &desired))
                .then(|| Step::ReplaceRoute(Box::new(drift::repaired(current.as_ref(), desired))))
        }
    }
}

fn gateway_served(snapshot: &Snapshot) -> bool {
    snapshot.gateway.as_ref().is_some_and(|binding| binding.controller.is_ok())
}
