//! The client, as configured by the options and the kubeconfig.

use std::{path::PathBuf, time::Duration};

use kube::{
    Api, Client, Config, ResourceExt,
    config::{KubeConfigOptions, KubeconfigError},
};
use tokio::time::timeout;

use crate::{
    explain::{self, Target},
    kubeconfig::{default_files, read},
    logging,
    object::Unit,
    options::ConnectionArgs,
};

/// A client for a cluster. Creating it does not send a request.
pub struct Connection {
    /// Client.
    pub client: Client,
    /// Namespace of the option `--namespace`, or of the context.
    pub namespace: String,
    /// URL of the API server and of its proxy, for messages.
    pub server: String,
    /// Options that select the cluster and the user, for commands in messages.
    pub flags: String,
    /// Timeout of a request. Zero disables it.
    pub request_timeout: Duration,
}

impl Connection {
    /// API for the units of a namespace.
    pub fn units(&self, namespace: &str) -> Api<Unit> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// API for the units of all namespaces, or of the selected one.
    pub fn units_in(&self, all_namespaces: bool) -> Api<Unit> {
        if all_namespaces { Api::all(self.client.clone()) } else { self.units(&self.namespace) }
    }

    /// The target of a request that is not for a single unit.
    pub fn here(&self) -> Target<'_> {
        Target { name: "", namespace: &self.namespace, server: &self.server, flags: &self.flags }
    }

    /// The target of a request for a name in the namespace of the connection.
    pub fn named<'a>(&'a self, name: &'a str) -> Target<'a> {
        Target { name, ..self.here() }
    }

    /// The target of a request for a unit.
    pub fn target<'a>(&'a self, unit: &'a Unit) -> Target<'a> {
        let name = unit.metadata.name.as_deref().unwrap_or_default();
        Target { name, namespace: unit.metadata.namespace.as_deref().unwrap_or(&self.namespace), ..self.here() }
    }

    /// The namespace of a unit.
    pub fn namespace_of(&self, unit: &Unit) -> String {
        unit.namespace().unwrap_or_else(|| self.namespace.clone())
    }

    /// Sends a request.
    ///
    /// # Errors
    /// Messages for the user.
    pub async fn request<T>(
        &self,
        target: Target<'_>,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Vec<String>> {
        let response = match self.request_timeout {
            Duration::ZERO => request.await,
            limit => match timeout(limit, request).await {
                Ok(response) => response,
                Err(_) => return Err(vec![explain::timed_out(target, limit)]),
            },
        };
        response.map_err(|error| explain::request(&error, target))
    }
}

/// A client cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no kubeconfig, and the program does not run in a pod.
    #[error("no kubeconfig found at {0}; use --kubeconfig or KUBECONFIG")]
    NoKubeconfig(String),
    /// `--as-group` or `--as-uid` without `--as`.
    #[error("--as-group and --as-uid require --as")]
    NobodyImpersonated,
    /// `--client-certificate` without `--client-key`, or the other way round, and the kubeconfig does not have the other.
    #[error("--client-certificate and --client-key require each other")]
    HalfIdentity,
    /// `--server` is not a URL.
    #[error("invalid --server: {0}")]
    Server(http::uri::InvalidUri),
    /// The kubeconfig does not have the user.
    #[error("user {0:?} does not exist in the kubeconfig; see kubectl config get-users")]
    NoUser(String),
    /// The kubeconfig is invalid.
    #[error("{}", explain::kubeconfig(.0))]
    Kubeconfig(#[from] KubeconfigError),
    /// The credential plugin of the kubeconfig fails.
    #[error("cannot run the credential plugin {command:?} of the kubeconfig: {}", explain::innermost(.error))]
    Login {
        /// Command of the plugin.
        command: String,
        /// Error of the plugin.
        error: Box<kube::Error>,
    },
    /// Certificates, keys or the proxy of the kubeconfig are invalid.
    #[error("invalid kubeconfig: {}", explain::innermost(.0))]
    Client(Box<kube::Error>),
}

