//! The Java client of `clients/java`, and the class for Texera's manager in `integrations/texera`, by their own tests.

use e2e::{cluster::packages, gateway, tool};
use serde_json::json;

use super::with_fixture;

#[tokio::test(flavor = "multi_thread")]
async fn the_java_client_manages_units() -> anyhow::Result<()> {
    tokio::task::spawn_blocking(packages::maven).await??;
    with_fixture("client", |fixture| async move {
        // An engine that ends is a unit that has ended: what a backend has to be told of.
        let pool = json!({
            "template": {"spec": {"restartPolicy": "Never"}},
            "imageCatalog": {"configMapName": "computing-unit-images"},
            "resources": {"max": {"nvidia.com/gpu": "1"}},
            "references": {"secrets": ["{unit}-credentials", "environment-of-{unit}"]},
        });
        fixture.create_pool_with(&pool).await?;
        let _operator = fixture.start().await?;
        let mut variables = vec![("UNITS_NAMESPACE", fixture.namespace.as_str())];
        if gateway::is_ours(&fixture.cluster).await? {
            // fabric8 does not see that this cluster's key is no RSA key.
            variables.push(("KUBERNETES_CERTS_CLIENT_KEY_ALGO", "EC"));
        }
        tool::maven(&fixture.cluster, "e2e/jvm", &variables).await
    })
    .await
}
