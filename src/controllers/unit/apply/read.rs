//! Reads the children that the cache does not have. A watch may be behind, so absence in a cache proves nothing.

use std::sync::Arc;

use computing_unit_api::gateway::{HTTPRoute, types::HttpRouteSpec};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::ResourceExt;

use super::{Target, expendable};
use crate::{
    controllers::{ownership::owned_child, unit::snapshot::Child},
    k8s::{
        error::{Error, Result, not_found},
        overlay::Overlay,
        writer::Writable,
    },
};

impl Target<'_> {
    /// Reads the pod and the route if the snapshot has none. What exists gets into the overlay.
    pub(super) async fn read_absent(&self) -> Result<()> {
        let overlays = &self.context.overlays;
        if self.snapshot.pod.is_absent() {
            self.read(Pod::default(), &overlays.pods).await?;
        }
        if self.snapshot.route.is_absent() {
            self.read(HTTPRoute::new("", HttpRouteSpec::default().into()), &overlays.routes).await?;
        }
        Ok(())
    }

    async fn read<K: Writable>(&self, mut child: K, overlay: &Overlay<K>) -> Result<()> {
        let unit = &self.snapshot.unit;
        let (name, namespace) = (Some(unit.name_any()), unit.namespace());
        *child.meta_mut() = ObjectMeta { name, namespace, ..ObjectMeta::default() };
        match expendable::limited(self.snapshot.terminating(), self.context.writer.read(&child)).await {
            Ok(Some(found)) => {
                if let Some(Child::Owned(found)) = owned_child(unit, Arc::new(found)) {
                    overlay.put(found);
                }
            }
            Ok(None) => {}
            // The cluster does not serve the kind.
            Err(kube::Error::Api(status)) if not_found(&status) => {}
            // An error must not block the removal of the finalizer.
            Err(error) if self.snapshot.terminating() => {
                tracing::warn!(unit = self.name(), %error, "cannot read a child of a unit that is being deleted");
            }
            Err(error) => return Err(Error::Read { resource: K::kind(&()).into_owned(), source: Box::new(error) }),
        }
        Ok(())
    }
}
