//! The template of `integrations/texera` beside the dynamic route of Texera: bare pods are reached as before, units through their own
//! routes, and requests without a number in the query still take the dynamic route. And back.

use computing_unit_api::{ComputingUnitPool, Phase, gateway::HTTPRoute, names::PORT};
use e2e::{
    activator::policies,
    fixture::{Fixture, SOON},
    standin,
    texera::{self, AUTHORIZATION, Answer, curl, deploy, standins::UNITS_SERVICE},
    tool,
    traffic::Socket,
    units::{self, ENGINE},
    wait::{eventually, until},
};
use kube::{
    Api,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;

use super::with_fixture;

const HOST: &str = "texera.example.org";
const DYNAMIC: &str = "dynamic-routes";

/// Texera's route for all units, to the host name that the authorization returns. Its responses have the header `x-dynamic`.
async fn dynamic_route(fixture: &Fixture) -> anyhow::Result<()> {
    let params = PostParams::default();
    let kind = GroupVersionKind::gvk("gateway.envoyproxy.io", "v1alpha1", "Backend");
    let resource = ApiResource::from_gvk_with_plural(&kind, "backends");
    let backends: Api<DynamicObject> = Api::namespaced_with(fixture.cluster.client(), &fixture.namespace, &resource);
    let backend = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "Backend",
        "metadata": {"name": "texera-dynamic-backend"}, "spec": {"type": "DynamicResolver"},
    });
    backends.create(&params, &serde_json::from_value(backend)?).await?;
    let prefix = |path: &str| json!({"path": {"type": "PathPrefix", "value": path}});
    let route: HTTPRoute = serde_json::from_value(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": DYNAMIC},
        "spec": {
            "parentRefs": [{"name": fixture.cluster.gateway().name}],
            "hostnames": [HOST],
            "rules": [{
                "matches": [prefix("/wsapi"), prefix("/api/executions/result/export"), prefix("/api/pve")],
                "filters": [{
                    "type": "ResponseHeaderModifier",
                    "responseHeaderModifier": {"set": [{"name": "x-dynamic", "value": "yes"}]},
                }],
                "backendRefs": [{"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "texera-dynamic-backend"}],
            }],
        },
    }))?;
    fixture.routes().create(&params, &route).await?;
    let policy = serde_json::from_value(json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "SecurityPolicy",
        "metadata": {"name": DYNAMIC},
        "spec": {
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": DYNAMIC}],
            "extAuth": {"http": {
                "path": "/api/auth",
                "backendRefs": [{"name": AUTHORIZATION, "port": 9096}],
                "headersToBackend": ["x-user-id", "Host"],
            }},
        },
    }))?;
    policies(fixture).create(&params, &policy).await?;
    Ok(())
}

/// Installs the template as a release of its own, with Texera's values.
async fn install(fixture: &Fixture) -> anyhow::Result<()> {
    let chart = tool::file("integrations/texera/chart");
    let (registry, image) = ENGINE.rsplit_once('/').unwrap_or_default();
    let (name, tag) = image.split_once(':').unwrap_or_default();
    let values = [
        format!("texera.imageRegistry={registry},texera.imageTag={tag}"),
        format!("workflowComputingUnitPool.imageName={name},workflowComputingUnitPool.namespace={}", fixture.namespace),
        format!("accessControlService.name={}", AUTHORIZATION.trim_end_matches("-svc")),
        format!("gatewayConfig.hostname={HOST}"),
        format!("computingUnitOperator.enabled=true,computingUnitOperator.gateway={}", fixture.cluster.gateway().name),
        "computingUnitOperator.gpuPool=gpu,computingUnitOperator.resources.limits.memory=128Mi".to_owned(),
        "computingUnitOperator.resources.requests.cpu=5m,computingUnitOperator.resources.requests.memory=16Mi"
            .to_owned(),
    ];
    let file = format!("{chart}/texera-values.yaml");
    let mut args = vec!["install", "adoption", &chart, "--namespace", &fixture.namespace, "--values", &file];
    for value in &values {
        args.extend(["--set", value]);
    }
    tool::run(&fixture.cluster, "helm", &args).await.map(drop)
}

async fn ask(fixture: &Fixture, path: &str, args: &[&str]) -> anyhow::Result<Answer> {
    curl(texera::proxy(fixture, 80).await?, &format!("http://{HOST}{path}"), args).await
}

fn path(cuid: i64) -> String {
    format!("/wsapi/workflow-websocket?wid=1&cuid={cuid}&access-token=for-{cuid}")
}

