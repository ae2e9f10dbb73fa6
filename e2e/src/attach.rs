//! The current cluster: a client, the Gateway and its proxies. `cu-cluster` starts the local cluster.

use std::{
    env,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use computing_unit_api::{GatewayRef, crds, gateway::Gateway};
use http::{HeaderValue, header::USER_AGENT};
use k8s_openapi::{
    api::discovery::v1::EndpointSlice, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{ListParams, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::wait::{await_condition, conditions},
};
use tokio::time::timeout;

/// The deadline until a CRD is served.
const SERVED: Duration = Duration::from_secs(30);

/// A running cluster with a Gateway.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    config: Config,
    kubeconfig: PathBuf,
    gateway: GatewayRef,
}

impl Cluster {
    /// The cluster of `KUBECONFIG`, or else of `.cluster/kubeconfig` in this directory or a parent (with
    /// `CLUSTER=current`, of `~/.kube/config`). The variable `GATEWAY` selects the Gateway as `namespace/name`
    /// (default: `envoy-gateway-system/shared`).
    ///
    /// # Errors
    /// If there is no cluster, or it has no such Gateway. The error describes what to do.
    pub async fn attach() -> anyhow::Result<Self> {
        let kubeconfig = kubeconfig()?;
        let file = Kubeconfig::read_from(&kubeconfig)?;
        let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        config.default_retry = false;
        let client = Client::try_from(config.clone())?;
        let named = env::var("GATEWAY").unwrap_or_else(|_| "envoy-gateway-system/shared".to_owned());
        let (namespace, name) =
            named.split_once('/').with_context(|| format!("GATEWAY={named}: expected namespace/name"))?;
        let gateway = GatewayRef { name: name.to_owned(), namespace: namespace.to_owned(), section_name: None };
        Api::<Gateway>::namespaced(client.clone(), namespace).get(name).await.with_context(|| {
            format!("the cluster of {} has no Gateway {named}: set GATEWAY=namespace/name", kubeconfig.display())
        })?;
        Ok(Self { client, config, kubeconfig, gateway })
    }

    /// Installs the CRDs of this source tree, and waits until the API server serves them.
    ///
    /// # Errors
    /// If they are not served in time.
    pub async fn install_definitions(&self) -> anyhow::Result<()> {
        let api = Api::<CustomResourceDefinition>::all(self.client());
        for definition in crds() {
            let name = definition.name_any();
            api.patch(&name, &PatchParams::apply("e2e").force(), &Patch::Apply(&definition)).await?;
            timeout(SERVED, await_condition(api.clone(), &name, conditions::is_crd_established()))
                .await
                .with_context(|| format!("{name} is not served"))??;
        }
        Ok(())
    }

    /// The same cluster with another Gateway.
    #[must_use]
    pub fn with_gateway(self, gateway: GatewayRef) -> Self {
        Self { gateway, ..self }
    }

    /// The same cluster, whose API server records this user agent for its client.
    ///
    /// # Errors
    /// If it is not the value of a header.
    pub fn with_user_agent(mut self, agent: &str) -> anyhow::Result<Self> {
        self.config.headers.push((USER_AGENT, HeaderValue::from_str(agent)?));
        self.client = Client::try_from(self.config.clone())?;
        Ok(self)
    }

    /// A client with the credentials of the kubeconfig.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The configuration of the client.
    #[must_use]
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// The kubeconfig file.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The Gateway that units attach to.
    #[must_use]
    pub fn gateway(&self) -> &GatewayRef {
        &self.gateway
    }

    /// The first address of the Gateway.
    ///
    /// # Errors
    /// If it has none.
    pub async fn gateway_address(&self) -> anyhow::Result<String> {
        let api = Api::<Gateway>::namespaced(self.client(), &self.gateway.namespace);
        let gateway = api.get(&self.gateway.name).await?;
        let addresses = gateway.status.and_then(|status| status.addresses).unwrap_or_default();
        addresses.into_iter().next().map(|address| address.value).context("the Gateway has no address")
    }

    /// The label selector of the objects that Envoy Gateway creates for the Gateway's proxies.
    #[must_use]
    pub fn proxy_labels(&self) -> String {
        let own = "gateway.envoyproxy.io/owning-gateway";
        format!("{own}-name={},{own}-namespace={}", self.gateway.name, self.gateway.namespace)
    }

    /// The ready proxies of the Gateway, at the port of its first HTTP listener.
    ///
    /// # Errors
    /// If the API server cannot be read, or there is none.
    pub async fn proxies(&self) -> anyhow::Result<Vec<SocketAddr>> {
        let slices = Api::<EndpointSlice>::all(self.client());
        let slices = slices.list(&ListParams::default().labels(&self.proxy_labels())).await?;
        let mut proxies = vec![];
        for slice in slices {
            let port =
                slice.ports.iter().flatten().find(|port| port.name.as_deref().is_some_and(|n| n.starts_with("http-")));
            let Some(port) = port.and_then(|port| u16::try_from(port.port?).ok()) else { continue };
            for endpoint in slice.endpoints {
                if endpoint.conditions.and_then(|conditions| conditions.ready) != Some(false) {
                    let addresses = endpoint.addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok());
                    proxies.extend(addresses.map(|address| SocketAddr::new(address, port)));
                }
            }
        }
        ensure!(!proxies.is_empty(), "no proxy of the Gateway is ready");
        Ok(proxies)
    }
}

fn kubeconfig() -> anyhow::Result<PathBuf> {
    let named = env::var_os("KUBECONFIG").and_then(|paths| env::split_paths(&paths).find(|path| path.is_file()));
    if let Some(path) = named {
        return Ok(path);
    }
    if env::var("CLUSTER").is_ok_and(|cluster| cluster == "current") {
        let usual = env::home_dir().map(|home| home.join(".kube/config")).filter(|path| path.is_file());
        return usual.context("CLUSTER=current: there is no ~/.kube/config; set KUBECONFIG");
    }
    let here = env::current_dir()?;
    let found = here.ancestors().map(|folder| folder.join(".cluster/kubeconfig")).find(|path| path.is_file());
    found.context("there is no cluster: run `make demo`, or `make cluster plugin` for the cluster alone")
}
