//! The Pod of a unit: the pool's template, with the unit's image, resources, environment and shared memory in its first
//! container.

use std::collections::{BTreeMap, BTreeSet};

use computing_unit_api::{
    ImageSecurityContext, Quantity, Resources,
    names::{
        self, DEFAULT_CONTAINER, ENGINE, PORT, PORT_NAME, RESERVED_ENV, RESERVED_PREFIX, SENT_AMOUNTS,
        TEMPLATE_AMOUNTS, TEMPLATE_HASH, labels,
    },
};
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerPort, EmptyDirVolumeSource, EnvVar, PersistentVolumeClaimVolumeSource, Pod, PodSpec,
        PodTemplateSpec, ResourceRequirements, Volume, VolumeMount,
    },
    apimachinery::pkg::{api::resource, apis::meta::v1::ObjectMeta},
};
use kube::ResourceExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    controllers::unit::{build::pvc, validate::Unit},
    image_catalog::restrict,
    routing::mode,
};

/// Version of the inputs of [`hash`]. A pod whose hash has another version does not count as outdated.
const HASH_VERSION: &str = "v2";
/// The resources that can be resized in a running pod.
pub const AMOUNTS: [&str; 2] = ["cpu", "memory"];
const SHARED_MEMORY: &str = "computing-unit-shared-memory";

pub fn pod(unit: &Unit) -> Pod {
    let object = &unit.object;
    let PodTemplateSpec { metadata, spec } = unit.pool.spec.template.clone();
    let template = metadata.unwrap_or_default();
    let mut all_labels = template.labels.unwrap_or_default();
    all_labels.retain(|key, _| !labels::reserved(key));
    all_labels.extend(names::child_labels(object, unit.cuid()));
    let mut annotations = template.annotations.unwrap_or_default();
    annotations.retain(|key, _| !key.starts_with(RESERVED_PREFIX));
    let own = spec.as_ref().and_then(|spec| spec.containers.first());
    for key in [ENGINE, DEFAULT_CONTAINER] {
        annotations.extend(own.map(|container| (key.to_owned(), container.name.clone())));
    }
    annotations.insert(TEMPLATE_HASH.to_owned(), hash(unit));
    annotations.insert(TEMPLATE_AMOUNTS.to_owned(), amounts(unit).to_string());
    let spec = spec.map(|spec| pod_spec(unit, spec));
    annotations.extend(sent_amounts(spec.as_ref()).map(|sent| (SENT_AMOUNTS.to_owned(), sent.to_string())));
    Pod {
        metadata: ObjectMeta {
            name: Some(object.name_any()),
            namespace: object.namespace(),
            labels: Some(all_labels),
            annotations: Some(annotations),
            owner_references: Some(vec![names::owner_reference(object)]),
            ..ObjectMeta::default()
        },
        spec,
        status: None,
    }
}

/// Hash of the inputs of a pod. It excludes amounts of CPU and memory, which can be resized, but includes which limits and
/// requests exist, which cannot change in a running pod.
pub fn hash(unit: &Unit) -> String {
    let spec = &unit.object.spec;
    let volumes: Vec<_> = unit.pool.spec.volume_claim_templates.iter().map(|each| &each.metadata.name).collect();
    let mut inputs = json!({
        "template": unit.pool.spec.template,
        "image": unit.image,
        "resources": resource_names(unit),
        "sharedMemory": spec.shared_memory,
        "env": spec.env,
        "envFrom": spec.env_from,
        "volumes": volumes,
    });
    // The hash of a pod without them is that of earlier releases.
    if unit.restrictions != ImageSecurityContext::default() {
        inputs["securityContext"] = json!(unit.restrictions);
    }
    let digest = format!("{:x}", Sha256::digest(inputs.to_string()));
    format!("{HASH_VERSION}-{}", &digest[..16])
}

/// The resources of the container, with amounts of CPU and memory masked.
fn resource_names(unit: &Unit) -> Value {
    let container = unit.pool.spec.template.spec.as_ref().and_then(|spec| spec.containers.first());
    let mut all = container.and_then(|container| container.resources.clone()).unwrap_or_default();
    if let Some(wanted) = &unit.object.spec.resources {
        resources(&mut all, wanted);
    }
    let masked = |list: &Option<BTreeMap<String, resource::Quantity>>| -> BTreeMap<String, Value> {
        let mask = |name: &str, amount| if AMOUNTS.contains(&name) { Value::Null } else { json!(amount) };
        list.iter().flatten().map(|(name, amount)| (name.clone(), mask(name, amount))).collect()
    };
    // A limit without a request sets both.
    let (limits, mut requests) = (masked(&all.limits), masked(&all.requests));
    for (name, amount) in &limits {
        requests.entry(name.clone()).or_insert_with(|| amount.clone());
    }
    json!({"limits": limits, "requests": requests})
}

