//! From the options and the kubeconfig to a client: which cluster, which namespace, and as whom.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use computing_unit_api::ComputingUnit;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use tokio::time::timeout;

use crate::{
    options::ConnectionArgs,
    refusal::{self, Asked},
};

/// A way to a cluster; whether anybody answers there is not known yet.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// The namespace of the option, else of the context.
    pub namespace: String,
    /// URL of the API server, and the way there where it is not straight; for messages.
    pub server: String,
    /// How long an answer may take, zero for no limit.
    pub limit: Duration,
}

impl Connection {
    /// The units of the namespace.
    pub fn units(&self) -> Api<ComputingUnit> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// What is asked for, for messages. An empty name stands for no unit in particular.
    pub fn asked<'a>(&'a self, name: &'a str) -> Asked<'a> {
        Asked { name, namespace: &self.namespace, server: &self.server }
    }

    /// Makes one request about the unit of that name.
    ///
    /// # Errors
    /// Why it came to nothing, as sentences.
    pub async fn within<T>(
        &self,
        name: &str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Vec<String>> {
        let answer = match self.limit {
            Duration::ZERO => request.await,
            limit => match timeout(limit, request).await {
                Ok(answer) => answer,
                Err(_) => return Err(vec![refusal::late(self.asked(name), limit)]),
            },
        };
        answer.map_err(|error| refusal::request(&error, self.asked(name)))
    }
}

/// There is no way to a cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No file, and not in a pod.
    #[error("no cluster to talk to: there is no kubeconfig at {0}; give one with --kubeconfig or KUBECONFIG")]
    NoKubeconfig(String),
    /// Groups, but nobody who is in them.
    #[error("--as-group says which groups the user of --as is in: give --as too")]
    GroupsOfNobody,
    /// `--user` is not in the kubeconfig.
    #[error("there is no user {0:?} in the kubeconfig: kubectl config get-users shows those that there are")]
    NoUser(String),
    /// The kubeconfig.
    #[error("{}", refusal::kubeconfig(.0))]
    Kubeconfig(#[from] KubeconfigError),
    /// The command that logs in does not.
    #[error("cannot log in with {command:?}, as the kubeconfig says: {}", refusal::innermost(.error))]
    Login {
        /// The command.
        command: String,
        /// What became of it.
        error: Box<kube::Error>,
    },
    /// What the kubeconfig says makes no client: certificates, keys, a proxy.
    #[error("the kubeconfig cannot be used: {}", refusal::innermost(.0))]
    Client(Box<kube::Error>),
}

/// Reads the kubeconfig and makes a client; the API server is not asked yet.
///
/// # Errors
/// Where the kubeconfig is missing, says too little, or names files that cannot be read.
pub async fn connect(args: &ConnectionArgs) -> Result<Connection, Error> {
    if args.impersonate.is_none() && !args.impersonate_groups.is_empty() {
        return Err(Error::GroupsOfNobody);
    }
    let mut config = config(args).await?;
    if args.impersonate.is_some() {
        config.auth_info.impersonate.clone_from(&args.impersonate);
        config.auth_info.impersonate_groups =
            (!args.impersonate_groups.is_empty()).then(|| args.impersonate_groups.clone());
    }
    let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let mut server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    if let Some(proxy) = &config.proxy_url {
        server = format!("{server} (by way of the proxy {proxy})");
    }
    let login = config.auth_info.exec.as_ref().and_then(|exec| exec.command.clone());
    let client = Client::try_from(config).map_err(|error| match (error, login) {
        (kube::Error::InferKubeconfig(error), _) => Error::Kubeconfig(error),
        (error @ kube::Error::Auth(_), Some(command)) => Error::Login { command, error: Box::new(error) },
        (error, _) => Error::Client(Box::new(error)),
    })?;
    Ok(Connection { client, namespace, server, limit: args.request_timeout })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A kubeconfig with one context, `c`, and what follows about its user.
    async fn connected(name: &str, user: &str, args: ConnectionArgs) -> Result<Connection, String> {
        let file = env::temp_dir().join(format!("kubeconfig-{}-{name}", std::process::id()));
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: c, clusters: [{{name: c, cluster: {{server: \
             'http://k:1/', proxy-url: 'http://p:2'}}}}], users: [{{name: u, user: {user}}}], contexts: [{{name: c, \
             context: {{cluster: c, user: u, namespace: team}}}}]}}"
        );
        std::fs::write(&file, text).unwrap();
        let connection = connect(&ConnectionArgs { kubeconfig: Some(file.clone()), ..args }).await;
        std::fs::remove_file(&file).unwrap();
        connection.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn the_namespace_is_the_options_else_the_contexts() {
        let connection = connected("context", "{}", ConnectionArgs::default()).await.unwrap();
        assert_eq!(connection.namespace, "team");
        assert_eq!(connection.server, "http://k:1 (by way of the proxy http://p:2/)");
        let args = ConnectionArgs { namespace: Some("lab".into()), ..ConnectionArgs::default() };
        assert_eq!(connected("option", "{}", args).await.unwrap().namespace, "lab");
    }

    #[tokio::test]
    async fn what_is_not_in_the_kubeconfig_is_named() {
        let named = |name: &str| Some(name.to_owned());
        for (args, says) in [
            (ConnectionArgs { context: named("x"), ..ConnectionArgs::default() }, "no context \"x\""),
            (ConnectionArgs { cluster: named("y"), ..ConnectionArgs::default() }, "no cluster \"y\""),
            (ConnectionArgs { user: named("z"), ..ConnectionArgs::default() }, "no user \"z\""),
        ] {
            let error = connected(says.split('"').nth(1).unwrap(), "{}", args).await.err().unwrap();
            assert!(error.contains(says), "{error}");
        }
        let none = connect(&ConnectionArgs { kubeconfig: Some("/none".into()), ..ConnectionArgs::default() }).await;
        assert!(none.err().unwrap().to_string().starts_with("cannot read kubeconfig /none: "));
    }

    #[tokio::test]
    async fn a_login_that_cannot_be_run_is_named() {
        let exec =
            "{exec: {apiVersion: client.authentication.k8s.io/v1, command: /none/login, interactiveMode: Never}}";
        let error = connected("login", exec, ConnectionArgs::default()).await.err().unwrap();
        assert!(
            error.starts_with("cannot log in with \"/none/login\", as the kubeconfig says: No such file"),
            "{error}"
        );
    }
}