/// Reads the kubeconfig and creates a client. No request is sent.
///
/// # Errors
/// If the kubeconfig is missing or invalid.
pub async fn connect(args: &ConnectionArgs) -> Result<Connection, Error> {
    if args.impersonate.is_none() && (!args.impersonate_groups.is_empty() || args.impersonate_uid.is_some()) {
        return Err(Error::NobodyImpersonated);
    }
    logging::start(args.verbosity);
    let mut config = config(args).await?;
    overridden(&mut config, args)?;
    let user = &config.auth_info;
    let certificate = user.client_certificate.is_some() || user.client_certificate_data.is_some();
    if certificate != (user.client_key.is_some() || user.client_key_data.is_some()) {
        return Err(Error::HalfIdentity);
    }
    let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let mut server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    if let Some(proxy) = &config.proxy_url {
        server = format!("{server} (via proxy {proxy})");
    }
    let login = config.auth_info.exec.as_ref().and_then(|exec| exec.command.clone());
    let client = Client::try_from(config).map_err(|error| match (error, login) {
        (kube::Error::InferKubeconfig(error), _) => Error::Kubeconfig(error),
        (error @ kube::Error::Auth(_), Some(command)) => Error::Login { command, error: Box::new(error) },
        (error, _) => Error::Client(Box::new(error)),
    })?;
    Ok(Connection { client, namespace, server, flags: flags(args), request_timeout: args.request_timeout })
}

/// Applies the options that precede the kubeconfig.
fn overridden(config: &mut Config, args: &ConnectionArgs) -> Result<(), Error> {
    if let Some(server) = &args.server {
        config.cluster_url = url(server)?;
    }
    if let Some(token) = &args.token {
        config.auth_info.token = Some(token.clone().into());
        config.auth_info.token_file = None;
        config.auth_info.exec = None;
    }
    if let Some(file) = &args.client_certificate {
        config.auth_info.client_certificate = Some(file.display().to_string());
        config.auth_info.client_certificate_data = None;
    }
    if let Some(file) = &args.client_key {
        config.auth_info.client_key = Some(file.display().to_string());
        config.auth_info.client_key_data = None;
    }
    if let Some(name) = &args.tls_server_name {
        config.tls_server_name = Some(name.clone());
    }
    if args.insecure_skip_tls_verify {
        config.accept_invalid_certs = true;
        config.root_cert = None;
    }
    if args.impersonate.is_some() {
        config.auth_info.impersonate.clone_from(&args.impersonate);
        config.auth_info.impersonate_uid.clone_from(&args.impersonate_uid);
        config.auth_info.impersonate_groups =
            (!args.impersonate_groups.is_empty()).then(|| args.impersonate_groups.clone());
    }
    Ok(())
}

/// The URL of an API server. kubectl assumes http as well.
fn url(server: &str) -> Result<http::Uri, Error> {
    let url = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    url.parse().map_err(Error::Server)
}