/// The amounts of CPU and memory that the unit requests.
fn amounts(unit: &Unit) -> Value {
    let requested = unit.object.spec.resources.clone().unwrap_or_default();
    let part = |list: BTreeMap<String, Quantity>| -> BTreeMap<String, Quantity> {
        list.into_iter().filter(|(name, _)| AMOUNTS.contains(&name.as_str())).collect()
    };
    json!({"limits": part(requested.limits), "requests": part(requested.requests)})
}

/// The amounts of CPU and memory of the container, which admission may change. A missing request equals the limit.
fn sent_amounts(spec: Option<&PodSpec>) -> Option<Value> {
    let resources = spec?.containers.first()?.resources.as_ref()?;
    let of = |list: &Option<BTreeMap<String, resource::Quantity>>, name: &str| list.as_ref()?.get(name).cloned();
    let mut sent = json!({"limits": {}, "requests": {}});
    for name in AMOUNTS {
        let limit = of(&resources.limits, name);
        let request = of(&resources.requests, name).or_else(|| limit.clone());
        for (list, amount) in [("limits", limit), ("requests", request)] {
            if let Some(amount) = amount {
                sent[list][name] = json!(amount);
            }
        }
    }
    Some(sent)
}

/// Whether two hashes are of different inputs. Hashes of different versions cannot be compared.
pub fn outdated(made: &str, wanted: &str) -> bool {
    let version = |hash: &str| hash.split_once('-').map(|(version, _)| version.to_owned());
    made != wanted && version(made) == version(wanted)
}

fn pod_spec(unit: &Unit, mut spec: PodSpec) -> PodSpec {
    spec.automount_service_account_token.get_or_insert(false);
    // A headless Service with the name of the subdomain publishes the host name in DNS.
    if spec.subdomain.is_some() {
        spec.hostname.get_or_insert_with(|| unit.object.name_any());
    }
    for template in &unit.pool.spec.volume_claim_templates {
        let volumes = spec.volumes.get_or_insert_default();
        volumes.retain(|volume| volume.name != template.metadata.name);
        let source = PersistentVolumeClaimVolumeSource {
            claim_name: pvc::name(template, &unit.object),
            ..PersistentVolumeClaimVolumeSource::default()
        };
        volumes.push(Volume {
            name: template.metadata.name.clone(),
            persistent_volume_claim: Some(source),
            ..Volume::default()
        });
    }
    if let Some(size) = &unit.object.spec.shared_memory {
        let volumes = spec.volumes.get_or_insert_default();
        volumes.retain(|volume| volume.name != SHARED_MEMORY);
        volumes.push(Volume {
            name: SHARED_MEMORY.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource { medium: Some("Memory".to_owned()), size_limit: Some(size.into()) }),
            ..Volume::default()
        });
    }
    if let Some(first) = spec.containers.first_mut() {
        unit_container(unit, first);
    }
    restrict(&mut spec, &unit.restrictions);
    spec
}

fn unit_container(unit: &Unit, container: &mut Container) {
    let spec = &unit.object.spec;
    container.image = Some(unit.image.clone());
    if let Some(wanted) = &spec.resources {
        resources(container.resources.get_or_insert_default(), wanted);
    }
    if spec.shared_memory.is_some() {
        let mounts = container.volume_mounts.get_or_insert_default();
        mounts.retain(|mount| mount.mount_path != "/dev/shm");
        mounts.push(VolumeMount {
            name: SHARED_MEMORY.to_owned(),
            mount_path: "/dev/shm".to_owned(),
            ..VolumeMount::default()
        });
    }
    let ports = container.ports.get_or_insert_default();
    if !ports.iter().any(|port| port.name.as_deref() == Some(PORT_NAME)) {
        match ports.iter_mut().find(|port| port.container_port == PORT && port.name.is_none()) {
            Some(port) => port.name = Some(PORT_NAME.to_owned()),
            None => ports.push(ContainerPort {
                name: Some(PORT_NAME.to_owned()),
                container_port: PORT,
                ..ContainerPort::default()
            }),
        }
    }
    container.env = Some(env(unit, container.env.take().unwrap_or_default()));
    if !spec.env_from.is_empty() {
        // If two sources have the same key, the later one wins: the pool's.
        let pools = container.env_from.take().unwrap_or_default();
        container.env_from = Some(spec.env_from.iter().cloned().chain(pools).collect());
    }
}

