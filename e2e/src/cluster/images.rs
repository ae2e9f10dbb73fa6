//! The images of a cluster, built here from the programs and from this project, and brought into its containerd. Built
//! images are kept by a hash of what they are made from.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::{
    compile::compile,
    layout::{self, Layout},
    lock,
    programs::Programs,
    shell,
};

/// Where local images live: a name that no registry answers to.
pub const REPOSITORY: &str = "docker.io/local";
/// The target that static programs are built for.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// An image to be: its name, its files, and how it starts.
struct Image<'a> {
    name: &'a str,
    files: Vec<(PathBuf, String)>,
    entrypoint: &'a str,
    labels: Vec<(&'a str, &'a str)>,
}

/// Builds the images that every cluster has. Returns their archives.
///
/// # Errors
/// If one cannot be built.
pub fn base(programs: &Programs) -> anyhow::Result<Vec<PathBuf>> {
    let one = |name, program: &Path, path: &'static str| Image {
        name,
        files: vec![(program.to_owned(), path.to_owned())],
        entrypoint: path,
        labels: vec![],
    };
    let mut envoy = one("envoy:1.40.0", &programs.envoy, "/usr/local/bin/envoy");
    envoy.files.extend(libraries(&programs.envoy)?);
    [
        one("pause:1", &programs.pause, "/pause"),
        one("coredns:1.14.7", &programs.coredns, "/coredns"),
        one("envoy-gateway:1.9.1", &programs.envoy_gateway, "/usr/local/bin/envoy-gateway"),
        envoy,
    ]
    .iter()
    .map(build)
    .collect()
}

/// Builds an image with nginx. Returns its archive.
///
/// # Errors
/// If it cannot be built.
pub fn nginx(program: &Path) -> anyhow::Result<PathBuf> {
    let path = "/usr/sbin/nginx";
    let mut files = libraries(program)?;
    files.push((program.to_owned(), path.to_owned()));
    build(&Image { name: "nginx:debian", files, entrypoint: path, labels: vec![] })
}

/// The images of this project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// The operator.
    Operator,
    /// The stand-ins for Texera's engine and for its authorization.
    Engine,
}

impl Own {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Operator, Self::Engine];

    const fn package(self) -> &'static str {
        match self {
            Self::Operator => "computing-unit-operator",
            Self::Engine => "engine",
        }
    }
}

/// Compiles the programs of this project, linked so that they need nothing else, and builds their images.
///
/// # Errors
/// If they do not compile.
pub fn own(which: &[Own]) -> anyhow::Result<Vec<PathBuf>> {
    let folder = layout::checkout();
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--release", "--target", TARGET]).current_dir(&folder);
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
    // Always both: what is compiled for one alone has other features, and would all be compiled again.
    for own in Own::ALL {
        cargo.args(["--package", own.package()]);
    }
    let cache = layout::cache()?.join("images");
    fs::create_dir_all(&cache)?;
    let what = Own::ALL.map(Own::package).join(" and ");
    compile(&format!("{what} for the images"), "2 to 5 minutes", &mut cargo, &cache.join("cargo.log"))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| folder.join("target"), PathBuf::from);
    let release = target.join(TARGET).join("release");
    which
        .iter()
        .map(|own| match own {
            Own::Operator => build(&Image {
                name: "computing-unit-operator:dev",
                files: vec![(release.join("computing-unit-operator"), "/computing-unit-operator".to_owned())],
                entrypoint: "/computing-unit-operator",
                labels: vec![("org.opencontainers.image.title", "computing-unit-operator")],
            }),
            Own::Engine => build(&Image {
                name: "computing-unit-engine:dev",
                files: ["engine", "authorization"].map(|name| (release.join(name), format!("/{name}"))).into(),
                entrypoint: "/engine",
                labels: vec![],
            }),
        })
        .collect()
}

/// Brings archives into a cluster.
///
/// # Errors
/// If containerd does not take one.
pub fn import(layout: &Layout, archives: &[PathBuf]) -> anyhow::Result<()> {
    for archive in archives {
        let mut ctr = Command::new("ctr");
        ctr.arg("--address").arg(layout.containerd()).args(["--namespace", "k8s.io", "images", "import"]).arg(archive);
        shell::output(&mut ctr)?;
    }
    Ok(())
}

/// A Dockerfile, which any builder takes.
fn dockerfile(image: &Image<'_>) -> String {
    let label = |(key, value): &(_, _)| format!("LABEL {key}=\"{value}\"\n");
    let labels = image.labels.iter().map(label).collect::<Vec<_>>().concat();
    format!("FROM scratch\nCOPY root /\n{labels}USER 65532:65532\nENTRYPOINT [\"{}\"]\n", image.entrypoint)
}

fn build(image: &Image<'_>) -> anyhow::Result<PathBuf> {
    let cache = layout::cache()?.join("images");
    let text = dockerfile(image);
    let mut hash = Sha256::new();
    hash.update(&text);
    for (file, path) in &image.files {
        hash.update(path);
        hash.update(fs::read(file).with_context(|| format!("read {}", file.display()))?);
    }
    let hash = format!("{:x}", hash.finalize());
    let short = &hash[..16];
    let title = image.name.replace(':', "-");
    let archive = cache.join(format!("{title}-{short}.tar"));
    let _lock = lock::hold(&cache.join("images.lock"))?;
    if archive.exists() {
        return Ok(archive);
    }
    eprintln!("building image {}", image.name);
    // What it was before is not needed again.
    for old in fs::read_dir(&cache)?.flatten() {
        if old.file_name().to_string_lossy().starts_with(&format!("{title}-")) {
            fs::remove_file(old.path())?;
        }
    }
    let work = cache.join(format!("{title}.work"));
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    let root = work.join("root");
    fs::create_dir_all(root.join("tmp"))?;
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    for (file, path) in &image.files {
        let to = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap_or(&root))?;
        fs::copy(file, &to)?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
    }
    fs::write(work.join("Dockerfile"), text)?;
    let full = format!("{REPOSITORY}/{}", image.name);
    let part = archive.with_extension("part");
    if part.exists() {
        fs::remove_file(&part)?;
    }
    let storage = |command: &mut Command| {
        command.args(["--storage-driver", "vfs", "--root"]).arg(work.join("store"));
        command.arg("--runroot").arg(work.join("run"));
    };
    let mut bud = Command::new("buildah");
    storage(&mut bud);
    shell::output(bud.args(["bud", "--quiet", "--isolation", "chroot", "--tag", &full]).arg(&work))?;
    let mut push = Command::new("buildah");
    storage(&mut push);
    shell::output(push.args(["push", "--quiet", &full]).arg(format!("docker-archive:{}:{full}", part.display())))?;
    fs::rename(part, &archive)?;
    fs::remove_dir_all(&work)?;
    Ok(archive)
}

/// The shared libraries that a program needs, each with where it looks for it.
fn libraries(program: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let listed = shell::output(Command::new("ldd").arg(program))?;
    let words = listed.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(words.map(|path| (PathBuf::from(path), path.to_owned())).collect())
}
