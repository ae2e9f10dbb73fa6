//! Builds an image from files of this machine. Images are cached by a hash of their content.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::{images::REPOSITORY, layout, lock, shell};

/// The description of an image.
pub(super) struct Image<'a> {
    /// Its name and tag.
    pub name: &'a str,
    /// Files of this machine, and their paths in the image.
    pub files: Vec<(PathBuf, String)>,
    /// Folders of this machine, and their paths in the image. A folder is known by its path: the content must not change.
    pub folders: Vec<(PathBuf, String)>,
    /// The Dockerfile, in whose context `root` has all of them.
    pub dockerfile: String,
}

impl<'a> Image<'a> {
    /// An image with one program as its entrypoint.
    pub fn of_program(name: &'a str, files: Vec<(PathBuf, String)>, entrypoint: &str) -> Self {
        let dockerfile = format!("FROM scratch\nCOPY root /\nUSER 65532:65532\nENTRYPOINT [\"{entrypoint}\"]\n");
        Self { name, files, folders: vec![], dockerfile }
    }

    /// Builds it. Returns its archive.
    ///
    /// # Errors
    /// If a file is missing, or buildah fails.
    pub fn build(&self) -> anyhow::Result<PathBuf> {
        let cache = layout::cache()?.join("images");
        let full = format!("{REPOSITORY}/{}", self.name);
        let mut hash = Sha256::new();
        hash.update(&full);
        hash.update(&self.dockerfile);
        for (file, path) in &self.files {
            hash.update(path);
            hash.update(fs::read(file).with_context(|| format!("read {}", file.display()))?);
        }
        for (folder, path) in &self.folders {
            hash.update(folder.as_os_str().as_encoded_bytes());
            hash.update(path);
        }
        let hash = format!("{:x}", hash.finalize());
        let short = &hash[..16];
        let title = full.replace(['/', ':'], "-");
        let archive = cache.join(format!("{title}-{short}.tar"));
        let _lock = lock::hold(&cache.join("images.lock"))?;
        if archive.exists() {
            return Ok(archive);
        }
        eprintln!("building image {}", self.name);
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
        for (folder, path) in &self.folders {
            let to = root.join(path.trim_start_matches('/'));
            fs::create_dir_all(&to)?;
            shell::output(Command::new("cp").args(["--archive", "--reflink=auto"]).arg(folder.join(".")).arg(&to))?;
        }
        for (file, path) in &self.files {
            let to = root.join(path.trim_start_matches('/'));
            fs::create_dir_all(to.parent().unwrap_or(&root))?;
            fs::copy(file, &to)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
        }
        fs::write(work.join("Dockerfile"), &self.dockerfile)?;
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
}

/// The shared libraries of programs, and the paths where they expect them.
pub(super) fn libraries(programs: &[impl AsRef<Path>]) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let listed = shell::output(Command::new("ldd").args(programs.iter().map(AsRef::as_ref)))?;
    // A line that ends with a colon names the program.
    let words = listed.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
    let mut paths: Vec<_> = words.collect();
    paths.sort_unstable();
    paths.dedup();
    Ok(paths.into_iter().map(|path| (PathBuf::from(path), path.to_owned())).collect())
}