/// The operator's variables come first, so that others can refer to them; the pool's come last.
fn env(unit: &Unit, pools: Vec<EnvVar>) -> Vec<EnvVar> {
    let object = &unit.object;
    let own = |name: &str, value: String| EnvVar {
        name: format!("{RESERVED_ENV}{name}"),
        value: Some(value),
        ..EnvVar::default()
    };
    let mut all = vec![own("NAME", object.name_any()), own("BASE_PATH", base_path(unit))];
    all.extend(unit.url.clone().map(|url| own("URL", url)));
    all.extend(unit.cuid().map(|cuid| own("CUID", cuid.to_string())));
    let taken: BTreeSet<&str> = pools.iter().map(|variable| variable.name.as_str()).collect();
    all.extend(object.spec.env.iter().filter(|variable| !taken.contains(variable.name.as_str())).cloned());
    all.extend(pools.iter().filter(|variable| !variable.name.starts_with(RESERVED_ENV)).cloned());
    all
}

/// The path below which clients reach the unit.
fn base_path(unit: &Unit) -> String {
    let mode = mode(&unit.pool.spec.routing);
    mode.map_or_else(|| "/".to_owned(), |mode| mode.base_path(&unit.object.name_any()))
}

/// Overrides the template's amounts with the unit's. A limit without a request also removes the template's request, so that
/// the request defaults to the limit, as in any pod.
fn resources(template: &mut ResourceRequirements, wanted: &Resources) {
    let insert = |into: &mut Option<BTreeMap<String, _>>, from: &BTreeMap<String, Quantity>| {
        if !from.is_empty() {
            into.get_or_insert_default().extend(from.iter().map(|(name, amount)| (name.clone(), amount.into())));
        }
    };
    if let Some(requests) = template.requests.as_mut() {
        requests.retain(|name, _| !wanted.limits.contains_key(name));
    }
    insert(&mut template.limits, &wanted.limits);
    insert(&mut template.requests, &wanted.requests);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{accepted, host_routing, path_routing, query_routing};

    /// A release in which this fails has to change [`HASH_VERSION`], or it replaces the pods of every unit.
    #[test]
    fn hash_of_the_same_inputs_is_that_of_earlier_releases() {
        let plain = accepted(query_routing());
        let mut full = accepted(query_routing());
        let object = std::sync::Arc::make_mut(&mut full.object);
        object.spec = serde_json::from_value(json!({
            "cuid": 42, "sharedMemory": "64Mi", "resources": {"limits": {"cpu": "2", "memory": "1Gi"}},
            "env": [{"name": "COLOUR", "value": "blue"}], "envFrom": [{"secretRef": {"name": "colours"}}],
        }))
        .unwrap();
        let pool = std::sync::Arc::make_mut(&mut full.pool);
        let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}});
        pool.spec.volume_claim_templates = vec![serde_json::from_value(claim).unwrap()];
        assert_eq!([hash(&plain), hash(&full)], ["v2-85e45f9f5eac821c", "v2-0e5698adc01273c1"]);
    }

    #[test]
    fn engine_knows_its_address_and_a_template_can_refer_to_it() {
        for (routing, url, base) in [
            (query_routing(), None, "/"),
            (path_routing(), Some("http://10.0.0.1/units/ada/"), "/units/ada/"),
            (host_routing(), Some("http://ada.units.example.org/"), "/"),
        ] {
            let mut unit = accepted(routing);
            let before = hash(&unit);
            unit.url = url.map(str::to_owned);
            let template = &mut std::sync::Arc::make_mut(&mut unit.pool).spec.template;
            let engine = &mut template.spec.as_mut().unwrap().containers[0];
            let args = serde_json::from_value(json!([{"name": "URL", "value": "$(COMPUTING_UNIT_URL)"},
                                                     {"name": "COMPUTING_UNIT_URL", "value": "forged"}]))
            .unwrap();
            engine.env = Some(args);
            let variables = pod(&unit).spec.unwrap().containers.remove(0).env.unwrap();
            let position = |name: &str| variables.iter().position(|variable| variable.name == name);
            let value = |name: &str| variables[position(name)?].value.clone();
            assert_eq!(value("COMPUTING_UNIT_BASE_PATH").as_deref(), Some(base));
            assert_eq!(value("COMPUTING_UNIT_URL").as_deref(), url);
            assert!(url.is_none() || position("COMPUTING_UNIT_URL") < position("URL"), "expanded");
            let mut moved = accepted(query_routing());
            moved.url = Some("http://elsewhere/".to_owned());
            assert_eq!(hash(&moved), hash(&accepted(query_routing())), "another address makes no pod outdated");
            assert_ne!(before, hash(&unit));
        }
    }

    #[test]
    fn pod_of_a_release_with_another_hash_is_not_outdated() {
        assert!(outdated("v2-a", "v2-b") && !outdated("v2-a", "v2-a"));
        assert!(!outdated("v1-a", "v2-b") && !outdated("v3-a", "v2-b") && !outdated("", "v2-b"));
    }
}
