//! A plain pod, Service and HTTPRoute, without the operator. Benchmarks compare the operator with them, and tests use
//! them to verify that traffic checks can fail.

use computing_unit_api::gateway::HTTPRoute;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use crate::{
    fixture::{Fixture, SOON},
    traffic::Target,
    units::ENGINE,
    wait::until,
};

/// A plain pod, Service and HTTPRoute with a common name.
pub struct Plain<'a> {
    fixture: &'a Fixture,
    name: String,
}

impl<'a> Plain<'a> {
    /// Does not create any object yet.
    #[must_use]
    pub fn new(fixture: &'a Fixture, name: &str) -> Self {
        Self { fixture, name: name.to_owned() }
    }

    fn path(&self) -> String {
        format!("/{}/{}", self.fixture.namespace, self.name)
    }

    /// A request for the pod.
    ///
    /// # Errors
    /// If its path is not a valid request target.
    pub fn target(&self) -> anyhow::Result<Target> {
        Target::new("localhost", &self.path())
    }

    /// Creates the pod and the Service.
    ///
    /// # Errors
    /// If the API server rejects one.
    pub async fn make_pod(&self) -> anyhow::Result<()> {
        let labels = json!({"plain": self.name});
        let pod = json!({
            "metadata": {"name": self.name, "labels": labels},
            "spec": {
                "terminationGracePeriodSeconds": 5,
                "containers": [{
                    "name": "engine", "image": ENGINE,
                    "env": [{"name": "COMPUTING_UNIT_NAME", "value": self.name}],
                    "readinessProbe": {"httpGet": {"path": "/api/healthcheck", "port": 8085}, "periodSeconds": 1, "timeoutSeconds": 5},
                    "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
                }],
            },
        });
        let service = json!({
            "metadata": {"name": self.name},
            "spec": {"clusterIP": "None", "selector": labels, "ports": [{"port": 8085}]},
        });
        let params = PostParams::default();
        self.fixture.services().create(&params, &serde_json::from_value::<Service>(service)?).await?;
        self.fixture.pods().create(&params, &serde_json::from_value::<Pod>(pod)?).await?;
        Ok(())
    }

    /// Creates the route.
    ///
    /// # Errors
    /// If the API server rejects it.
    pub async fn make_route(&self) -> anyhow::Result<()> {
        let gateway = self.fixture.cluster.gateway();
        let route = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": self.name},
            "spec": {
                "parentRefs": [{"name": gateway.name, "namespace": gateway.namespace}],
                "rules": [{
                    "matches": [{"path": {"type": "PathPrefix", "value": self.path()}}],
                    "backendRefs": [{"name": self.name, "port": 8085}],
                }],
            },
        });
        self.fixture.routes().create(&PostParams::default(), &serde_json::from_value::<HTTPRoute>(route)?).await?;
        Ok(())
    }

    /// Waits until the pod is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn until_ready(&self) -> anyhow::Result<()> {
        until("readiness", SOON, self.fixture.pods(), &self.name, |pod| pod.is_some_and(is_ready)).await.map(drop)
    }

    /// Deletes all three, the route first, and waits until the pod is gone.
    ///
    /// # Errors
    /// If it is not deleted in time.
    pub async fn delete(&self) -> anyhow::Result<()> {
        let params = DeleteParams::default();
        self.fixture.routes().delete(&self.name, &params).await?;
        self.fixture.services().delete(&self.name, &params).await?;
        self.fixture.pods().delete(&self.name, &params).await?;
        until("deletion", SOON, self.fixture.pods(), &self.name, |pod| pod.is_none()).await.map(drop)
    }
}

/// Whether a pod is Ready.
#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
