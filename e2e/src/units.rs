//! Pools and units as tests make them, the requests that reach them, and when they are ready.
//!
//! It talks to no cluster: tests create these objects, and send these requests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::Context;
use computing_unit_operator::api::{
    ComputingUnit, ComputingUnitPool, ComputingUnitPoolSpec, ComputingUnitSpec, Duration, GatewayRef, HostRouting,
    PathMatch, PathMatchType, PathRouting, Phase, ProbeSpec, QueryRouting, Routing, RoutingType, Timeouts,
};
use computing_unit_operator::names::{PORT, PORT_NAME};
use computing_unit_operator::routing::{key, unit_prefix};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, HTTPGetAction, PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
    SecurityContext,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use crate::traffic::Target;

/// The image of the stand-in for Texera's engine.
pub const ENGINE_IMAGE: &str = "docker.io/local/computing-unit-engine:dev";
/// The pool of units that name none.
pub const POOL: &str = "default";
/// The Gateway that all tests share, and its namespace.
pub const GATEWAY: (&str, &str) = ("shared", "envoy-gateway-system");
/// The host of requests to units whose routing looks at no host.
const ANY_HOST: &str = "texera.local";

/// Texera's routing, with its four paths.
#[must_use]
pub fn query() -> Routing {
    let path = |r#type, value: &str| PathMatch { r#type, value: value.to_owned() };
    let query = QueryRouting {
        parameter: "cuid".to_owned(),
        paths: vec![
            path(PathMatchType::PathPrefix, "/wsapi"),
            path(PathMatchType::RegularExpression, r"^/api/executions/\d+/stats/\d+$"),
            path(PathMatchType::PathPrefix, "/api/executions/result/export"),
            path(PathMatchType::PathPrefix, "/api/pve"),
        ],
    };
    Routing { query: Some(query), ..routing(RoutingType::Query) }
}

/// Units under `prefix`, which they do not see.
#[must_use]
pub fn path(prefix: &str) -> Routing {
    let path = PathRouting { prefix: prefix.to_owned(), replace_prefix_match: Some("/".to_owned()) };
    Routing { path: Some(path), ..routing(RoutingType::Path) }
}

/// Units in `domain`.
#[must_use]
pub fn host(domain: &str) -> Routing {
    Routing { host: Some(HostRouting { domain: domain.to_owned() }), ..routing(RoutingType::Host) }
}

/// Each of the three modes, with a prefix and a domain that no other namespace has.
#[must_use]
pub fn each_mode(namespace: &str) -> [Routing; 3] {
    [query(), path(&format!("/{namespace}")), host(&format!("{namespace}.units.test"))]
}

