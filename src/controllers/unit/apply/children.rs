//! Creates, repairs and deletes children.

use std::sync::Arc;

use computing_unit_api::{ComputingUnit, Reason};
use kube::{Resource, ResourceExt, runtime::reflector::ObjectRef};

use super::{Target, expendable::limited};
use crate::{
    controllers::unit::{
        admissions::content,
        blocked::{BlockedWrite, Fault, Write},
        snapshot::Child,
    },
    gateway::served,
    k8s::{
        error::{Error, Result, brief, contended, namespace_terminating, not_found, words},
        overlay::Overlay,
        patch::{self, Fields},
        writer::{Precondition, Writable},
    },
    metrics::Resource as Label,
};

/// After so many failures in a row, which are some seconds, a failure counts as lasting.
const LASTING: u32 = 4;

/// Whether an object with the name of a child belongs to a unit. `None` if it belongs to somebody else.
type Ownership<K> = fn(&ComputingUnit, Arc<K>) -> Option<Child<K>>;

impl Target<'_> {
    /// Creates a child, or finds out who owns the object of its name. Returns whether it was created.
    pub(super) async fn create<K: Writable>(
        &self,
        write: Write,
        child: K,
        overlay: &Overlay<K>,
        ownership: Ownership<K>,
    ) -> Result<bool> {
        match self.context.writer.create(Label::from(write), &child).await {
            Ok(created) => {
                self.succeeded(write, overlay, &child, created);
                return Ok(true);
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let existing = self.context.writer.read(&child).await;
                // It may have been deleted between the two requests. Then the next round creates it.
                if let Some(existing) = existing.map_err(|error| Error::write(write.as_str(), error))? {
                    let existing = ownership(&self.snapshot.unit, Arc::new(existing));
                    self.exists(write, &child.name_any(), existing, overlay);
                }
            }
            Err(error) => self.failed(write, error)?,
        }
        Ok(false)
    }

    fn succeeded<K: Writable>(&self, write: Write, overlay: &Overlay<K>, sent: &K, object: K) {
        self.context.blocked.clear(&self.uid, write);
        // Which of several claims a record is about would be unknown.
        if write != Write::PersistentVolumeClaim {
            let (sent, stored) = (content(write, sent), content(write, &object));
            self.context.admissions.record(&self.uid, write, &sent, &stored);
        }
        overlay.put(Arc::new(object));
    }

    fn exists<K: Resource>(&self, write: Write, name: &str, existing: Option<Child<K>>, overlay: &Overlay<K>) {
        let kind = write.as_str();
        match existing {
            Some(Child::Owned(own)) => {
                self.context.blocked.clear(&self.uid, write);
                overlay.put(own);
            }
            Some(Child::Terminating | Child::Absent) => self.blocked(
                write,
                None,
                Reason::ChildTerminating,
                format!("waiting for the {kind} {name:?} of a previous owner to be deleted"),
                Fault::Cluster,
            ),
            None => self.blocked(
                write,
                None,
                Reason::ChildNotOwned,
                match write {
                    Write::PersistentVolumeClaim => format!(
                        "{kind} {name:?} exists and belongs to another object, or to a unit with another spec.owner: \
                         delete it, or give the unit another name"
                    ),
                    _ => format!(
                        "{kind} {name:?} exists and is not controlled by this unit: delete it, or give the unit \
                         another name"
                    ),
                },
                Fault::Unit,
            ),
        }
    }

    /// Records a failure with the API server's words, so that the other steps and the status go on without this write.
    ///
    /// # Errors
    /// If a retry alone may help.
    fn failed(&self, write: Write, error: kube::Error) -> Result<()> {
        let kind = write.as_str();
        let kube::Error::Api(status) = &error else { return Err(self.unwritten(write, None, error)) };
        let message = &status.message;
        if contended(status) {
            return Err(self.unwritten(write, None, error));
        }
        if status.is_invalid() || status.code == 400 {
            let message = format!("the API server rejected the {kind}: {message}");
            self.blocked(write, None, Reason::ChildRefused, message, Fault::Unit);
        } else if namespace_terminating(status) {
            let message = format!("the namespace is being deleted: no {kind} can be created in it");
            self.blocked(write, None, Reason::NamespaceTerminating, message, Fault::Cluster);
        } else if status.is_forbidden() {
            let message = format!("the API server does not allow the operator to write the {kind}: {message}");
            self.blocked(write, None, Reason::Forbidden, message, Fault::Cluster);
        } else if not_found(status) && write == Write::HTTPRoute {
            let missing = served::api_missing();
            self.blocked(write, None, missing.reason, missing.message, Fault::Cluster);
        } else {
            return Err(self.unwritten(write, None, error));
        }
        Ok(())
    }

    /// Records a failure that a retry may clear. A conflict, a busy API server or a lost connection clears within a moment,
    /// so it is recorded only if it lasts.
    pub(super) fn unwritten(&self, write: Write, attempt: Option<String>, error: kube::Error) -> Error {
        let failures = self.context.backoff.failures(&ObjectRef::from_obj(self.snapshot.unit.as_ref()));
        if !brief(&error) || failures >= LASTING {
            return self.not_written(write, attempt, error);
        }
        Error::write(write.as_str(), error)
    }

    /// Records a failure at once.
    pub(super) fn not_written(&self, write: Write, attempt: Option<String>, error: kube::Error) -> Error {
        let message = format!("cannot write the {}: {}", write.as_str(), words(&error));
        self.blocked(write, attempt, Reason::NotWritten, message, Fault::Cluster);
        Error::write(write.as_str(), error)
    }

    pub(super) fn blocked(&self, write: Write, attempt: Option<String>, reason: Reason, message: String, fault: Fault) {
        let blocked = BlockedWrite { write, reason, message, fault, attempt };
        self.context.blocked.record(&self.uid, self.inputs.clone(), blocked);
    }

    /// Replaces fields of the spec, regardless of their field manager, and restores labels and owner.
    pub(super) async fn repair<K: Writable>(
        &self,
        write: Write,
        current: Option<&K>,
        child: &K,
        fields: Fields<'_>,
        overlay: &Overlay<K>,
    ) -> Result<()> {
        match self.context.writer.replace(Label::from(write), current.unwrap_or(child), child, fields).await {
            Ok(object) => {
                self.succeeded(write, overlay, child, object);
                Ok(())
            }
            Err(kube::Error::Api(status)) if not_found(&status) => {
                overlay.gone(child);
                Ok(())
            }
            Err(error) => self.failed(write, error),
        }
    }

    /// Deletes the object that has the UID of `child`.
    pub(super) async fn delete<K: Writable>(&self, write: Write, child: K, overlay: &Overlay<K>) -> Result<()> {
        match self.context.writer.delete(Label::from(write), &child, Precondition::Uid).await {
            Ok(object) => overlay.deleting(&child, Arc::new(object)),
            Err(kube::Error::Api(status)) if not_found(&status) => {
                overlay.deleting(&child, Arc::new(patch::terminating(child.clone())));
            }
            // Another object has the name by now.
            Err(kube::Error::Api(status)) if status.is_conflict() => overlay.gone(&child),
            Err(error) => return Err(self.unwritten(write, None, error)),
        }
        self.context.blocked.clear(&self.uid, write);
        Ok(())
    }

    /// Deletes route, pod and Service of a deleted unit. What fails is left to the garbage collector: it must not keep the
    /// unit, and with it a namespace that is being deleted.
    pub(super) async fn delete_children(&self) {
        let overlays = &self.context.overlays;
        let (route, pod, service) = (&self.snapshot.route, &self.snapshot.pod, &self.snapshot.service);
        tokio::join!(
            biased;
            self.delete_expendable(route.owned(), Label::HttpRoutes, &overlays.routes),
            self.delete_expendable(pod.owned(), Label::Pods, &overlays.pods),
            self.delete_expendable(service.owned(), Label::Services, &overlays.services),
        );
    }

    async fn delete_expendable<K: Writable>(&self, child: Option<&K>, label: Label, overlay: &Overlay<K>) {
        let Some(child) = child else { return };
        match limited(true, self.context.writer.delete(label, child, Precondition::Uid)).await {
            Ok(object) => overlay.deleting(child, Arc::new(object)),
            Err(error) => {
                let unit = self.snapshot.unit.name_any();
                tracing::debug!(unit, %error, "a child of a deleted unit is left to the garbage collector");
            }
        }
    }
}
