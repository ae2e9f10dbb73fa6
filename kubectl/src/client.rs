//! From the options and the kubeconfig to a client: which cluster, which namespace, and as whom.

use std::{
    env,
    path::{Path, PathBuf},
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use crate::{args::ConnectionArgs, refusal};

/// A way to a cluster; whether anybody answers there is not known yet.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// The namespace of the option, else of the context.
    pub namespace: String,
    /// URL of the API server.
    pub server: String,
}

/// There is no way to a cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No file, and not in a pod.
    #[error("no cluster to talk to: there is no kubeconfig at {0}; give one with --kubeconfig or KUBECONFIG")]
    NoKubeconfig(String),
    /// `--user` is not in the kubeconfig.
    #[error("there is no user {0:?} in the kubeconfig: kubectl config get-users shows those that there are")]
    NoUser(String),
    /// The kubeconfig.
    #[error("{}", refusal::kubeconfig(.0))]
    Kubeconfig(#[from] KubeconfigError),
    /// What the kubeconfig says makes no client: certificates, keys, a proxy.
    #[error("the kubeconfig cannot be used: {0}")]
    Client(#[source] Box<kube::Error>),
}

/// Reads the kubeconfig and makes a client; the API server is not asked yet.
///
/// # Errors
/// Where the kubeconfig is missing, says too little, or names files that cannot be read.
pub async fn connect(args: &ConnectionArgs) -> Result<Connection, Error> {
    let mut config = config(args).await?;
    if args.impersonate.is_some() {
        config.auth_info.impersonate.clone_from(&args.impersonate);
        config.auth_info.impersonate_groups =
            (!args.impersonate_groups.is_empty()).then(|| args.impersonate_groups.clone());
    }
    let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let client = Client::try_from(config).map_err(|error| Error::Client(Box::new(error)))?;
    Ok(Connection { client, namespace, server })
}

async fn config(args: &ConnectionArgs) -> Result<Config, Error> {
    let options =
        KubeConfigOptions { context: args.context.clone(), cluster: args.cluster.clone(), user: args.user.clone() };
    let wanted = match &args.kubeconfig {
        Some(file) => vec![file.clone()],
        None => usual_files(),
    };
    // A file that was asked for by name has to be there; of the usual ones, kubectl takes those that are.
    let files: Vec<_> =
        wanted.iter().filter(|file| args.kubeconfig.is_some() || file.exists()).map(PathBuf::as_path).collect();
    if files.is_empty() {
        let none =
            || Error::NoKubeconfig(wanted.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", "));
        return Config::incluster().map_err(|_| none());
    }
    let kubeconfig = read(&files)?;
    if let Some(user) = &args.user
        && !kubeconfig.auth_infos.iter().any(|known| known.name == *user)
    {
        return Err(Error::NoUser(user.clone()));
    }
    Ok(Config::from_custom_kubeconfig(kubeconfig, &options).await?)
}

fn usual_files() -> Vec<PathBuf> {
    let named: Vec<_> = env::var_os("KUBECONFIG")
        .map(|list| env::split_paths(&list).filter(|file| !file.as_os_str().is_empty()).collect())
        .unwrap_or_default();
    if named.is_empty() { env::home_dir().map(|home| home.join(".kube/config")).into_iter().collect() } else { named }
}

/// The first file that sets a value wins.
fn read(files: &[&Path]) -> Result<Kubeconfig, KubeconfigError> {
    files.iter().try_fold(Kubeconfig::default(), |all, file| all.merge(Kubeconfig::read_from(file)?))
}
