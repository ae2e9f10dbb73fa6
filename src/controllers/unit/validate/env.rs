//! Environment variables that a unit may set.
//!
//! A variable in `env` overrides one from `envFrom`, whose names the operator does not know. So if the template has `envFrom`,
//! only variables that the pool lists are safe.

use computing_unit_api::{ComputingUnit, ComputingUnitPool, EnvPolicy, Reason};
use kube::ResourceExt;

use super::Rejection;

/// Variables by which a program runs or loads code that is not in its image, or reads files as options.
const LOADERS: [&str; 32] = [
    "BASH_ENV",
    "CLASSPATH",
    "ENV",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PATH",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "PROMPT_COMMAND",
    "PYTHONBREAKPOINT",
    "PYTHONEXECUTABLE",
    "PYTHONHOME",
    "PYTHONINSPECT",
    "PYTHONPATH",
    "PYTHONPLATLIBDIR",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "PYTHONWARNINGS",
    "RUBYLIB",
    "RUBYOPT",
    "R_ENVIRON",
    "R_ENVIRON_USER",
    "R_PROFILE",
    "R_PROFILE_USER",
    "_JAVA_OPTIONS",
];
/// Prefixes of such variables.
const LOADER_PREFIXES: [&str; 2] = ["BASH_FUNC_", "LD_"];

/// Whether a unit may set its variables.
pub(super) fn check(object: &ComputingUnit, pool: &ComputingUnitPool) -> Result<(), Rejection> {
    let refuse = |field: &str, why: &str, what_to_do: &str| {
        let message = format!("{field}: pool {:?} {why}: {what_to_do}", pool.name_any());
        Err(Rejection::new(Reason::EnvNotAllowed, message))
    };
    let listed = policy(pool) == EnvPolicy::Listed;
    let names = pool.spec.env.iter().flat_map(|env| &env.names);
    for variable in &object.spec.env {
        let name = &variable.name;
        if names.clone().any(|allowed| allowed == name) {
            continue;
        }
        let why = match (listed, is_loader(name)) {
            (true, _) => "allows only variables that it lists",
            (false, true) => "does not allow variables that change which code a program loads",
            (false, false) => continue,
        };
        return refuse(&format!("spec.env[{name}]"), why, "remove it, or have it added to spec.env.names of the pool");
    }
    for (index, source) in object.spec.env_from.iter().enumerate() {
        let field = format!("spec.envFrom[{index}]");
        if listed {
            let instead = "refer to each key in spec.env instead";
            return refuse(&field, "allows only variables that it lists", instead);
        }
        if source.prefix.as_deref().is_some_and(begins_loader) {
            let why = "does not allow a prefix of variables that change which code a program loads";
            return refuse(&field, why, "use another prefix");
        }
    }
    Ok(())
}

/// The policy of the pool, which is stricter than its default if the template has `envFrom`.
fn policy(pool: &ComputingUnitPool) -> EnvPolicy {
    let engine = pool.spec.template.spec.as_ref().and_then(|pod| pod.containers.first());
    if engine.is_some_and(|engine| engine.env_from.as_ref().is_some_and(|sources| !sources.is_empty())) {
        return EnvPolicy::Listed;
    }
    pool.spec.env.as_ref().map(|env| env.policy).unwrap_or_default()
}

fn is_loader(name: &str) -> bool {
    LOADERS.contains(&name) || LOADER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a variable with this prefix may be a loader's.
fn begins_loader(prefix: &str) -> bool {
    let begins = |name: &&str| !prefix.is_empty() && name.starts_with(prefix);
    is_loader(prefix) || LOADERS.iter().chain(&LOADER_PREFIXES).any(begins)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing;

    fn pool(env: &Value, env_from: &Value) -> ComputingUnitPool {
        let mut pool = serde_json::to_value(testing::pool(testing::query_routing())).unwrap();
        pool["spec"]["env"] = env.clone();
        pool["spec"]["template"]["spec"]["containers"][0]["envFrom"] = env_from.clone();
        serde_json::from_value(pool).unwrap()
    }

    fn allowed(spec: &Value, pool: &ComputingUnitPool) -> bool {
        let mut unit = testing::unit("ada", Some(42), "2026-01-01T00:00:00Z");
        unit.spec = serde_json::from_value(spec.clone()).unwrap();
        let result = check(&unit, pool);
        assert!(result.as_ref().is_ok_and(|()| true) || result.as_ref().unwrap_err().reason == Reason::EnvNotAllowed);
        result.is_ok()
    }

    fn sets(name: &str) -> Value {
        json!({"env": [{"name": name, "value": "x"}]})
    }

    #[test]
    fn variable_from_env_from_of_the_template_cannot_be_overridden() {
        let from = json!([{"secretRef": {"name": "settings"}}]);
        for env in [Value::Null, json!({}), json!({"policy": "Listed"})] {
            assert!(!allowed(&sets("STORAGE_ENDPOINT"), &pool(&env, &from)));
        }
        let listed = pool(&json!({"policy": "Listed", "names": ["USER_JWT_TOKEN"]}), &from);
        assert!(allowed(&sets("USER_JWT_TOKEN"), &listed));
        assert!(!allowed(&sets("STORAGE_ENDPOINT"), &listed));
        assert!(!allowed(&json!({"envFrom": [{"secretRef": {"name": "mine"}}]}), &listed));
    }

    #[test]
    fn any_variable_but_a_loader_is_allowed_by_default() {
        let default = pool(&Value::Null, &Value::Null);
        assert!(allowed(&sets("JAVA_OPTS"), &default));
        assert!(allowed(&json!({"envFrom": [{"secretRef": {"name": "mine"}}]}), &default));
        for name in ["LD_PRELOAD", "LD_AUDIT", "BASH_ENV", "ENV", "PYTHONPATH", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"] {
            assert!(!allowed(&sets(name), &default), "{name}");
            assert!(allowed(&sets(name), &pool(&json!({"names": [name]}), &Value::Null)), "{name}");
        }
        for (prefix, expected) in [("LD_", false), ("LD_X", false), ("JAVA_TOOL_", false), ("MY_", true), ("", true)] {
            let spec = json!({"envFrom": [{"prefix": prefix, "secretRef": {"name": "mine"}}]});
            assert_eq!(allowed(&spec, &default), expected, "{prefix}");
        }
    }
}
