//! Which images a catalog has, and how they restrict a container.

use computing_unit_api::ComputingUnitPool;
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Value, json};

use super::{entry::InvalidImage, *};
use crate::testing;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn reference(name: &str) -> String {
    format!("registry.example.org:5000/team/{name}@{DIGEST}")
}

fn catalog(data: &Value) -> ImageCatalog {
    let metadata = json!({"name": "images", "namespace": "units", "resourceVersion": "7"});
    serde_json::from_value(json!({"metadata": metadata, "data": data})).unwrap()
}

fn with(name: &str, more: &Value) -> Value {
    let mut entry = json!({"image": reference(name)});
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({name: entry.to_string()})
}

fn error(more: &Value) -> Option<String> {
    catalog(&with("r", more)).images.get("r")?.as_ref().err().map(ToString::to_string)
}

fn pool(template: &Value) -> ComputingUnitPool {
    let mut pool = testing::pool(testing::query_routing());
    pool.spec.template.spec = Some(serde_json::from_value(template.clone()).unwrap());
    pool
}

fn plain() -> ComputingUnitPool {
    pool(&json!({"containers": [{"name": "engine", "image": "engine:1"}]}))
}

#[test]
fn image_is_found_by_name_and_by_reference() {
    let data = json!({
        "r": format!("image: {}\ndisplayName: R\ndescription: for statistics\n", reference("r")),
        "py": json!({"image": reference("py")}).to_string(),
        "broken": "image: [",
    });
    let (catalog, pool) = (catalog(&data), plain());
    let found = |wanted: &str| match offer(&pool, &catalog, wanted) {
        Offer::Image(image) => image.reference.clone(),
        Offer::Invalid(error) => error.to_string(),
        Offer::Nothing => String::new(),
    };
    assert_eq!([found("r"), found(&reference("py"))], [reference("r"), reference("py")]);
    assert_eq!([found(&reference("other")), found("team/py"), found("")], [""; 3]);
    assert!(found("broken").starts_with("it is not valid: "), "{}", found("broken"));
    let mut own = pool;
    own.spec.images = serde_json::from_value(json!([{"name": "r", "image": "mine:1"}])).unwrap();
    assert_eq!(offer(&own, &catalog, "r"), Offer::Invalid(InvalidImage::Shadowed));
}

#[test]
fn image_without_a_digest_is_invalid() {
    for image in ["r", "r:1", &format!("r:1@{}", &DIGEST[..70]), &format!("@{DIGEST}"), &format!("r@{DIGEST} x")] {
        let text = json!({"image": image}).to_string();
        let error = catalog(&json!({"r": text})).images.get("r").unwrap().as_ref().unwrap_err().to_string();
        assert!(error.contains("has no digest: give it as repository@sha256:..."), "{error}");
    }
}