fn routing(r#type: RoutingType) -> Routing {
    Routing { r#type, query: None, path: None, host: None, base_url: None, timeouts: Timeouts::default() }
}

/// A pool of small engines on the shared Gateway, which are asked every second whether they are ready.
#[must_use]
pub fn pool(name: &str, routing: Routing) -> ComputingUnitPool {
    let pod = PodSpec { containers: vec![engine()], termination_grace_period_seconds: Some(5), ..PodSpec::default() };
    let spec = ComputingUnitPoolSpec {
        gateway_ref: GatewayRef { name: GATEWAY.0.to_owned(), namespace: GATEWAY.1.to_owned(), section_name: None },
        routing,
        template: PodTemplateSpec { metadata: None, spec: Some(pod) },
        images: Vec::new(),
        references: None,
        start_timeout: Duration::from_secs(60),
        drain_timeout: Duration::from_secs(10),
        probe: ProbeSpec::default(),
    };
    ComputingUnitPool::new(name, spec)
}

fn engine() -> Container {
    let amounts = |pairs: [(&str, &str); 2]| {
        Some(pairs.map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned()))).into_iter().collect())
    };
    Container {
        name: "engine".to_owned(),
        image: Some(ENGINE_IMAGE.to_owned()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        ports: Some(vec![ContainerPort {
            name: Some(PORT_NAME.to_owned()),
            container_port: PORT,
            ..ContainerPort::default()
        }]),
        readiness_probe: Some(Probe {
            http_get: Some(HTTPGetAction {
                path: Some("/api/healthcheck".to_owned()),
                port: IntOrString::String(PORT_NAME.to_owned()),
                ..HTTPGetAction::default()
            }),
            period_seconds: Some(1),
            failure_threshold: Some(1),
            ..Probe::default()
        }),
        resources: Some(ResourceRequirements {
            limits: amounts([("cpu", "500m"), ("memory", "64Mi")]),
            requests: amounts([("cpu", "5m"), ("memory", "16Mi")]),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            run_as_non_root: Some(true),
            run_as_user: Some(65532),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

/// A unit of the pool [`POOL`].
#[must_use]
pub fn unit(name: &str, cuid: Option<i64>) -> ComputingUnit {
    ComputingUnit::new(name, ComputingUnitSpec { pool_name: POOL.to_owned(), cuid, ..ComputingUnitSpec::default() })
}

/// A number that no other unit of any test running now has: they all share one Gateway.
#[must_use]
pub fn fresh_cuid() -> i64 {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    i64::from(std::process::id()) << 20 | NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Host, and path with query, of a request to `unit` for the engine's own `path`, such as `/wsapi`.
///
/// # Errors
/// If the routing lacks the member that its type names, which the API server does not let in.
pub fn request(unit: &ComputingUnit, routing: &Routing, path: &str) -> anyhow::Result<(String, String)> {
    let name = unit.name_any();
    let any = |path| Ok((ANY_HOST.to_owned(), path));
    let missing = || format!("the routing of type {:?} without its member", routing.r#type);
    match routing.r#type {
        RoutingType::Query => {
            let parameter = &routing.query.as_ref().with_context(missing)?.parameter;
            any(format!("{path}?{parameter}={}", key(routing, &name, unit.spec.cuid)))
        }
        RoutingType::Path => {
            any(format!("{}{path}", unit_prefix(&routing.path.as_ref().with_context(missing)?.prefix, &name)))
        }
        RoutingType::Host => {
            let domain = &routing.host.as_ref().with_context(missing)?.domain;
            Ok((format!("{name}.{domain}"), path.to_owned()))
        }
    }
}

/// What to send to `unit`, to be answered by its engine and, if it is known to the API server already, under its route.
///
/// # Errors
/// As [`request`] and [`Target::new`].
pub fn target(unit: &ComputingUnit, routing: &Routing, path: &str) -> anyhow::Result<Target> {
    let (host, path) = request(unit, routing, path)?;
    let target = Target::new(&host, &path)?.engine(&unit.name_any());
    Ok(match unit.uid() {
        Some(uid) => target.route(&uid),
        None => target,
    })
}

/// The unit's condition of that type.
#[must_use]
pub fn condition<'a>(unit: &'a ComputingUnit, r#type: &str) -> Option<&'a Condition> {
    unit.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == r#type)
}

/// Status and reason of each of the unit's conditions, by type, for comparison and for messages.
#[must_use]
pub fn conditions(unit: &ComputingUnit) -> BTreeMap<&str, (&str, &str)> {
    let all = unit.status.iter().flat_map(|status| &status.conditions);
    all.map(|one| (one.type_.as_str(), (one.status.as_str(), one.reason.as_str()))).collect()
}

/// Whether the unit is in that phase, as of its present spec.
pub fn in_phase(phase: Phase) -> impl Fn(Option<&ComputingUnit>) -> bool {
    move |unit| {
        unit.is_some_and(|unit| {
            let status = unit.status.as_ref();
            status.is_some_and(|status| {
                status.phase == Some(phase) && status.observed_generation == unit.metadata.generation
            })
        })
    }
}

/// Whether the unit is Ready.
#[must_use]
pub fn is_ready(unit: Option<&ComputingUnit>) -> bool {
    in_phase(Phase::Ready)(unit)
}

#[cfg(test)]
mod tests {
    use computing_unit_operator::api::ComputingUnitStatus;

    use super::*;

    #[test]
    fn each_mode_has_its_own_request() {
        let unit = unit("ada", Some(42));
        let requests = each_mode("ns").map(|routing| request(&unit, &routing, "/wsapi").unwrap());
        let expected =
            [("texera.local", "/wsapi?cuid=42"), ("texera.local", "/ns/ada/wsapi"), ("ada.ns.units.test", "/wsapi")];
        assert_eq!(requests, expected.map(|(host, path)| (host.to_owned(), path.to_owned())));
        assert!(request(&unit, &routing(RoutingType::Host), "/").is_err());
    }

    #[test]
    fn a_target_knows_its_unit() {
        let mut unit = unit("ada", None);
        unit.metadata.uid = Some("uid-1".to_owned());
        let target = target(&unit, &query(), "/wsapi").unwrap();
        let by = |route: &str, engine: &str| crate::traffic::By {
            route: Some(route.to_owned()),
            engine: Some(engine.to_owned()),
        };
        assert!(!target.misrouted(&by("uid-1", "ada")));
        assert!(target.misrouted(&by("uid-1", "bob")) && target.misrouted(&by("uid-2", "ada")));
    }

    #[test]
    fn numbers_are_fresh_and_allowed() {
        let (one, other) = (fresh_cuid(), fresh_cuid());
        assert!(one >= 1 && other >= 1 && one != other);
    }

    #[test]
    fn a_status_of_an_older_spec_is_not_ready() {
        let mut unit = unit("ada", None);
        assert!(!is_ready(None) && !is_ready(Some(&unit)));
        unit.metadata.generation = Some(2);
        let status = |generation| ComputingUnitStatus {
            phase: Some(Phase::Ready),
            observed_generation: Some(generation),
            ..Default::default()
        };
        unit.status = Some(status(1));
        assert!(!is_ready(Some(&unit)));
        unit.status = Some(status(2));
        assert!(is_ready(Some(&unit)) && !in_phase(Phase::Failed)(Some(&unit)));
    }
}
