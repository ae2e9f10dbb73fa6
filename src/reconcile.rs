//! The sentence: observe, validate, say what is desired, plan, apply, and tell the status.
//!
//! A reconcile never waits for the cluster. What it waits for wakes the unit again, or a time that it names.

use std::{sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};
use tokio::time::{Instant, timeout};

use crate::{
    api::{ComputingUnit, OperatingMode},
    apply::apply,
    caches::written::BELIEVED,
    changes,
    context::Context,
    desired,
    error::{Error, Result},
    goal, life,
    metrics::Outcome,
    observed::{Observed, observe},
    plan::{self, Step, Wanted, plan},
    probe::{Goal, Progress},
    routing::claim::{Claim, Holder},
    status::{self, Facts, publish},
    turns::Turn,
    validate::validate,
};

/// How long one reconcile may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How often a plan may lead to another: finalizer, children, one for each that turns out to be there already, and what
/// became of a pod.
const MOST_PLANS: usize = 8;

/// Brings one unit as far as it can be brought now.
///
/// # Errors
/// If something failed that is worth another try.
pub async fn reconcile(unit: Arc<ComputingUnit>, context: Arc<Context>) -> Result<Action> {
    context.synced().await;
    let began = Instant::now();
    let done = timeout(LIMIT, pass(&unit, &context)).await.unwrap_or(Err(Error::Timeout(LIMIT)));
    context.metrics.reconciled(done.as_ref().err().map_or(Outcome::Success, Error::outcome), began.elapsed());
    if done.is_ok() {
        context.backoff.succeeded(&ObjectRef::from_obj(unit.as_ref()));
    }
    done
}

/// When to try again after a failure.
#[must_use]
pub fn retry(unit: Arc<ComputingUnit>, error: &Error, context: Arc<Context>) -> Action {
    let after = context.backoff.failed(ObjectRef::from_obj(unit.as_ref()));
    // Somebody else's change is on its way to the cache.
    Action::requeue(if error.outcome() == Outcome::Conflict { after / 4 } else { after })
}

async fn pass(unit: &ComputingUnit, context: &Context) -> Result<Action> {
    let gone = Ok(Action::await_change());
    let Some(mut seen) = look(unit, context) else { return gone };
    let (mut closing_told, mut pod_made) = (false, false);
    for _ in 0..MOST_PLANS {
        // That a pod is stopped on purpose is told before it is, and so is whatever has happened to it.
        let replacing = changes::replacing(&seen.observed, &seen.wanted);
        if !closing_told && (seen.observed.deleting() || seen.observed.resting() || replacing) {
            publish::publish(context, seen.facts()).await?;
            closing_told = true;
        }
        let steps = plan(&seen.observed, &seen.wanted, seen.reached());
        if steps.is_empty() && life::unwritten(&seen.observed) {
            publish::publish(context, seen.facts()).await?;
            match look(unit, context) {
                Some(now) => seen = now,
                None => return gone,
            }
            pod_made = false;
            continue;
        }
        if steps.is_empty() {
            break;
        }
        tracing::debug!(steps = ?steps.iter().map(Step::name).collect::<Vec<_>>(), "planned");
        let ends = steps.iter().any(|step| matches!(step, Step::DropFinalizer { .. }));
        let (expires, overdue) = (steps.contains(&Step::DeleteUnit), steps.iter().any(Step::overdue));
        pod_made |= apply(context, &seen.observed, steps).await?;
        if expires {
            publish::expired(context, unit).await;
        }
        if overdue {
            publish::overdue(context, unit).await;
        }
        if ends {
            return gone;
        }
        match look(unit, context) {
            Some(now) => seen = now,
            None => return gone,
        }
        seen.observed.pod_made = pod_made;
    }
    let unwritten = publish::publish(context, seen.facts()).await?;
    end_turn(&seen, context);
    Ok(next(&seen, unwritten, context.resync))
}

/// All that a plan and a status are made from.
struct Seen {
    observed: Observed,
    wanted: Wanted,
    probe: Option<(Goal, Progress)>,
}

impl Seen {
    fn facts(&self) -> Facts<'_> {
        let probe = self.probe.as_ref().map(|(goal, progress)| (*goal, progress));
        Facts { observed: &self.observed, wanted: &self.wanted, probe }
    }

    fn reached(&self) -> bool {
        matches!(self.probe, Some((_, Progress::Done { .. })))
    }
}

fn look(unit: &ComputingUnit, context: &Context) -> Option<Seen> {
    let uid = unit.uid().unwrap_or_default();
    let mut observed = observe(unit, &context.caches, &context.written, Timestamp::now())?;
    observed.obstacles = context.obstacles.of(&uid, observed.inputs());
    if observed.resting() {
        context.activity.forget(&uid);
    }
    observed.activity = context.activity.says(&uid);
    let valid = validate(&observed.unit, observed.pool.as_ref(), observed.overlapped.as_deref(), |pool| {
        holder(context, &observed.unit, &Claim::new(&observed.unit, pool))
    });
    let wanted = valid.map(|unit| desired::children(&unit));
    if changes::due(&observed, &wanted) {
        let own = changes::own_turn(&observed);
        observed.turn = if own { Turn::Now } else { ask(context, &observed.unit) };
    }
    let goal = goal::goal(&observed, &wanted).and_then(|goal| Some((goal, goal::target(&observed, goal)?)));
    let probe = goal.map(|(goal, target)| (goal, context.prober.want(target, goal)));
    if probe.is_none() {
        context.prober.forget(&uid);
    }
    Some(Seen { observed, wanted, probe })
}

fn holder(context: &Context, unit: &ComputingUnit, claim: &Claim) -> Holder {
    if let Some(displaced) = context.claims.enter(unit, claim) {
        context.waker.wake(displaced);
    }
    context.claims.holder(unit, claim)
}

/// Asks whether the unit's pod may be made anew, of as many units as its pool has running.
fn ask(context: &Context, unit: &ComputingUnit) -> Turn {
    let pool = (unit.namespace(), &unit.spec.pool_name);
    let runs = |other: &Arc<ComputingUnit>| other.spec.operating_mode == OperatingMode::Running;
    let of_pool = |other: &Arc<ComputingUnit>| (other.namespace(), &other.spec.pool_name) == pool;
    context.turns.ask(unit, context.caches.units().filter(runs).filter(of_pool).count())
}

/// Ends the turn of a unit that has started again with its next pod, or will not, and wakes those that come next.
fn end_turn(seen: &Seen, context: &Context) {
    let observed = &seen.observed;
    if !context.turns.concern(&observed.unit)
        || changes::due(observed, &seen.wanted)
        || (seen.wanted.is_ok() && changes::between_pods(observed))
        || status::starting(seen.facts())
    {
        return;
    }
    for next in context.turns.leave(&observed.unit.uid().unwrap_or_default()) {
        context.waker.wake(next);
    }
}

/// When to look again although nothing happens.
fn next(seen: &Seen, unwritten: Option<Duration>, resync: Duration) -> Action {
    let observed = &seen.observed;
    let until = |time: Timestamp| Duration::try_from(time.duration_since(observed.now)).ok();
    let ends = plan::deadline(observed).and_then(until);
    let drained = plan::drained(observed).and_then(until);
    let late = status::start_deadline(observed).and_then(until);
    let life = life::next(observed).and_then(until);
    let confirm = observed.unconfirmed.then_some(BELIEVED);
    let times = [unwritten, observed.obstacles.wait, ends, drained, late, life, confirm];
    let soonest = times.into_iter().flatten().min().unwrap_or(resync);
    Action::requeue(soonest.clamp(Duration::from_millis(10), resync))
}
