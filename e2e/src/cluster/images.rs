//! The images of a cluster, which are built from the programs and from this project, and imported into containerd.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use super::{
    image::{Image, libraries},
    layout::Layout,
    lock,
    programs::Programs,
    shell,
};
use crate::built;

/// The repository of local images. Nobody can publish an image of this name: `localhost` is each node itself.
pub const REPOSITORY: &str = "localhost";

/// Builds the images that every cluster needs. Returns their archives.
///
/// # Errors
/// If a build fails.
pub fn base(programs: &Programs) -> anyhow::Result<Vec<PathBuf>> {
    let one =
        |name, program: &Path, path| Image::of_program(name, vec![(program.to_owned(), String::from(path))], path);
    let mut envoy = one("envoy:1.40.0", &programs.envoy, "/usr/local/bin/envoy");
    envoy.files.extend(libraries(&[&programs.envoy])?);
    [
        one("pause:1", &programs.pause, "/pause"),
        one("coredns:1.14.7", &programs.coredns, "/coredns"),
        one("envoy-gateway:1.9.1", &programs.envoy_gateway, "/usr/local/bin/envoy-gateway"),
        envoy,
    ]
    .iter()
    .map(Image::build)
    .collect()
}

/// Builds an image with nginx. Returns its archive.
///
/// # Errors
/// If it cannot be built.
pub fn nginx(program: &Path) -> anyhow::Result<PathBuf> {
    let path = "/usr/sbin/nginx";
    let mut files = libraries(&[program])?;
    files.push((program.to_owned(), path.to_owned()));
    Image::of_program("nginx:debian", files, path).build()
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
        files.extend(libraries(&[&program])?);
        files.push((program, format!("/{name}")));
    }
    files.sort_by(|one, other| one.1.cmp(&other.1));
    files.dedup();
    Image::of_program(own.name(), files, &format!("/{}", own.programs()[0])).build()
}

/// Imports archives into a cluster, except those that were imported already.
///
/// # Errors
/// If containerd rejects one.
pub fn import(layout: &Layout, archives: &[PathBuf]) -> anyhow::Result<()> {
    let imported = layout.state()?.join("imported");
    fs::create_dir_all(&imported)?;
    // Tests that run at the same time may need the same image.
    let _lock = lock::hold(&imported.join("lock"))?;
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