#[test]
fn restrictions_are_a_closed_set() {
    let restricted = json!({"securityContext": {
        "runAsNonRoot": true, "runAsUser": 1000, "runAsGroup": 1000, "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
    }});
    assert_eq!(error(&restricted), None);
    for (given, words) in [
        (json!({"privileged": true}), "unknown field"),
        (json!({"capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}}), "unknown field"),
        (json!({"procMount": "Unmasked"}), "unknown field"),
        (json!({"capabilities": {"drop": ["NET_RAW"]}}), "securityContext.capabilities.drop"),
        (json!({"capabilities": {"drop": []}}), "securityContext.capabilities.drop"),
        (json!({"runAsUser": 0}), "securityContext.runAsUser"),
        (json!({"runAsUser": -1}), "securityContext.runAsUser"),
        (json!({"runAsGroup": 0}), "securityContext.runAsGroup"),
        (json!({"runAsNonRoot": false}), "set it to true, or remove it"),
        (json!({"allowPrivilegeEscalation": true}), "set it to false, or remove it"),
        (json!({"readOnlyRootFilesystem": false}), "set it to true, or remove it"),
        (json!({"seccompProfile": {"type": "Unconfined"}}), "set it to RuntimeDefault, or remove it"),
    ] {
        let error = error(&json!({"securityContext": given})).unwrap_or_default();
        assert!(error.contains(words), "{given}: {error:?}");
    }
    assert!(error(&json!({"securityContex": {}})).unwrap().contains("unknown field"), "it may be a restriction");
    assert!(error(&json!({"description": "x".repeat(4096)})).unwrap().contains("shorten"));
}

/// What the container has with an image whose security context is `given`.
fn restricted(template: &Value, given: &Value) -> Value {
    let catalog = catalog(&with("r", &json!({"securityContext": given})));
    let pool = pool(template);
    let Offer::Image(image) = offer(&pool, &catalog, "r") else { panic!("not offered") };
    let mut spec: PodSpec = pool.spec.template.spec.clone().unwrap();
    restrict(&mut spec, &image.restrictions);
    json!(spec.containers[0].security_context)
}

#[test]
fn container_has_the_restrictions_of_the_pool_and_of_the_image() {
    let template = |pod: Value, own: Value| json!({"securityContext": pod, "containers": [{"name": "engine", "image": "engine:1", "securityContext": own}]});
    let drop = json!({"capabilities": {"drop": ["ALL"]}});
    let profile = json!({"seccompProfile": {"type": "RuntimeDefault"}});
    let localhost = json!({"seccompProfile": {"type": "Localhost", "localhostProfile": "strict.json"}});
    let unconfined = json!({"seccompProfile": {"type": "Unconfined"}});
    let null = || Value::Null;
    for (what, template, given, expected) in [
        ("nothing", template(null(), null()), json!({}), null()),
        (
            "new",
            template(null(), null()),
            json!({"runAsUser": 7, "runAsNonRoot": true}),
            json!({"runAsUser": 7, "runAsNonRoot": true}),
        ),
        (
            "kept",
            template(null(), json!({"readOnlyRootFilesystem": true})),
            json!({"runAsGroup": 7}),
            json!({"readOnlyRootFilesystem": true, "runAsGroup": 7}),
        ),
        (
            "added by the pool",
            template(null(), json!({"capabilities": {"add": ["NET_ADMIN"]}})),
            drop.clone(),
            drop.clone(),
        ),
        ("a profile", template(null(), null()), profile.clone(), profile.clone()),
        ("no profile", template(unconfined, null()), profile.clone(), profile.clone()),
        ("a profile of the pod", template(localhost.clone(), null()), profile.clone(), json!({})),
        ("a profile of the container", template(null(), localhost.clone()), profile, localhost),
    ] {
        assert_eq!(restricted(&template, &given), expected, "{what}");
    }
}

#[test]
fn user_of_the_pool_is_not_replaced() {
    let catalog = catalog(&with("r", &json!({"securityContext": {"runAsUser": 7, "runAsGroup": 8}})));
    for (pod, own, expected) in [
        (json!({"runAsUser": 1000}), json!({}), Some("runAsUser")),
        (json!({}), json!({"runAsGroup": 1000}), Some("runAsGroup")),
        (json!({"runAsUser": 1000}), json!({"runAsUser": 7}), None),
        (json!({"runAsUser": 7, "runAsGroup": 8}), json!({}), None),
    ] {
        let container = json!({"name": "engine", "image": "engine:1", "securityContext": own});
        let pool = pool(&json!({"securityContext": pod, "containers": [container]}));
        match (offer(&pool, &catalog, "r"), expected) {
            (Offer::Image(_), None) => {}
            (Offer::Invalid(error), Some(field)) => assert!(error.to_string().contains(field), "{error}"),
            (found, expected) => panic!("{expected:?}: {found:?}"),
        }
    }
}

#[test]
fn change_has_the_names_and_references_of_the_images_that_differ() {
    let before = catalog(&json!({"a": json!({"image": reference("a")}).to_string(), "b": "{}", "c": "[]"}));
    let after = catalog(&json!({"a": json!({"image": reference("x")}).to_string(), "b": "{}"}));
    let names = |before, after| changed(before, after).into_iter().collect::<Vec<_>>();
    assert_eq!(names(Some(&before), Some(&after)), ["a", "c", &reference("a"), &reference("x")]);
    assert_eq!(names(Some(&before), Some(&before)), [""; 0]);
    assert_eq!(names(None, Some(&after)), ["a", "b", &reference("x")]);
    assert_eq!(names(Some(&before), None), ["a", "b", "c", &reference("a")]);
}

#[test]
fn catalog_has_at_most_256_images_and_no_text() {
    let data: serde_json::Map<_, _> = (0..300).map(|number| (format!("i{number:03}"), json!("{}"))).collect();
    let catalog = catalog(&data.into());
    assert_eq!((catalog.images.names().count(), catalog.images.left_out()), (256, 44));
    assert!(catalog.images.get("i255").is_some() && catalog.images.get("i256").is_none());
    assert_eq!(catalog.version().as_deref(), Some("7"));
}
