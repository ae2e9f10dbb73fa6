//! A backend that may change the image catalog of a pool, and nothing else, adds and removes images.

use anyhow::{Context, ensure};
use computing_unit_api::{ConditionType, Conditions, Phase};
use e2e::{
    fixture::{Fixture, SOON},
    images, tool,
    units::{ENGINE, Mode, with},
    wait::{eventually, until},
};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Namespace},
    events::v1::Event,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::with_fixture;

/// The ConfigMap.
const CATALOG: &str = "images";
/// The service accounts: of the backend, and of a user who may write ConfigMaps.
const BACKEND: &str = "backend";
const EDITOR: &str = "editor";

/// A client with the permissions of a service account.
fn client(fixture: &Fixture, account: &str) -> anyhow::Result<Client> {
    let mut config = fixture.cluster.config();
    config.auth_info.impersonate = Some(format!("system:serviceaccount:{}:{account}", fixture.namespace));
    Ok(Client::try_from(config)?)
}

fn maps(client: Client, fixture: &Fixture) -> Api<ConfigMap> {
    Api::namespaced(client, &fixture.namespace)
}

/// Applies an object that is deleted with the namespace of the test.
async fn apply(fixture: &Fixture, mut object: Value) -> anyhow::Result<()> {
    let client = fixture.cluster.client();
    let owner =
        Api::<Namespace>::all(client.clone()).get(&fixture.namespace).await?.owner_ref(&()).context("no UID")?;
    object["metadata"]["ownerReferences"] = json!([owner]);
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (group, version) = text("/apiVersion").split_once('/').context("a group")?;
    let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("/kind")));
    resource.plural = resource.plural.replace("policys", "policies");
    let api: Api<DynamicObject> = match text("/metadata/namespace") {
        "" => Api::all_with(client, &resource),
        namespace => Api::namespaced_with(client, namespace, &resource),
    };
    api.patch(text("/metadata/name"), &PatchParams::apply("e2e").force(), &Patch::Apply(&object)).await?;
    Ok(())
}

async fn grant(fixture: &Fixture, account: &str, rules: Value) -> anyhow::Result<()> {
    let (group, namespace) = ("rbac.authorization.k8s.io", &fixture.namespace);
    let metadata = json!({"name": account, "namespace": namespace});
    let api_version = format!("{group}/v1");
    apply(fixture, json!({"apiVersion": api_version, "kind": "Role", "metadata": metadata, "rules": rules})).await?;
    let subjects = json!([{"kind": "ServiceAccount", "name": account, "namespace": namespace}]);
    let role = json!({"apiGroup": group, "kind": "Role", "name": account});
    let binding = json!({
        "apiVersion": api_version, "kind": "RoleBinding", "metadata": metadata, "roleRef": role, "subjects": subjects,
    });
    apply(fixture, binding).await
}

/// The policy of the operator's chart, and the permissions of a backend and of an editor.
async fn permissions(fixture: &Fixture) -> anyhow::Result<()> {
    let line = format!(
        "helm template computing-unit-operator {} --namespace {} --show-only templates/image-catalogs.yaml \
         --set image.repository=registry.invalid/x --set operator.watchNamespaces={{{}}}",
        tool::file("charts/computing-unit-operator"),
        fixture.namespace,
        fixture.namespace
    );
    let text = tool::line(&fixture.cluster, &line).await?;
    for document in text.split("\n---").map(serde_saphyr::from_str::<Value>) {
        let document = document?;
        if !document.is_null() {
            apply(fixture, document).await?;
        }
    }
    let backend = json!([
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [CATALOG], "verbs": ["get", "patch", "update"]},
        {"apiGroups": ["texera.apache.org"], "resources": ["imagecatalogs"], "resourceNames": [CATALOG], "verbs": ["update"]},
    ]);
    grant(fixture, BACKEND, backend).await?;
    grant(fixture, EDITOR, json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}])).await
}

async fn register(maps: &Api<ConfigMap>, data: &Value) -> kube::Result<()> {
    maps.patch(CATALOG, &PatchParams::default(), &Patch::Merge(json!({"data": data}))).await.map(drop)
}

/// The message of a request that the API server forbids.
fn forbidden<T: std::fmt::Debug>(result: kube::Result<T>) -> anyhow::Result<String> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(status.message.clone()),
        result => anyhow::bail!("not forbidden: {result:?}"),
    }
}

/// Waits until the pool's condition has that reason. Returns its message.
async fn until_catalog(fixture: &Fixture, reason: &str) -> anyhow::Result<String> {
    let found = || async {
        let status = fixture.pools().get("default").await?.status.unwrap_or_default();
        let condition = status.conditions.find(ConditionType::ImageCatalogValid).cloned();
        Ok(condition.filter(|condition| condition.reason == reason).map(|condition| condition.message))
    };
    eventually(reason, SOON, found).await
}

