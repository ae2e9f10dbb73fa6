//! The condition `ImageCatalogValid` of a pool, and its Event.
//!
//! An image that is not valid affects the units that name it, and nothing else.

use computing_unit_api::{
    ComputingUnitPool, ComputingUnitPoolStatus, ConditionStatus, ConditionType, Conditions, Reason, names::labels,
};
use kube::{
    ResourceExt,
    runtime::events::{Event, EventType},
};

use crate::{
    controllers::condition::Draft,
    image_catalog::{self, ImageCatalog},
};

/// How many images a message names.
const NAMED: usize = 5;
/// The longest note of an Event, in bytes.
const MAX_NOTE: usize = 1024;

/// `None` for a pool without a catalog. `catalog` is the one that it names, if that exists.
pub fn condition(pool: &ComputingUnitPool, catalog: Option<&ImageCatalog>) -> Option<Draft> {
    let type_ = ConditionType::ImageCatalogValid;
    let name = &pool.spec.image_catalog.as_ref()?.config_map_name;
    let Some(catalog) = catalog else {
        let message = format!(
            "ConfigMap {name:?} does not exist in namespace {:?}, or lacks the label {}=true: create it with the label. \
             Until then no unit can choose an image of the catalog",
            pool.namespace().unwrap_or_default(),
            labels::IMAGE_CATALOG
        );
        return Some(Draft::no(type_, Reason::CatalogNotFound, message));
    };
    let invalid: Vec<_> = image_catalog::invalid(pool, catalog).collect();
    let left_out = catalog.images.left_out();
    if invalid.is_empty() && left_out == 0 {
        let count = catalog.images.names().count();
        return Some(Draft::yes(type_, Reason::Valid, format!("ConfigMap {name:?} has {count} valid images")));
    }
    let mut problems: Vec<_> =
        invalid.iter().take(NAMED).map(|(image, error)| format!("image {image:?}: {error}")).collect();
    if invalid.len() > NAMED {
        problems.push(format!("and {} more images", invalid.len() - NAMED));
    }
    if left_out > 0 {
        let last = format!("the last {left_out} keys in alphabetical order are ignored");
        problems.push(format!("it has more than {} images, and {last}: remove some", image_catalog::MAX_IMAGES));
    }
    let message = format!("ConfigMap {name:?}: {}. The other images can be used", problems.join("; "));
    Some(Draft::no(type_, Reason::InvalidImage, message))
}

/// The Event of a catalog that has got another problem.
pub fn event(old: Option<&ComputingUnitPoolStatus>, new: &ComputingUnitPoolStatus) -> Option<Event> {
    let problem = |status: &ComputingUnitPoolStatus| {
        let condition = status.conditions.find(ConditionType::ImageCatalogValid)?;
        (condition.status == ConditionStatus::False).then(|| (condition.reason.clone(), condition.message.clone()))
    };
    let (reason, message) = problem(new)?;
    if old.and_then(problem).is_some_and(|(_, before)| before == message) {
        return None;
    }
    let end = message.floor_char_boundary(MAX_NOTE);
    Some(Event {
        type_: EventType::Warning,
        reason,
        note: Some(message[..end].to_owned()),
        action: "Read".to_owned(),
        secondary: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        controllers::pool::status::{Members, status},
        testing,
    };
    use k8s_openapi::jiff::Timestamp;

    const VALID: &str =
        "image: registry.example.org/r@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn pool() -> ComputingUnitPool {
        let mut pool = testing::pool(testing::query_routing());
        pool.spec.image_catalog = serde_json::from_value(json!({"configMapName": "images"})).unwrap();
        pool
    }

    fn catalog(data: Value) -> ImageCatalog {
        serde_json::from_value(json!({"metadata": {"name": "images", "namespace": "units"}, "data": data})).unwrap()
    }

    fn found(data: Option<Value>) -> (Reason, String) {
        let draft = condition(&pool(), data.map(catalog).as_ref()).unwrap();
        let reason = Reason::parse(draft.reason.as_str()).unwrap();
        (reason, draft.message)
    }

    #[test]
    fn each_invalid_image_is_named_with_the_cause() {
        assert_eq!(condition(&testing::pool(testing::query_routing()), None), None);
        let (reason, message) = found(None);
        assert_eq!(reason, Reason::CatalogNotFound);
        assert!(
            message.contains("\"images\"") && message.contains("texera.apache.org/image-catalog=true"),
            "{message}"
        );
        assert_eq!(found(Some(Value::Null)).0, Reason::Valid);
        assert_eq!(found(Some(json!({"r": VALID}))), (Reason::Valid, "ConfigMap \"images\" has 1 valid images".into()));
        let (reason, message) = found(Some(json!({"r": VALID, "py": "image: py:1", "a_": VALID})));
        assert_eq!(reason, Reason::InvalidImage);
        assert!(message.contains("image \"py\": image \"py:1\" has no digest"), "{message}");
        assert!(message.contains("image \"a_\": its name") && !message.contains("image \"r\""), "{message}");
        let many: serde_json::Map<_, _> = (0..9).map(|number| (format!("i{number}"), json!("{}"))).collect();
        assert!(found(Some(many.into())).1.contains("and 4 more images"));
        let too_many: serde_json::Map<_, _> = (0..258).map(|number| (format!("i{number}"), json!(VALID))).collect();
        assert!(found(Some(too_many.into())).1.contains("the last 2 keys in alphabetical order are ignored"));
    }

    #[test]
    fn a_pool_is_ready_whatever_a_backend_writes_and_each_problem_has_one_event() {
        let of = |data: Option<Value>| {
            let catalog = data.map(catalog);
            let optional = condition(&pool(), catalog.as_ref());
            status(&pool(), None, &Members::default(), None, optional, Timestamp::UNIX_EPOCH)
        };
        let ready =
            |status: &ComputingUnitPoolStatus| status.conditions.find(ConditionType::Ready).unwrap().message.clone();
        let (missing, broken, valid) = (of(None), of(Some(json!({"r": "image: r:1"}))), of(Some(json!({"r": VALID}))));
        assert_eq!((ready(&missing), ready(&broken)), (ready(&valid), ready(&valid)));
        assert_eq!(event(None, &missing).unwrap().reason, "CatalogNotFound");
        assert!(event(Some(&missing), &missing).is_none() && event(Some(&missing), &valid).is_none());
        assert!(event(Some(&missing), &broken).unwrap().note.unwrap().contains("r:1"));
    }
}
