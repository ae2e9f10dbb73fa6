//! Amounts of CPU and memory of the unit's container.
//!
//! Pure.

use computing_unit_api::Quantity;
use k8s_openapi::{
    api::core::v1::{Container, Pod, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity as Amount,
};

use crate::controllers::unit::build::Children;

/// An amount of a container. A missing request equals the limit.
pub fn amount<'a>(resources: &'a ResourceRequirements, list: &str, name: &str) -> Option<&'a Amount> {
    let limit = || resources.limits.as_ref()?.get(name);
    if list == "limits" {
        return limit();
    }
    resources.requests.as_ref().and_then(|requests| requests.get(name)).or_else(limit)
}

/// Whether two amounts are equal, whatever their notation.
pub fn same(a: &Amount, b: &Amount) -> bool {
    let value = |amount: &Amount| Quantity(amount.0.clone()).value();
    match (value(a), value(b)) {
        (Some(a), Some(b)) => (a - b).abs() <= f64::EPSILON * 4.0 * a.abs().max(b.abs()),
        _ => a == b,
    }
}

/// The unit's container as it should be: the first of the template.
pub fn unit_container(children: &Children) -> Option<&Container> {
    children.pod.spec.as_ref()?.containers.first()
}

/// The unit's container in a pod, into which an admission webhook may have put others before it.
pub fn running_container<'a>(pod: &'a Pod, children: &Children) -> Option<&'a Container> {
    let name = &unit_container(children)?.name;
    pod.spec.as_ref()?.containers.iter().find(|container| container.name == *name)
}
