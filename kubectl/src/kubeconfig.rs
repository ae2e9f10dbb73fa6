//! Kubeconfigs: where they are, and one for a server without any.

use std::{
    env,
    path::{Path, PathBuf},
};

use kube::config::{
    AuthInfo, Cluster, Context, Kubeconfig, KubeconfigError, NamedAuthInfo, NamedCluster, NamedContext,
};

use crate::options::ConnectionArgs;

/// A kubeconfig with the server of `--server` and a user without credentials.
fn of_server(args: &ConnectionArgs) -> Kubeconfig {
    let name = "server".to_owned();
    let cluster = Cluster { server: args.server.clone(), ..Cluster::default() };
    let context = Context { cluster: name.clone(), user: Some(name.clone()), ..Context::default() };
    Kubeconfig {
        clusters: vec![NamedCluster { name: name.clone(), cluster: Some(cluster), ..NamedCluster::default() }],
        auth_infos: vec![NamedAuthInfo {
            name: name.clone(),
            auth_info: Some(AuthInfo::default()),
            ..NamedAuthInfo::default()
        }],
        contexts: vec![NamedContext { name: name.clone(), context: Some(context), ..NamedContext::default() }],
        current_context: Some(name),
        ..Kubeconfig::default()
    }
}

/// The files of `KUBECONFIG`, or the usual one.
pub fn default_files() -> Vec<PathBuf> {
    let named: Vec<_> = env::var_os("KUBECONFIG")
        .map(|list| env::split_paths(&list).filter(|file| !file.as_os_str().is_empty()).collect())
        .unwrap_or_default();
    if named.is_empty() { env::home_dir().map(|home| home.join(".kube/config")).into_iter().collect() } else { named }
}

/// Merges kubeconfigs. The first file that sets a value takes precedence. With `--server`, kubectl needs neither a kubeconfig
/// nor a current context.
///
/// # Errors
/// If a file cannot be read.
pub fn read(files: &[&Path], args: &ConnectionArgs) -> Result<Kubeconfig, KubeconfigError> {
    let all = files.iter().try_fold(Kubeconfig::default(), |all, file| all.merge(Kubeconfig::read_from(file)?))?;
    let current = all.current_context.as_ref().is_some_and(|name| !name.is_empty());
    let selected = current || args.context.is_some() || args.cluster.is_some() || args.user.is_some();
    Ok(if args.server.is_some() && !selected { of_server(args) } else { all })
}
