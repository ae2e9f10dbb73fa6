//! `crd`: writes the files that are generated from the Rust types, one per CustomResourceDefinition and the API reference.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use computing_unit_api as api;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::reference;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directory to write one file per definition to. Default: print them
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// File to write the API reference to, in Markdown
    #[arg(long, value_name = "FILE")]
    api_doc: Option<PathBuf>,
}

/// A file that cannot be generated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A definition cannot be serialized.
    #[error("cannot write a definition as YAML: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
    /// The file system rejected a write.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Prints the definitions, or writes the files that `args` name.
pub(super) fn run(args: &Args) -> Result<(), Error> {
    if args.dir.is_none() && args.api_doc.is_none() {
        for crd in api::crds() {
            print!("---\n{}", yaml(&crd)?);
        }
    }
    if let Some(dir) = &args.dir {
        fs::create_dir_all(dir).map_err(write_error(dir))?;
        for crd in api::crds() {
            write(&dir.join(file_name(&crd)), &yaml(&crd)?)?;
        }
    }
    if let Some(path) = &args.api_doc {
        write(path, &reference::markdown(&api::crds()))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(write_error(path))
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    |source| Error::Write { path, source }
}

/// `<group>_<plural>.yaml`.
#[must_use]
pub fn file_name(crd: &CustomResourceDefinition) -> String {
    format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural)
}

/// The definition as one YAML document.
///
/// # Errors
/// If it cannot be serialized.
pub fn yaml(crd: &CustomResourceDefinition) -> Result<String, Error> {
    Ok(serde_saphyr::to_string(crd)?)
}
