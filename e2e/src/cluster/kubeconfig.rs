//! Kubeconfigs that select a namespace, so that commands need no `-n`.

use anyhow::{Context, ensure};
use serde_json::Value;

/// The namespace of units in the samples, which the kubeconfig of a checkout selects.
pub const UNITS: &str = "computing-units";

/// The kubeconfig with this namespace in all its contexts.
///
/// # Errors
/// If it is not a kubeconfig.
pub fn select_namespace(kubeconfig: &str, namespace: &str) -> anyhow::Result<String> {
    let mut config: Value = serde_saphyr::from_str(kubeconfig).context("the kubeconfig is not YAML")?;
    let contexts = config["contexts"].as_array_mut().context("the kubeconfig has no contexts")?;
    for context in contexts {
        ensure!(context["context"].is_object(), "a context of the kubeconfig is empty");
        context["context"]["namespace"] = namespace.into();
    }
    Ok(serde_saphyr::to_string(&config)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_context_selects_the_namespace() {
        let config = "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n- name: a\n  context: {cluster: a, user: \
                      admin}\n";
        let selected: Value = serde_saphyr::from_str(&select_namespace(config, UNITS).unwrap()).unwrap();
        let context = &selected["contexts"][0]["context"];
        assert_eq!((&context["namespace"], &context["cluster"]), (&"computing-units".into(), &"a".into()));
        assert_eq!(selected["current-context"], "a");
        assert!(select_namespace("kind: Config", UNITS).is_err());
    }
}
