//! The images of a cluster, which are built from the programs and from this project, and imported into containerd.
//! Images are cached by a hash of their content.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::{
    layout::{self, Layout},
    lock,
    programs::Programs,
    shell,
};
use crate::built;

/// The repository of local images. Nobody can publish an image of this name: `localhost` is each node itself.
pub const REPOSITORY: &str = "localhost";

/// The description of an image: its name, files and entrypoint.
struct Image<'a> {
    name: &'a str,
    files: Vec<(PathBuf, String)>,
    entrypoint: &'a str,
}

/// Builds the images that every cluster needs. Returns their archives.
///
/// # Errors
/// If a build fails.
pub fn base(programs: &Programs) -> anyhow::Result<Vec<PathBuf>> {
    let one = |name, program: &Path, path: &'static str| Image {
        name,
        files: vec![(program.to_owned(), path.to_owned())],
        entrypoint: path,
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
    build(&Image { name: "nginx:debian", files, entrypoint: path })
}

/// The images of this project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Own {
    /// The operator.
    Operator,
    /// The stand-ins for Texera's engine, its authorization and its agent service.
    Engine,
}

impl Own {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Operator, Self::Engine];

    const fn name(self) -> &'static str {
        match self {
            Self::Operator => "computing-unit-operator:dev",
            Self::Engine => "computing-unit-engine:dev",
        }
    }

    /// The programs in the image. The first one is the entrypoint.
    const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Operator => &["computing-unit-operator"],
            Self::Engine => &["engine", "authorization", "agent", "grpc"],
        }
    }
}

/// Builds an image from programs that were built together with this one and their libraries. Returns its archive.
///
/// # Errors
/// If a program is not built, or the build of the image fails.
pub fn own(own: Own) -> anyhow::Result<PathBuf> {
    let mut files = vec![];
    for name in own.programs() {
        let program = built::program(name)?;
        files.extend(libraries(&program)?);
        files.push((program, format!("/{name}")));
    }
    files.sort_by(|one, other| one.1.cmp(&other.1));
    files.dedup();
    let entrypoint = format!("/{}", own.programs()[0]);
    build(&Image { name: own.name(), files, entrypoint: &entrypoint })
}

/// Imports archives into a cluster, except those that were imported already.
///
/// # Errors
/// If containerd rejects one.
pub fn import(layout: &Layout, archives: &[PathBuf]) -> anyhow::Result<()> {
    let imported = layout.state()?.join("imported");
    fs::create_dir_all(&imported)?;
    for archive in archives {
        let title = archive.file_name().context("the archive has no file name")?;
        let newest = imported.join(image_title(&title.to_string_lossy()));
        if fs::read(&newest).is_ok_and(|known| known == title.as_encoded_bytes()) {
            continue;
        }
        let mut ctr = Command::new("ctr");
        ctr.arg("--address").arg(layout.containerd()).args(["--namespace", "k8s.io", "images", "import"]).arg(archive);
        shell::output(&mut ctr)?;
        fs::write(newest, title.as_encoded_bytes())?;
    }
    Ok(())
}

/// The part of an archive's name that is common to all builds of an image: archives are named `title-hash.tar`.
fn image_title(archive: &str) -> &str {
    archive.rsplit_once('-').map_or(archive, |(title, _)| title)
}

/// The reference by digest of an image of the cluster, under which it can be run from then on.
///
/// # Errors
/// If the cluster does not have the image.
pub fn by_digest(layout: &Layout, reference: &str) -> anyhow::Result<String> {
    let ctr = |args: &[&str]| {
        let mut ctr = Command::new("ctr");
        ctr.arg("--address").arg(layout.containerd()).args(["--namespace", "k8s.io", "images"]).args(args);
        shell::output(&mut ctr)
    };
    let listed = ctr(&["ls", &format!("name=={reference}")])?;
    let digest = listed.split_whitespace().find(|word| word.starts_with("sha256:"));
    let digest = digest.with_context(|| format!("the cluster does not have {reference}"))?;
    let repository = reference.rsplit_once(':').map_or(reference, |(repository, _)| repository);
    let by_digest = format!("{repository}@{digest}");
    ctr(&["tag", "--force", reference, &by_digest])?;
    Ok(by_digest)
}

/// The Dockerfile of the image.
fn dockerfile(image: &Image<'_>) -> String {
    format!("FROM scratch\nCOPY root /\nUSER 65532:65532\nENTRYPOINT [\"{}\"]\n", image.entrypoint)
}

fn build(image: &Image<'_>) -> anyhow::Result<PathBuf> {
    let cache = layout::cache()?.join("images");
    let text = dockerfile(image);
    let full = format!("{REPOSITORY}/{}", image.name);
    let mut hash = Sha256::new();
    hash.update(&full);
    hash.update(&text);
    for (file, path) in &image.files {
        hash.update(path);
        hash.update(fs::read(file).with_context(|| format!("read {}", file.display()))?);
    }
    let hash = format!("{:x}", hash.finalize());
    let short = &hash[..16];
    let title = full.replace(['/', ':'], "-");
    let archive = cache.join(format!("{title}-{short}.tar"));
    let _lock = lock::hold(&cache.join("images.lock"))?;
    if archive.exists() {
        return Ok(archive);
    }
    eprintln!("building image {}", image.name);
    // Earlier builds are not needed any more.
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

/// The shared libraries of a program, and the paths where it expects them.
fn libraries(program: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let listed = shell::output(Command::new("ldd").arg(program))?;
    let words = listed.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(words.map(|path| (PathBuf::from(path), path.to_owned())).collect())
}
