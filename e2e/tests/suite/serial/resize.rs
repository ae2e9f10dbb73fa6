//! A pod is resized to more than its node can give. The request counts for the scheduler, so pods of other tests would not
//! be scheduled meanwhile.

use computing_unit_api::{ComputingUnit, Phase};
use e2e::{
    fixture::SOON,
    units::{self, Mode, condition},
    wait::until,
};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use serde_json::{Value, json};

use super::with_fixture;

#[tokio::test(flavor = "multi_thread")]
async fn a_resize_beyond_the_node_is_reported_in_the_words_of_the_kubelet() -> anyhow::Result<()> {
    with_fixture("infeasible", |fixture| async move {
        let _operator = fixture.start().await?;
        let asks = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
        fixture.create_default_pool(Mode::Query).await?;
        fixture.create(&units::with(&fixture.unit("ada"), &json!({"spec": asks("5m")}))).await?;
        fixture.until("ada", Phase::Ready).await?;
        let before = fixture.pods().get("ada").await?;
        fixture.edit("ada", asks("1000")).await?;
        let words = fixture.until_condition("ada", "ResizePending", "True", "Infeasible").await?;
        assert!(words.contains("enough") && words.contains("cpu, requested: 1000000"), "{words}");
        // As much as the node has in all, some of which other pods request.
        let nodes = Api::<Node>::all(fixture.cluster.client());
        let node = nodes.get(before.spec.as_ref().unwrap().node_name.as_ref().unwrap()).await?;
        let all = node.status.unwrap().allocatable.unwrap()["cpu"].0.clone();
        fixture.edit("ada", asks(&all)).await?;
        let words = fixture.until_condition("ada", "ResizePending", "True", "Deferred").await?;
        assert!(words.contains("Node didn't have enough resource: cpu"), "{words}");
        fixture.edit("ada", asks("6m")).await?;
        let settled = |unit: Option<&ComputingUnit>| condition(unit, "ResizePending", "True").is_none();
        until("end of ResizePending", SOON, fixture.units(), "ada", settled).await?;
        let after = fixture.pods().get("ada").await?;
        let engine = &after.status.unwrap().container_statuses.unwrap()[0];
        assert_eq!((after.metadata.uid, engine.restart_count), (before.metadata.uid, 0));
        let given: Value = json!(engine.resources);
        assert_eq!(given["requests"]["cpu"], "6m");
        fixture.delete("ada").await
    })
    .await
}
