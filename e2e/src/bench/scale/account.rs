//! The operator's own credentials: a token of its service account, like that of an installed operator.

use std::io::Write;

use anyhow::Context;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::attach::Cluster;

/// The name that the rights of the fixture are bound to.
const NAME: &str = "computing-unit-operator";
/// How long the token is valid.
const VALID: i64 = 24 * 60 * 60;

/// Writes a kubeconfig with a token of the operator's service account in this namespace. It is removed on drop.
///
/// # Errors
/// If the API server rejects the account or the token.
pub async fn kubeconfig(cluster: &Cluster, namespace: &str) -> anyhow::Result<NamedTempFile> {
    let accounts = Api::<ServiceAccount>::namespaced(cluster.client(), namespace);
    let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
    let made = accounts.create(&PostParams::default(), &ServiceAccount { metadata, ..ServiceAccount::default() }).await;
    if let Err(error) = made
        && !matches!(&error, kube::Error::Api(status) if status.code == 409)
    {
        return Err(error.into());
    }
    let spec = TokenRequestSpec { expiration_seconds: Some(VALID), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let token = accounts.create_token_request(NAME, &PostParams::default(), &request).await?;
    let token = token.status.context("no token")?.token;

    let mut config: Value = serde_saphyr::from_str(&std::fs::read_to_string(cluster.kubeconfig())?)?;
    let users = config["users"].as_array_mut().context("the kubeconfig has no users")?;
    for user in users {
        user["user"] = json!({"token": token});
    }
    let mut file = NamedTempFile::new()?;
    // JSON is YAML.
    file.write_all(config.to_string().as_bytes())?;
    Ok(file)
}