/// The options that select the cluster and the user. A token is not repeated.
fn flags(args: &ConnectionArgs) -> String {
    let kubeconfig = args.kubeconfig.as_ref().map(|file| file.display().to_string());
    let given = [
        ("kubeconfig", kubeconfig.as_ref()),
        ("context", args.context.as_ref()),
        ("cluster", args.cluster.as_ref()),
        ("user", args.user.as_ref()),
        ("server", args.server.as_ref()),
        ("as", args.impersonate.as_ref()),
    ];
    let flag = |(name, value): (&str, Option<&String>)| Some(format!(" --{name}={}", quoted(value?)));
    given.into_iter().filter_map(flag).collect()
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

async fn config(args: &ConnectionArgs) -> Result<Config, Error> {
    let options =
        KubeConfigOptions { context: args.context.clone(), cluster: args.cluster.clone(), user: args.user.clone() };
    let candidates = match &args.kubeconfig {
        Some(file) => vec![file.clone()],
        None => default_files(),
    };
    // The file of --kubeconfig must exist. Of the default files, kubectl skips those that do not.
    let files: Vec<_> =
        candidates.iter().filter(|file| args.kubeconfig.is_some() || file.exists()).map(PathBuf::as_path).collect();
    if files.is_empty() {
        let none = || {
            Error::NoKubeconfig(candidates.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", "))
        };
        if args.server.is_none() {
            return Config::incluster().map_err(|_| none());
        }
    }
    let mut kubeconfig = read(&files, args)?;
    if let Some(file) = &args.certificate_authority {
        for cluster in kubeconfig.clusters.iter_mut().filter_map(|cluster| cluster.cluster.as_mut()) {
            cluster.certificate_authority = Some(file.display().to_string());
            cluster.certificate_authority_data = None;
        }
    }
    if let Some(user) = &args.user
        && !kubeconfig.auth_infos.iter().any(|known| known.name == *user)
    {
        return Err(Error::NoUser(user.clone()));
    }
    Ok(Config::from_custom_kubeconfig(kubeconfig, &options).await?)
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    /// Connects with a kubeconfig that has the context `c` and this user.
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
    async fn namespace_of_the_option_takes_precedence_over_the_context() {
        let connection = connected("context", "{}", ConnectionArgs::default()).await.unwrap();
        assert_eq!(connection.namespace, "team");
        assert_eq!(connection.server, "http://k:1 (via proxy http://p:2/)");
        let args = ConnectionArgs { namespace: Some("lab".into()), ..ConnectionArgs::default() };
        assert_eq!(connected("option", "{}", args).await.unwrap().namespace, "lab");
    }

    #[tokio::test]
    async fn error_names_the_missing_entry_of_the_kubeconfig() {
        let named = |name: &str| Some(name.to_owned());
        for (args, expected) in [
            (ConnectionArgs { context: named("x"), ..ConnectionArgs::default() }, "context \"x\" does not exist"),
            (ConnectionArgs { cluster: named("y"), ..ConnectionArgs::default() }, "cluster \"y\" does not exist"),
            (ConnectionArgs { user: named("z"), ..ConnectionArgs::default() }, "user \"z\" does not exist"),
        ] {
            let error = connected(expected.split('"').nth(1).unwrap(), "{}", args).await.err().unwrap();
            assert!(error.contains(expected), "{error}");
        }
        let none = connect(&ConnectionArgs { kubeconfig: Some("/none".into()), ..ConnectionArgs::default() }).await;
        assert!(none.err().unwrap().to_string().starts_with("cannot read kubeconfig /none: "));
    }

    #[tokio::test]
    async fn options_precede_the_kubeconfig_and_are_repeated_in_commands() {
        let args = ConnectionArgs {
            server: Some("https://other:6443".into()),
            context: Some("c".into()),
            impersonate: Some("o'hara".into()),
            ..ConnectionArgs::default()
        };
        let connection = connected("server", "{}", args).await.unwrap();
        assert_eq!(connection.server, "https://other:6443 (via proxy http://p:2/)");
        assert!(
            connection.flags.ends_with("--context=c --server=https://other:6443 --as='o'\\''hara'"),
            "{}",
            connection.flags
        );
        let file = |name: &str| Some(PathBuf::from(name));
        let args = ConnectionArgs { client_certificate: file("/none"), ..ConnectionArgs::default() };
        assert!(connected("half", "{}", args).await.err().unwrap().contains("require each other"));
        let args = ConnectionArgs {
            client_certificate: file("/none"),
            client_key: file("/none"),
            ..ConnectionArgs::default()
        };
        let mut config = Config::new(url("https://k").unwrap());
        config.auth_info.client_certificate_data = Some("of the kubeconfig".into());
        overridden(&mut config, &args).unwrap();
        assert_eq!(config.auth_info.client_certificate.as_deref(), Some("/none"));
        assert!(config.auth_info.client_certificate_data.is_none());
        let args = ConnectionArgs { impersonate_uid: Some("u".into()), ..ConnectionArgs::default() };
        assert!(connected("uid", "{}", args).await.err().unwrap().contains("require --as"));
    }

    #[tokio::test]
    async fn error_names_the_credential_plugin_that_cannot_run() {
        let exec =
            "{exec: {apiVersion: client.authentication.k8s.io/v1, command: /none/login, interactiveMode: Never}}";
        let error = connected("login", exec, ConnectionArgs::default()).await.err().unwrap();
        assert!(
            error.starts_with("cannot run the credential plugin \"/none/login\" of the kubeconfig: No such file"),
            "{error}"
        );
    }
}
