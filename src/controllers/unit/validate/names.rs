//! Names of units in host names: each label of one has at most 63 characters, and those of ports have a separator.

use computing_unit_api::{ComputingUnit, ComputingUnitPool, Reason, RoutingType};
use kube::ResourceExt;

use super::Rejection;
use crate::routing::PORT_SEPARATOR;

/// The longest label of a host name.
const MAX_LABEL: usize = 63;

pub(super) fn check(object: &ComputingUnit, pool: &ComputingUnitPool) -> Result<(), Rejection> {
    if pool.spec.routing.r#type != RoutingType::Host {
        return Ok(());
    }
    let (name, pool_name) = (object.name_any(), pool.name_any());
    let reject = |why: String| Err(Rejection::new(Reason::NameNotAllowed, why));
    if name.contains(PORT_SEPARATOR) {
        return reject(format!(
            "the name has {PORT_SEPARATOR:?}, which separates the port from the unit in host names of pool {pool_name:?}: \
             create a unit with another name"
        ));
    }
    let longest = pool.spec.ports.iter().map(|port| port.name.as_str()).max_by_key(|port| port.len());
    match longest.map(|port| format!("{port}{PORT_SEPARATOR}{name}")) {
        Some(label) if label.len() > MAX_LABEL => reject(format!(
            "the name is too long for the ports of pool {pool_name:?}: {label:?} has more than {MAX_LABEL} characters: \
             create a unit with a shorter name"
        )),
        _ => Ok(()),
    }
}
