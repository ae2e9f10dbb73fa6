//! `pools`: lists what is on offer: images, sizes, URLs and limits.

use std::process::ExitCode;

use computing_unit_api::{ComputingUnitPool, ConditionType, Conditions, PathMatch, PathMatchType, Quantity, Routing};
use k8s_openapi::{api::core::v1::Container, jiff::Timestamp};
use kube::{Api, ResourceExt, api::ListParams};

use super::{age, session::Session};
use crate::{
    error::Error,
    object::Pool,
    options::ConnectionArgs,
    printer::{ListArgs, Listing},
    stdio::write_stderr,
    values::not_empty,
};

/// Pools, and how they are shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names of pools; defaults to all
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Label selector, for example team=blue
    #[arg(short = 'l', long, value_name = "LABELS", value_parser = not_empty, conflicts_with = "names")]
    selector: Option<String>,

    /// Field selector, for example metadata.name!=default
    #[arg(long, value_name = "FIELDS", value_parser = not_empty, conflicts_with = "names")]
    field_selector: Option<String>,

    /// Pools of all namespaces
    #[arg(short = 'A', long, conflicts_with = "names")]
    all_namespaces: bool,

    /// Do not fail if a pool does not exist
    #[arg(long)]
    ignore_not_found: bool,

    #[command(flatten)]
    list: ListArgs,
}

/// Lists pools.
///
/// # Errors
/// If there is no connection, or the result cannot be written.
pub async fn pools(args: &Args, connection: &ConnectionArgs) -> Result<ExitCode, Error> {
    let mut session = Session::open(connection).await?;
    let pools = choose(args, &mut session).await?;
    if pools.is_empty() && args.names.is_empty() && args.list.is_table() {
        let place = if args.all_namespaces {
            String::new()
        } else {
            format!(" in namespace {:?}", session.connection.namespace)
        };
        write_stderr(&format!("no pools found{place}"));
    } else if !pools.is_empty() || args.names.is_empty() {
        listing(args, &pools).print(&args.list)?;
    }
    Ok(session.code())
}

async fn choose(args: &Args, session: &mut Session) -> Result<Vec<Pool>, Error> {
    let connection = &session.connection;
    let all: Api<Pool> = if args.all_namespaces {
        Api::all(connection.client.clone())
    } else {
        Api::namespaced(connection.client.clone(), &connection.namespace)
    };
    if args.names.is_empty() {
        let params = ListParams {
            label_selector: args.selector.clone(),
            field_selector: args.field_selector.clone(),
            ..ListParams::default()
        };
        return Ok(connection.request(connection.here(), all.list(&params)).await?.items);
    }
    let (mut found, mut failed) = (vec![], vec![]);
    for name in &args.names {
        let name = name.rsplit_once('/').map_or(name.as_str(), |(_, name)| name);
        match connection.request(connection.named(name), all.get_opt(name)).await {
            Ok(Some(pool)) => found.push(pool),
            Ok(None) if args.ignore_not_found => {}
            Ok(None) => failed.push(format!("pool {name:?} not found in namespace {:?}", connection.namespace)),
            Err(messages) => failed.extend(messages),
        }
    }
    session.fail(failed);
    Ok(found)
}

fn listing(args: &Args, pools: &[Pool]) -> Listing {
    let wide = args.list.is_wide();
    let now = Timestamp::now();
    let mut header = vec!["NAME", "READY", "URL", "IMAGES", "CPU", "MEMORY", "IDLE-TIMEOUT", "UNITS"];
    if args.all_namespaces {
        header.insert(0, "NAMESPACE");
    }
    if wide {
        header.extend(["REASON", "GATEWAY", "OTHER-RESOURCES", "MAX-AGE", "AGE"]);
    }
    let row = |pool: &Pool| {
        let lifecycle = &pool.spec.lifecycle;
        let mut row = vec![
            pool.name_any(),
            ready(pool).0,
            url(pool),
            images(pool),
            size(pool, "cpu"),
            size(pool, "memory"),
            lifecycle.idle_timeout.map(|timeout| timeout.to_string()).unwrap_or_default(),
            pool.status.as_ref().map(|status| status.units.total().to_string()).unwrap_or_default(),
        ];
        if args.all_namespaces {
            row.insert(0, pool.namespace().unwrap_or_default());
        }
        if wide {
            let gateway = &pool.spec.gateway_ref;
            row.extend([
                ready(pool).1,
                format!("{}/{}", gateway.namespace, gateway.name),
                other_resources(pool),
                lifecycle.max_age.map(|age| age.to_string()).unwrap_or_default(),
                pool.creation_timestamp().map(|created| age::between(created.0, now)).unwrap_or_default(),
            ]);
        }
        row
    };
    let listing = Listing {
        header: header.into_iter().map(str::to_owned).collect(),
        rows: pools.iter().map(row).collect(),
        objects: pools.iter().map(Pool::plain).collect(),
        single: args.names.len() == 1,
    };
    if args.list.show_labels { listing.with_labels() } else { listing }
}

/// Status and reason of `Ready`. The reason is left out if it is.
fn ready(pool: &ComputingUnitPool) -> (String, String) {
    let condition = pool.status.as_ref().and_then(|status| status.conditions.find(ConditionType::Ready));
    condition.map_or_else(
        || ("Unknown".to_owned(), String::new()),
        |condition| {
            let reason = if condition.status == "True" { String::new() } else { condition.reason.clone() };
            (condition.status.clone(), reason)
        },
    )
}

