//! Creates, repairs and deletes children.

use std::sync::Arc;

use computing_unit_api::{ComputingUnit, Reason};
use kube::{Resource, ResourceExt};

use super::Target;
use crate::{
    controllers::unit::{
        blocked::{BlockedWrite, Fault, Write},
        snapshot::Child,
    },
    gateway::served,
    k8s::{
        error::{Error, Result, contended, namespace_terminating, not_found},
        overlay::Overlay,
        patch::{self, Fields},
        writer::{Precondition, Writable},
    },
    metrics::Resource as Label,
};

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
                self.succeeded(write, overlay, created);
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

    fn succeeded<K: Resource>(&self, write: Write, overlay: &Overlay<K>, object: K) {
        self.context.blocked.clear(&self.uid, write);
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
                Reason::ChildTerminating,
                format!("waiting for the {kind} {name:?} of a previous owner to be deleted"),
                Fault::Cluster,
            ),
            None => self.blocked(
                write,
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
        let kube::Error::Api(status) = &error else { return Err(Error::write(kind, error)) };
        let message = &status.message;
        if contended(status) {
            return Err(Error::write(kind, error));
        }
        if status.is_invalid() || status.code == 400 {
            let message = format!("the API server rejected the {kind}: {message}");
            self.blocked(write, Reason::ChildRefused, message, Fault::Unit);
        } else if namespace_terminating(status) {
            let message = format!("the namespace is being deleted: no {kind} can be created in it");
            self.blocked(write, Reason::NamespaceTerminating, message, Fault::Cluster);
        } else if status.is_forbidden() {
            let message = format!("the API server does not allow the operator to write the {kind}: {message}");
            self.blocked(write, Reason::Forbidden, message, Fault::Cluster);
        } else if not_found(status) && write == Write::HTTPRoute {
            let missing = served::api_missing();
            self.blocked(write, missing.reason, missing.message, Fault::Cluster);
        } else {
            self.not_written(write, message);
            return Err(Error::write(kind, error));
        }
        Ok(())
    }

    /// Records a failure that may be brief.
    pub(super) fn not_written(&self, write: Write, message: &str) {
        let message = format!("cannot write the {}: {message}", write.as_str());
        self.blocked(write, Reason::NotWritten, message, Fault::Cluster);
    }

    pub(super) fn blocked(&self, write: Write, reason: Reason, message: String, fault: Fault) {
        self.context.blocked.record(&self.uid, self.inputs, BlockedWrite { write, reason, message, fault });
    }

    /// Replaces fields of the spec, regardless of their field manager, and restores labels and owner.
    pub(super) async fn repair<K: Writable>(
        &self,
        write: Write,
        child: &K,
        fields: Fields<'_>,
        overlay: &Overlay<K>,
    ) -> Result<()> {
        match self.context.writer.replace(Label::from(write), child, fields).await {
            Ok(object) => {
                self.succeeded(write, overlay, object);
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
            Ok(object) => overlay.put(Arc::new(object)),
            Err(kube::Error::Api(status)) if not_found(&status) => overlay.put(Arc::new(patch::terminating(child))),
            // Another object has the name by now.
            Err(kube::Error::Api(status)) if status.is_conflict() => overlay.gone(&child),
            Err(error) => return Err(Error::write(write.as_str(), error)),
        }
        Ok(())
    }
}
