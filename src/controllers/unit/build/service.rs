//! The Service of a unit. It is headless: the gateway routes to endpoints, so a cluster IP is not needed.

use std::collections::BTreeMap;

use computing_unit_api::names::{self, PORT, PORT_NAME, labels};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use kube::ResourceExt;

use crate::controllers::unit::validate::Unit;

pub fn service(unit: &Unit) -> Service {
    let object = &unit.object;
    Service {
        metadata: ObjectMeta {
            name: Some(object.name_any()),
            namespace: object.namespace(),
            labels: Some(names::child_labels(object, unit.cuid())),
            owner_references: Some(vec![names::owner_reference(object)]),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            selector: Some(BTreeMap::from([(labels::UNIT.to_owned(), object.name_any())])),
            ports: Some(vec![ServicePort {
                name: Some(PORT_NAME.to_owned()),
                port: PORT,
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::String(PORT_NAME.to_owned())),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
