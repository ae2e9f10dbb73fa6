//! Carries out steps, each by one request, and remembers the answers. The only place that writes units' finalizers and
//! children.
//!
//! It never decides what is to be done, but it stops where the cluster turns out to be other than it was seen: an
//! object of a child's name that somebody else owns is left alone.

mod express;
mod resize;
mod unit;

pub(crate) use express::replacement;

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::future::join_all;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    api::ComputingUnit,
    caches::written::Written,
    context::Context,
    error::{Error, Result, not_found},
    gateway::served,
    metrics::{Resource as Label, Verb},
    names::FIELD_MANAGER,
    observed::{Child, Observed, whose, whose_claim},
    obstacles::{Inputs, Kind, Obstacle},
    plan::Step,
    validate::{Rejection, reasons},
};

/// Carries out the steps of one plan at once; they do not depend on each other.
///
/// True where the pod was made, and not found.
///
/// # Errors
/// The first failure that is worth another try. What the API server refuses for good becomes an obstacle instead.
pub async fn apply(context: &Context, observed: &Observed, steps: Vec<Step>) -> Result<bool> {
    let target = Target::new(context, observed);
    join_all(steps.into_iter().map(|step| target.take(step))).await.into_iter().collect::<Result<()>>()?;
    Ok(target.pod_made.load(Ordering::Relaxed))
}

/// What every kind of child can be taken for.
trait Kept:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
}

impl<K> Kept for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
}

/// Whose an object of a child's name is; `None` where it is somebody else's.
type Whose<K> = fn(&ComputingUnit, Arc<K>) -> Option<Child<K>>;

struct Target<'a> {
    context: &'a Context,
    unit: &'a ComputingUnit,
    uid: String,
    namespace: String,
    name: String,
    inputs: Inputs,
    pod_made: AtomicBool,
}

impl<'a> Target<'a> {
    fn new(context: &'a Context, observed: &'a Observed) -> Self {
        let unit = &observed.unit;
        Self {
            context,
            unit,
            uid: unit.uid().unwrap_or_default(),
            namespace: unit.namespace().unwrap_or_default(),
            name: unit.name_any(),
            inputs: observed.inputs(),
            pod_made: AtomicBool::new(false),
        }
    }

    async fn take(&self, step: Step) -> Result<()> {
        let written = &self.context.written;
        match step {
            Step::AddFinalizer => self.finalizers(true).await,
            Step::DropFinalizer { .. } => self.finalizers(false).await,
            Step::CreateService(service) => self.create(Kind::Service, *service, &written.services, whose).await,
            Step::CreatePod(pod) => self.create(Kind::Pod, *pod, &written.pods, whose).await,
            Step::CreateRoute(route) => self.create(Kind::HTTPRoute, *route, &written.routes, whose).await,
            Step::RepairService(service) => {
                let spec = service.spec.as_ref();
                let fields = [("selector", json!(spec.map(|s| &s.selector))), ("ports", json!(spec.map(|s| &s.ports)))];
                self.repair(Kind::Service, service.as_ref(), &fields, &written.services).await
            }
            Step::CreateClaim(claim) => self.create(Kind::Claim, *claim, &written.claims, whose_claim).await,
            Step::RepairClaim(claim) => self.repair(Kind::Claim, claim.as_ref(), &[], &written.claims).await,
            Step::ResizePod { pod, container, resizes } => self.resize(&pod, &container, &resizes).await,
            Step::RepairPod(pod) => self.repair(Kind::Pod, pod.as_ref(), &[], &written.pods).await,
            Step::DeleteRoute { route, .. } => self.delete(Kind::HTTPRoute, *route, &written.routes).await,
            Step::DeleteUnit => self.expire().await,
            Step::DeletePod { pod, .. } => self.delete(Kind::Pod, *pod, &written.pods).await,
            Step::ReplaceRoute(route) => {
                self.repair(Kind::HTTPRoute, route.as_ref(), &[("", json!(route.spec))], &written.routes).await
            }
        }
    }

