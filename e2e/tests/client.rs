//! Units from the JVM, as Texera's backend uses them: the client of `e2e/texera-client` with its tests.

#![allow(clippy::unwrap_used, missing_docs)]

use e2e::{cluster::packages, gateway, stage::play, tool};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_uses_units_from_the_jvm() -> anyhow::Result<()> {
    tokio::task::spawn_blocking(packages::maven).await??;
    play("client", |stage| async move {
        // An engine that ends is a unit that has ended: what a backend has to be told of.
        stage.make_pool_with(&json!({"template": {"spec": {"restartPolicy": "Never"}}})).await?;
        let _operator = stage.start().await?;
        let mut variables = vec![("UNITS_NAMESPACE", stage.namespace.as_str())];
        if gateway::is_ours(&stage.cluster).await? {
            // fabric8 does not see that this cluster's key is no RSA key.
            variables.push(("KUBERNETES_CERTS_CLIENT_KEY_ALGO", "EC"));
        }
        tool::maven(&stage.cluster, "e2e/texera-client", &variables).await
    })
    .await
}