/// The form of the URLs of units.
fn url(pool: &ComputingUnitPool) -> String {
    let Routing { query, path, host, base_url, .. } = &pool.spec.routing;
    let address = pool.status.as_ref().and_then(|status| status.addresses.first());
    let (scheme, authority) = match base_url.as_deref().and_then(|base| base.split_once("://")) {
        Some((scheme, authority)) => (format!("{scheme}://"), authority.to_owned()),
        None => (String::new(), address.cloned().unwrap_or_else(|| "GATEWAY".to_owned())),
    };
    if let Some(host) = host {
        return format!("{scheme}NAME.{}", host.domain);
    }
    if let Some(path) = path {
        return format!("{scheme}{authority}{}/NAME/", path.prefix.trim_end_matches('/'));
    }
    let Some(query) = query else { return String::new() };
    let usable = |path: &&PathMatch| path.r#type != PathMatchType::RegularExpression;
    let plain = |path: &&PathMatch| !path.value.contains(PathMatch::KEY);
    let of_type = |type_: PathMatchType| query.paths.iter().filter(plain).find(move |path| path.r#type == type_);
    let found = of_type(PathMatchType::PathPrefix).or_else(|| of_type(PathMatchType::Exact));
    match found.or_else(|| query.paths.iter().find(usable)) {
        Some(path) if plain(&path) => format!("{scheme}{authority}{}?{}=KEY", path.value, query.parameter),
        Some(path) => format!("{scheme}{authority}{}", path.value.replace(PathMatch::KEY, "KEY")),
        None => format!("{scheme}{authority}"),
    }
}

/// The images on offer, the default first; or the image of the template.
fn images(pool: &ComputingUnitPool) -> String {
    if pool.spec.images.is_empty() {
        return engine(pool).and_then(|engine| engine.image.clone()).unwrap_or_default();
    }
    let (default, others): (Vec<_>, Vec<_>) = pool.spec.images.iter().partition(|image| image.default);
    let default = default.into_iter().map(|image| format!("{} (default)", image.name));
    default.chain(others.into_iter().map(|image| image.name.clone())).collect::<Vec<_>>().join(", ")
}

/// The default and the maximum of a resource.
fn size(pool: &ComputingUnitPool, resource: &str) -> String {
    let resources = engine(pool).and_then(|engine| engine.resources.as_ref());
    let amount = resources.and_then(|resources| {
        let limit = resources.limits.as_ref().and_then(|limits| limits.get(resource));
        limit.or_else(|| resources.requests.as_ref().and_then(|requests| requests.get(resource)))
    });
    let default = amount.map(|amount| amount.0.clone());
    let max = pool.spec.resources.max.get(resource).map(|Quantity(max)| format!("max {max}"));
    default.into_iter().chain(max).collect::<Vec<_>>().join(", ")
}

/// Maximum amounts of resources other than CPU and memory.
fn other_resources(pool: &ComputingUnitPool) -> String {
    let others = pool.spec.resources.max.iter().filter(|(name, _)| !matches!(name.as_str(), "cpu" | "memory"));
    others.map(|(name, max)| format!("{name} max {max}")).collect::<Vec<_>>().join(", ")
}

fn engine(pool: &ComputingUnitPool) -> Option<&Container> {
    pool.spec.template.spec.as_ref()?.containers.first()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pool(spec: Value) -> Pool {
        let mut whole = json!({"gatewayRef": {"name": "shared", "namespace": "gateways"}, "template": {"spec": {"containers": [{
            "name": "engine", "image": "engine:1", "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "500m", "memory": "1Gi"}},
        }]}}});
        json_patch::merge(&mut whole, &spec);
        let pool = json!({"metadata": {"name": "default", "namespace": "team"}, "spec": whole, "status": {"addresses": ["10.0.0.1"]}});
        serde_json::from_value(pool).unwrap()
    }

    #[test]
    fn url_has_the_form_of_the_routing_mode() {
        for (routing, expected) in [
            (
                json!({"type": "Query", "query": {"paths": [{"value": "/a/{key}"}, {"type": "Exact", "value": "/b"}]}}),
                "10.0.0.1/b?cuid=KEY",
            ),
            (json!({"type": "Query", "query": {"paths": [{"value": "/a/{key}"}]}}), "10.0.0.1/a/KEY"),
            (
                json!({"type": "Path", "baseURL": "https://u.example.org", "path": {"prefix": "/units"}}),
                "https://u.example.org/units/NAME/",
            ),
            (
                json!({"type": "Host", "baseURL": "https://x:8443", "host": {"domain": "u.example.org"}}),
                "https://NAME.u.example.org",
            ),
        ] {
            assert_eq!(url(&pool(json!({"routing": routing}))), expected);
        }
    }

    #[test]
    fn images_and_sizes_have_defaults_and_maximums() {
        let routing = json!({"type": "Host", "host": {"domain": "u"}});
        let plain = pool(json!({"routing": routing}));
        assert_eq!(
            (images(&plain), size(&plain, "cpu"), size(&plain, "memory")),
            ("engine:1".into(), "1".into(), "1Gi".into())
        );
        let rich = pool(json!({
            "routing": routing, "images": [{"name": "py", "image": "py:1"}, {"name": "r", "image": "r:1", "default": true}],
            "resources": {"max": {"cpu": "4", "nvidia.com/gpu": "1"}},
        }));
        assert_eq!(images(&rich), "r (default), py");
        assert_eq!((size(&rich, "cpu"), other_resources(&rich)), ("1, max 4".into(), "nvidia.com/gpu max 1".into()));
    }
}