    /// Makes a child, or finds out whose the object of its name is.
    async fn create<K: Kept>(&self, kind: Kind, child: K, written: &Written<K>, whose: Whose<K>) -> Result<()> {
        let api: Api<K> = Api::namespaced(self.context.client.clone(), &self.namespace);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let answer = self.context.write(Verb::Create, Label::from(kind), api.create(&params, &child)).await;
        match answer {
            Ok(made) => {
                self.context.obstacles.overcome(&self.uid, kind);
                self.pod_made.fetch_or(kind == Kind::Pod, Ordering::Relaxed);
                written.put(Arc::new(made));
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let name = child.name_any();
                let found = api.get_opt(&name).await.map_err(|error| Error::write(kind.as_str(), error))?;
                // It may have gone between the two requests: the next try makes it.
                if let Some(found) = found {
                    self.find(kind, &name, whose(self.unit, Arc::new(found)), written);
                }
                Ok(())
            }
            Err(error) => self.refused(kind, error),
        }
    }

    fn find<K: Resource>(&self, kind: Kind, name: &str, found: Option<Child<K>>, written: &Written<K>) {
        match found {
            Some(Child::Owned(own)) => {
                self.context.obstacles.overcome(&self.uid, kind);
                written.put(own);
            }
            Some(Child::Leaving | Child::Absent) => self.met(
                kind,
                false,
                "Leaving",
                format!("the {} {name:?} of an earlier owner is being deleted: waiting for it to go", kind.as_str()),
            ),
            None => self.met(
                kind,
                true,
                reasons::CHILD_NOT_OWNED,
                format!(
                    "there is a {} {name:?} that this unit does not own; it is left alone: delete it, or give the unit \
                     another name",
                    kind.as_str(),
                ),
            ),
        }
    }

    /// Turns an answer that another try alone would not change into an obstacle.
    fn refused(&self, kind: Kind, error: kube::Error) -> Result<()> {
        let kube::Error::Api(status) = &error else { return Err(Error::write(kind.as_str(), error)) };
        if status.is_invalid() || status.code == 400 {
            self.met(
                kind,
                true,
                reasons::CHILD_REFUSED,
                format!("the API server refuses the {}: {}", kind.as_str(), status.message),
            );
        } else if status.is_forbidden() {
            self.met(kind, false, "Forbidden", format!("the {} may not be created: {}", kind.as_str(), status.message));
        } else if not_found(status) && kind == Kind::HTTPRoute {
            let served::NotServed { reason, message } = served::api_missing();
            self.met(kind, false, reason, message);
        } else if not_found(status) {
            // Its namespace is going.
        } else {
            return Err(Error::write(kind.as_str(), error));
        }
        Ok(())
    }

    fn met(&self, kind: Kind, refuses_unit: bool, reason: &'static str, message: String) {
        let obstacle = Obstacle { kind, rejection: Rejection::new(reason, message), refuses_unit };
        self.context.obstacles.met(&self.uid, self.inputs, obstacle);
    }

    /// Replaces fields of the spec, whoever wrote them, and puts labels and owner back. `""` is all of the spec.
    async fn repair<K: Kept>(
        &self,
        kind: Kind,
        child: &K,
        fields: &[(&str, Value)],
        written: &Written<K>,
    ) -> Result<()> {
        let api: Api<K> = Api::namespaced(self.context.client.clone(), &self.namespace);
        let patch = express::replacement(child.meta(), fields);
        let patch = Patch::Json::<()>(serde_json::from_value(patch).map_err(Error::Patch)?);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match self.context.write(Verb::Patch, Label::from(kind), api.patch(&child.name_any(), &params, &patch)).await {
            Ok(object) => {
                self.context.obstacles.overcome(&self.uid, kind);
                written.put(Arc::new(object));
                Ok(())
            }
            Err(kube::Error::Api(status)) if not_found(&status) => {
                written.gone(&self.namespace, &child.name_any());
                Ok(())
            }
            Err(error) => self.refused(kind, error),
        }
    }

    /// Deletes the very object that was seen.
    async fn delete<K: Kept>(&self, kind: Kind, child: K, written: &Written<K>) -> Result<()> {
        let api: Api<K> = Api::namespaced(self.context.client.clone(), &self.namespace);
        let preconditions = Preconditions { uid: child.uid(), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match self.context.write(Verb::Delete, Label::from(kind), api.delete(&child.name_any(), &params)).await {
            Ok(answer) => {
                written.put(Arc::new(answer.left().unwrap_or_else(|| express::leaving(child))));
                Ok(())
            }
            Err(kube::Error::Api(status)) if not_found(&status) => {
                written.put(Arc::new(express::leaving(child)));
                Ok(())
            }
            // There is another of that name by now.
            Err(kube::Error::Api(status)) if status.is_conflict() => Ok(()),
            Err(error) => Err(Error::write(kind.as_str(), error)),
        }
    }
}
