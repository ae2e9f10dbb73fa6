//! The layout of a cluster: directories, sockets, network and addresses. All are derived from its name and from a
//! number that is unique on the machine.

use std::{
    env, fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

use super::lock;

/// The variable with the name of the cluster, if it is not that of the checkout.
const NAME: &str = "CLUSTER_NAME";
/// The maximum number of clusters on a machine.
const MOST: u8 = 200;

/// One cluster.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Its name.
    pub name: String,
    /// Its number.
    pub index: u8,
}

/// The name of the current cluster: from the environment, or else derived from the path of the checkout.
///
/// # Errors
/// If the name is not valid in the name of a network namespace.
pub fn name() -> anyhow::Result<String> {
    let name = match env::var(NAME) {
        Ok(name) if !name.is_empty() => name,
        _ => {
            let digest = format!("{:x}", Sha256::digest(checkout().as_os_str().as_encoded_bytes()));
            format!("dev-{}", &digest[..6])
        }
    };
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!(
        (1..=32).contains(&name.len()) && name.chars().all(fits) && !name.starts_with('-') && !name.ends_with('-'),
        "{NAME}={name}: use at most 32 lower-case letters, digits and '-'"
    );
    Ok(name)
}

/// The root of the checkout.
#[must_use]
pub fn checkout() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The cache that all clusters share: compiled programs and images.
///
/// # Errors
/// If `HOME` is not set.
pub fn cache() -> anyhow::Result<PathBuf> {
    folder("XDG_CACHE_HOME", ".cache")
}

/// The state of clusters.
///
/// # Errors
/// If `HOME` is not set.
pub fn states() -> anyhow::Result<PathBuf> {
    folder("XDG_STATE_HOME", ".local/state")
}

fn folder(variable: &str, default: &str) -> anyhow::Result<PathBuf> {
    let base = match env::var_os(variable).filter(|base| !base.is_empty()) {
        Some(base) => PathBuf::from(base),
        None => PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(default),
    };
    Ok(base.join("computing-unit-operator"))
}

impl Layout {
    /// The layout of the cluster with this name. Assigns a number to the cluster if it has none.
    ///
    /// # Errors
    /// If all numbers are in use.
    pub fn claim(name: &str) -> anyhow::Result<Self> {
        let _lock = lock::hold(&states()?.join("numbers.lock"))?;
        if let Some(layout) = Self::find(name)? {
            return Ok(layout);
        }
        let numbers = states()?.join("numbers");
        fs::create_dir_all(&numbers)?;
        for index in 0..MOST {
            let path = numbers.join(index.to_string());
            if !path.exists() && !in_use(index) {
                fs::write(&path, name)?;
                return Ok(Self { name: name.to_owned(), index });
            }
        }
        bail!("there are {MOST} clusters on this machine: remove some with `make down`")
    }

    /// The layout of the cluster with this name, if it exists.
    ///
    /// # Errors
    /// If the state directory cannot be read.
    pub fn find(name: &str) -> anyhow::Result<Option<Self>> {
        Ok(Self::all()?.into_iter().find(|layout| layout.name == name))
    }

    /// The layout of the local cluster with a node of this name, if there is one.
    ///
    /// # Errors
    /// If the state directory cannot be read.
    pub fn of_node(node: &str) -> anyhow::Result<Option<Self>> {
        Ok(Self::all()?.into_iter().find(|layout| layout.node() == node))
    }

    /// All clusters on this machine.
    ///
    /// # Errors
    /// If the state directory cannot be read.
    pub fn all() -> anyhow::Result<Vec<Self>> {
        let Ok(numbers) = fs::read_dir(states()?.join("numbers")) else { return Ok(vec![]) };
        let mut all = vec![];
        for number in numbers {
            let path = number?.path();
            let index = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            if let (Some(index), Ok(name)) = (index, fs::read_to_string(&path)) {
                all.push(Self { name, index });
            }
        }
        Ok(all)
    }

    /// Releases the number.
    ///
    /// # Errors
    /// If its file cannot be removed.
    pub fn release(&self) -> anyhow::Result<()> {
        let _lock = lock::hold(&states()?.join("numbers.lock"))?;
        let path = states()?.join("numbers").join(self.index.to_string());
        if path.exists() {
            fs::remove_file(path)?;
        }
        Ok(())
    }

    /// The lock for starting and stopping the cluster.
    ///
    /// # Errors
    /// If `HOME` is not set.
    pub fn lock(name: &str) -> anyhow::Result<lock::Lock> {
        lock::hold(&states()?.join(format!("{name}.lock")))
    }

    /// The state directory.
    ///
    /// # Errors
    /// If `HOME` is not set.
    pub fn state(&self) -> anyhow::Result<PathBuf> {
        Ok(states()?.join("clusters").join(&self.name))
    }

    /// The directory of sockets, whose paths have to be short.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        PathBuf::from(format!("/run/cu-{}", self.name))
    }

    /// The name of the network namespace, the node and its cgroup.
    #[must_use]
    pub fn node(&self) -> String {
        format!("cu-{}", self.name)
    }

    /// The two ends of the veth pair between the machine and the node.
    #[must_use]
    pub fn links(&self) -> (String, String) {
        (format!("cuh{}", self.index), format!("cun{}", self.index))
    }

    /// The address of the machine on that link.
    #[must_use]
    pub const fn host(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 210, self.index, 1)
    }

    /// The address of the node.
    #[must_use]
    pub const fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 210, self.index, 2)
    }

    /// The pod CIDR.
    #[must_use]
    pub fn pods(&self) -> String {
        format!("10.211.{}.0/24", self.index)
    }

    /// The Service CIDR.
    #[must_use]
    pub fn services(&self) -> String {
        format!("10.212.{}.0/24", self.index)
    }

    /// A fixed address of a Service.
    #[must_use]
    pub const fn service(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 212, self.index, last)
    }

    /// The kubeconfig of cluster-admin.
    ///
    /// # Errors
    /// If `HOME` is not set.
    pub fn kubeconfig(&self) -> anyhow::Result<PathBuf> {
        Ok(self.state()?.join("kubeconfig"))
    }

    /// The socket of containerd.
    #[must_use]
    pub fn containerd(&self) -> PathBuf {
        self.run().join("containerd.sock")
    }
}

/// Whether the machine already has a route in one of the networks.
fn in_use(index: u8) -> bool {
    let routes = super::shell::run("ip", ["-4", "route", "show"]).unwrap_or_default();
    [210, 211, 212].iter().any(|net| routes.contains(&format!("10.{net}.{index}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_share_nothing() {
        let a = Layout { name: "a".into(), index: 0 };
        let b = Layout { name: "b".into(), index: 1 };
        assert_ne!(a.node(), b.node());
        assert_ne!(a.links(), b.links());
        assert_ne!((a.address(), a.pods(), a.services()), (b.address(), b.pods(), b.services()));
        assert_ne!(a.run(), b.run());
        let last = Layout { name: "x".repeat(32), index: MOST };
        assert!(last.links().0.len() <= 15, "the kernel takes no longer names");
    }

    #[test]
    fn a_checkout_has_a_name_of_its_own() {
        let name = name().unwrap();
        assert!(env::var(NAME).is_ok() || name.starts_with("dev-"), "{name}");
    }
}