/// What neither the backend nor an editor may do.
async fn others_are_refused(fixture: &Fixture) -> anyhow::Result<()> {
    let (backend, editor) = (client(fixture, BACKEND)?, client(fixture, EDITOR)?);
    let pools = Api::<computing_unit_api::ComputingUnitPool>::namespaced(backend.clone(), &fixture.namespace);
    let image = Patch::Merge(json!({"spec": {"images": [{"name": "mine", "image": "mine:1"}]}}));
    forbidden(pools.patch("default", &PatchParams::default(), &image).await)?;
    let labels = json!({"texera.apache.org/image-catalog": "true"});
    let map = |name: &str, labels: Value| -> anyhow::Result<ConfigMap> {
        Ok(serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}}))?)
    };
    let other = map("other", labels)?;
    forbidden(maps(backend, fixture).create(&PostParams::default(), &other).await)?;
    let editors = maps(editor, fixture);
    let created = || async { Ok(editors.create(&PostParams::default(), &map("plain", Value::Null)?).await.ok()) };
    eventually("the right to write ConfigMaps", SOON, created).await?;
    let entry = json!({"mine": "image: mine@sha256:0000000000000000000000000000000000000000000000000000000000000000"});
    let message = forbidden(register(&editors, &entry).await)?;
    ensure!(message.contains("imagecatalogs.texera.apache.org"), "{message}");
    forbidden(editors.create(&PostParams::default(), &other).await)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_adds_and_removes_images_without_rights_on_the_pool() -> anyhow::Result<()> {
    with_fixture("catalog", |fixture| async move {
        let Some(reference) = images::by_digest(ENGINE).await? else { return Ok(()) };
        permissions(&fixture).await?;
        let catalog = json!({"spec": {"imageCatalog": {"configMapName": CATALOG}}});
        fixture.create_pool(&with(&fixture.pool(Mode::Query), &catalog)).await?;
        let _operator = fixture.start().await?;
        // Without the ConfigMap, units with the pool's own image start.
        until_catalog(&fixture, "CatalogNotFound").await?;
        fixture.create(&fixture.unit("plain")).await?;
        fixture.until("plain", Phase::Ready).await?;

        let empty = json!({"metadata": {"name": CATALOG, "labels": {"texera.apache.org/image-catalog": "true"}}});
        let admin = maps(fixture.cluster.client(), &fixture);
        admin.create(&PostParams::default(), &serde_json::from_value(empty)?).await?;
        until_catalog(&fixture, "Valid").await?;
        let security = json!({
            "runAsNonRoot": true, "runAsUser": 65532, "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        });
        let backend = maps(client(&fixture, BACKEND)?, &fixture);
        let entry = json!({"curated": json!({"image": reference, "securityContext": security}).to_string()});
        let allowed = || async { Ok(register(&backend, &entry).await.ok()) };
        eventually("the right to change the catalog", SOON, allowed).await?;
        let unit = |name: &str, image: &str| with(&fixture.unit(name), &json!({"spec": {"image": image}}));
        fixture.create(&unit("ada", "curated")).await?;
        fixture.until("ada", Phase::Ready).await?;
        let pod = fixture.pods().get("ada").await?;
        let engine = &pod.spec.as_ref().context("a spec")?.containers[0];
        ensure!(engine.image.as_ref() == Some(&reference), "{engine:?}");
        ensure!(json!(engine.security_context) == security, "{engine:?}");

        let broken = json!({
            "tag": format!("image: {ENGINE}"),
            "root": json!({"image": reference, "securityContext": {"privileged": true}}).to_string(),
        });
        register(&backend, &broken).await?;
        let unknown = format!("docker.io/local/computing-unit-engine@sha256:{}", "0".repeat(64));
        for (name, image, words) in [
            ("tag", "tag", "has no digest: give it as repository@sha256:..."),
            ("root", "root", "unknown field"),
            ("unknown", unknown.as_str(), "does not have it: add it there with its digest"),
        ] {
            fixture.create(&unit(name, image)).await?;
            let message = fixture.until_condition(name, "Accepted", "False", "ImageNotOffered").await?;
            ensure!(message.contains(words) && message.contains(CATALOG), "{name}: {message}");
        }
        let message = until_catalog(&fixture, "InvalidImage").await?;
        ensure!(message.contains("image \"root\"") && message.contains("image \"tag\""), "{message}");
        let events = Api::<Event>::namespaced(fixture.cluster.client(), &fixture.namespace);
        let recorded = || async {
            let events = events.list(&ListParams::default().fields("reason=InvalidImage")).await?;
            Ok(events.items.into_iter().find(|event| event.note.as_ref() == Some(&message)))
        };
        eventually("the Event", SOON, recorded).await?;
        others_are_refused(&fixture).await?;

        register(&backend, &json!({"curated": null})).await?;
        fixture.until_condition("ada", "Accepted", "False", "ImageNotOffered").await?;
        ensure!(fixture.pods().get("ada").await?.uid() == pod.uid(), "a running unit goes on");
        register(&backend, &entry).await?;
        let ready = |unit: Option<&_>| e2e::units::phase(unit) == Some(Phase::Ready);
        until("Ready", SOON, fixture.units(), "ada", ready).await?;
        Ok(())
    })
    .await
}
