//! The Service of a unit. It is headless: the gateway routes to endpoints, so a cluster IP is not needed.

use std::collections::BTreeMap;

use computing_unit_api::{
    BackendProtocol,
    names::{self, PORT, PORT_NAME, labels},
};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use kube::ResourceExt;

use crate::controllers::unit::validate::Unit;

pub fn service(unit: &Unit) -> Service {
    let object = &unit.object;
    let pool = &unit.pool.spec;
    let engine = port(PORT_NAME, PORT, IntOrString::String(PORT_NAME.to_owned()), pool.protocol);
    let others = pool.ports.iter().map(|each| port(&each.name, each.port, IntOrString::Int(each.port), each.protocol));
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
            ports: Some([engine].into_iter().chain(others).collect()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn port(name: &str, port: i32, target: IntOrString, protocol: Option<BackendProtocol>) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port,
        protocol: Some("TCP".to_owned()),
        target_port: Some(target),
        app_protocol: protocol.map(|protocol| protocol.app_protocol().to_owned()),
        ..ServicePort::default()
    }
}

/// The desired Service with the `appProtocol` of the current one where the pool does not set any.
pub fn with_app_protocols_of(current: &Service, mut desired: Service) -> Service {
    let ports = |service: &Service| service.spec.as_ref().and_then(|spec| spec.ports.clone()).unwrap_or_default();
    let current = ports(current);
    for port in desired.spec.iter_mut().flat_map(|spec| spec.ports.iter_mut().flatten()) {
        if port.app_protocol.is_none() {
            port.app_protocol =
                current.iter().find(|other| other.name == port.name).and_then(|other| other.app_protocol.clone());
        }
    }
    desired
}
