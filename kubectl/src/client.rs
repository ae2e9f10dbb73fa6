//! Which cluster and namespace: as kubectl decides it.

use std::{path::Path, time::Duration};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::{args::Cluster, refusal::Failure};

/// A client whose default namespace is the one to create in.
pub async fn client(cluster: &Cluster) -> Result<Client, Failure> {
    let mut config = config(cluster).await?;
    config.connect_timeout = Some(Duration::from_secs(10));
    // The API server ends a watch within 290 s; what is silent for longer is dead.
    config.read_timeout = Some(Duration::from_secs(300));
    let server = config.cluster_url.to_string();
    Client::try_from(config).map_err(|error| Failure::Client { server, error: Box::new(error) })
}

/// The namespace to create in, `default` where no kubeconfig says otherwise.
pub async fn namespace(cluster: &Cluster) -> String {
    match &cluster.namespace {
        Some(namespace) => namespace.clone(),
        None => config(cluster).await.map_or_else(|_| "default".to_owned(), |config| config.default_namespace),
    }
}

async fn config(cluster: &Cluster) -> Result<Config, Failure> {
    let options = KubeConfigOptions {
        context: cluster.context.clone(),
        cluster: cluster.cluster.clone(),
        user: cluster.user.clone(),
    };
    let given = cluster.kubeconfig.as_deref();
    let failure = |error| Failure::Kubeconfig { path: given.map(Path::to_owned), error: Box::new(error) };
    let mut config = match given {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(failure)?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(failure)?
        }
        None if options.context.is_none() && options.cluster.is_none() && options.user.is_none() => {
            Config::infer().await.map_err(|error| Failure::NoCluster(Box::new(error)))?
        }
        None => Config::from_kubeconfig(&options).await.map_err(failure)?,
    };
    if let Some(namespace) = &cluster.namespace {
        config.default_namespace.clone_from(namespace);
    }
    Ok(config)
}
