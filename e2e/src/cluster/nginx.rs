//! nginx from its Debian package, which is unpacked but not installed, so that the system does not start it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use super::{images, layout, lock, shell};

/// Packages that contain the program, those of the newest releases first.
const PACKAGES: [&str; 2] = ["nginx", "nginx-core"];

/// Builds the image `localhost/nginx:debian`. Returns its archive.
///
/// # Errors
/// If there is no such package, or the build of the image fails.
pub fn image() -> anyhow::Result<PathBuf> {
    images::nginx(&program()?)
}

/// The program in the cache.
fn program() -> anyhow::Result<PathBuf> {
    let cache = layout::cache()?.join("programs");
    let done = cache.join("nginx");
    let _lock = lock::hold(&cache.join("nginx.lock"))?;
    if done.exists() {
        return Ok(done);
    }
    let folder = cache.join("nginx.unpacked");
    for package in PACKAGES {
        if let Some(found) = unpacked(&folder, package)? {
            fs::rename(found, &done)?;
            fs::remove_dir_all(&folder)?;
            return Ok(done);
        }
    }
    anyhow::bail!("no package of this distribution contains nginx: tried {}", PACKAGES.join(" and "))
}

fn unpacked(folder: &Path, package: &str) -> anyhow::Result<Option<PathBuf>> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let download = |folder: &Path| {
        let mut apt = Command::new("apt-get");
        shell::output(apt.args(["download", "-qq", package]).current_dir(folder))
    };
    if download(folder).is_err() {
        // The package lists of a new machine are empty.
        shell::output(Command::new("apt-get").args(["update", "-qq"]))?;
        download(folder).context("download nginx")?;
    }
    let archive = fs::read_dir(folder)?.flatten().map(|entry| entry.path()).next().context("no package downloaded")?;
    shell::output(Command::new("dpkg").arg("-x").arg(&archive).arg(folder))?;
    let program = folder.join("usr/sbin/nginx");
    if !program.exists() {
        return Ok(None);
    }
    let needs = shell::output(Command::new("ldd").arg(&program))?;
    ensure!(!needs.contains("not found"), "nginx needs libraries that are missing on this machine:\n{needs}");
    Ok(Some(program))
}
