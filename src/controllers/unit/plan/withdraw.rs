//! Withdraws the route of a unit that is deleted, comes to rest, is rejected or gets another pod: the route is guarded at
//! every proxy first, and only then is the pod stopped.

use computing_unit_api::{gateway::HTTPRoute, names};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::Step;
use crate::controllers::unit::{
    assess::{Assessment, drift, state::UnitState, withdrawal::Withdrawal},
    blocked::Write,
    build::guard,
    snapshot::{Child, Snapshot},
    validate::Rejection,
};

/// The finalizer of `kubectl delete --cascade=orphan`: the garbage collector releases the children.
const ORPHAN: &str = "orphan";

/// A rejected unit keeps its children, but not a key that another unit has, nor an open route without a pod.
pub(super) fn after_rejection(snapshot: &Snapshot, rejection: &Rejection) -> Option<Step> {
    let open = open_route(snapshot)?;
    (rejection.lost_key() || !snapshot.serving()).then(|| close(snapshot, open)).flatten()
}

/// The finalizer of a deleted unit is removed as soon as its route is withdrawn. Nothing else is written first: what the API
/// server rejects must not keep the unit, and with it a namespace that is being deleted.
pub(super) fn completed_deletion(snapshot: &Snapshot, assessment: &Assessment) -> Option<Vec<Step>> {
    let deleted = assessment.state == UnitState::Terminating;
    let steps = deleted.then(|| for_deletion(snapshot, assessment))?;
    steps.iter().any(|step| matches!(step, Step::RemoveFinalizer { .. })).then_some(steps)
}

/// When the route is withdrawn, the children are deleted, and the finalizer is removed. In this order the garbage collector
/// rarely finds a child.
pub(super) fn for_deletion(snapshot: &Snapshot, assessment: &Assessment) -> Vec<Step> {
    if !snapshot.has_finalizer() {
        return vec![];
    }
    let last = withdraw(snapshot, assessment, |overdue| Some(Step::RemoveFinalizer { overdue }));
    let orphaned = snapshot.unit.finalizers().iter().any(|finalizer| finalizer == ORPHAN);
    let removed = matches!(last, Some(Step::RemoveFinalizer { .. })) && !orphaned && snapshot.has_children();
    removed.then_some(Step::DeleteChildren).into_iter().chain(last).collect()
}

/// The route is deleted when it is withdrawn, and then the pod.
pub(super) fn for_rest(snapshot: &Snapshot, assessment: &Assessment) -> Option<Step> {
    if !snapshot.has_finalizer() {
        return Some(Step::AddFinalizer);
    }
    match &snapshot.route {
        Child::Owned(current) => withdraw(snapshot, assessment, |overdue| {
            let route = Box::new(current.as_ref().clone());
            (!snapshot.blocked.blocks(Write::HTTPRoute)).then_some(Step::DeleteRoute { route, overdue })
        }),
        Child::Terminating => None,
        Child::Absent => delete_pod(snapshot, false),
    }
}

/// The pod is deleted when the route is withdrawn. The guarded route stays for the next pod.
pub(super) fn for_replacement(snapshot: &Snapshot, assessment: &Assessment) -> Option<Step> {
    // Even if nothing serves the route any more: the next pod must not be exposed before it is ready.
    if let Some(step) = open_route(snapshot).and_then(|open| close(snapshot, open)) {
        return Some(step);
    }
    withdraw(snapshot, assessment, |overdue| delete_pod(snapshot, overdue))
}

fn withdraw(snapshot: &Snapshot, assessment: &Assessment, then: impl FnOnce(bool) -> Option<Step>) -> Option<Step> {
    match assessment.withdrawal {
        Withdrawal::Complete => then(false),
        Withdrawal::Overdue => then(true),
        Withdrawal::NotStarted => open_route(snapshot).and_then(|open| close(snapshot, open)),
        Withdrawal::InProgress => None,
    }
}

fn open_route(snapshot: &Snapshot) -> Option<&HTTPRoute> {
    snapshot.route.owned().filter(|route| !guard::is_guarded(route))
}

/// `None` if the write is blocked, or admission has removed the guard before.
fn close(snapshot: &Snapshot, open: &HTTPRoute) -> Option<Step> {
    let mut closed = guard::closed(open.clone(), &snapshot.uid(), open);
    // Without its labels the watch would not report the deletion of the route.
    closed.metadata.labels.get_or_insert_default().extend(names::child_labels(&snapshot.unit, None));
    let refused =
        snapshot.blocked.blocks(Write::HTTPRoute) || drift::repeats(snapshot, Write::HTTPRoute, &closed, open);
    (!refused).then(|| Step::ReplaceRoute(Box::new(closed)))
}

fn delete_pod(snapshot: &Snapshot, overdue: bool) -> Option<Step> {
    let pod = snapshot.pod.owned().filter(|_| !snapshot.blocked.blocks(Write::Pod));
    pod.map(|pod: &Pod| Step::DeletePod { pod: Box::new(pod.clone()), overdue })
}