/// A unit as Texera's manager creates it: a pod with a DNS name.
async fn bare_pod(fixture: &Fixture, cuid: i64) -> anyhow::Result<()> {
    let name = format!("computing-unit-{cuid}");
    let labels = json!({"type": "computing-unit", "cuid": cuid.to_string(), "name": name});
    standin::pod(fixture, &name, &labels, &json!({"hostname": name, "subdomain": UNITS_SERVICE})).await.map(drop)
}

/// Which routes answer for a unit: the dynamic one, and its own.
fn routes(answer: &Answer) -> (bool, bool) {
    (answer.headers.contains("x-dynamic: yes"), answer.headers.contains("x-computing-unit: "))
}

/// Waits until the unit answers through these routes.
async fn answered(fixture: &Fixture, cuid: i64, by: (bool, bool)) -> anyhow::Result<()> {
    let so = || async {
        let answer = ask(fixture, &path(cuid), &[]).await?;
        let engine = format!("computing-unit-{cuid}");
        Ok((answer.status == 200 && answer.engine() == Some(engine.as_str()) && routes(&answer) == by).then_some(()))
    };
    eventually(&format!("unit {cuid} through (dynamic, own) = {by:?}"), SOON, so).await
}

/// Asserts that requests without a token, and with that of another unit, are rejected, also with the host name of the unit.
async fn refused(fixture: &Fixture, cuid: i64, host: &str) -> anyhow::Result<()> {
    for args in [vec![], vec!["--header", host]] {
        for (token, status) in [("", 403), ("for-1", 403)] {
            let path = format!("/wsapi/workflow-websocket?cuid={cuid}&access-token={token}");
            assert_eq!(ask(fixture, &path, &args).await?.status, status, "{token:?} {args:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn units_of_the_operator_are_reached_beside_the_dynamic_route() -> anyhow::Result<()> {
    with_fixture("texera-adoption", |mut fixture| async move {
        // A Gateway whose listeners admit the namespace of units and have no host name.
        if !deploy(&mut fixture, &["units.pool.create=false", "authorization.enabled=false"]).await? {
            return Ok(());
        }
        standin::service(&fixture, UNITS_SERVICE, &json!({"type": "computing-unit"}), PORT).await?;
        dynamic_route(&fixture).await?;
        let cuid = |name: &str| fixture.unit(name).spec.cuid.unwrap_or_default();
        let (old, new) = (cuid("old"), cuid("new"));
        bare_pod(&fixture, old).await?;
        answered(&fixture, old, (true, false)).await?;

        let _operator = fixture.start().await?;
        install(&fixture).await?;
        answered(&fixture, old, (false, false)).await?;
        // Two pools of one Gateway, with the same paths.
        for pool in ["default", "gpu"] {
            let accepted = |pool: Option<&ComputingUnitPool>| {
                let conditions = pool.and_then(|pool| pool.status.as_ref()).map(|status| &status.conditions);
                conditions.into_iter().flatten().any(|each| each.type_ == "Accepted" && each.status == "True")
            };
            until("acceptance", SOON, fixture.pools(), pool, accepted).await?;
        }
        let name = format!("computing-unit-{new}");
        fixture.create(&units::unit(&fixture.namespace, &name, new)).await?;
        fixture.until(&name, Phase::Ready).await?;
        answered(&fixture, new, (false, true)).await?;
        let mut socket = Socket::open(texera::proxy(&fixture, 80).await?, HOST, &path(new)).await?;
        socket.echo("through its own route").await?;

        let host = format!("Host: {name}.{UNITS_SERVICE}.{}.svc.cluster.local:{PORT}", fixture.namespace);
        refused(&fixture, new, &host).await?;
        // The pool of this step has no path with the number, so the dynamic route answers.
        let deletion =
            ask(&fixture, &format!("/api/pve/pves/{new}?access-token=for-all"), &["--request", "DELETE"]).await?;
        assert_eq!((deletion.status, routes(&deletion)), (200, (true, false)), "{}", deletion.headers);

        // The way back: the unit is reached by its DNS name, like a bare pod.
        tool::run(&fixture.cluster, "helm", &["uninstall", "adoption", "--namespace", &fixture.namespace]).await?;
        answered(&fixture, new, (true, false)).await?;
        answered(&fixture, old, (true, false)).await?;
        refused(&fixture, new, &host).await?;
        fixture.delete(&name).await?;
        fixture.until_gone(&name).await
    })
    .await
}
