//! The files made from the Rust types: one per CustomResourceDefinition, and the reference of all fields.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use computing_unit_api as api;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use crate::cli::reference;

/// A file that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The definition is no YAML.
    #[error("cannot write a definition as YAML: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
    /// The disk.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Both definitions as one YAML stream.
///
/// # Errors
/// If one cannot be written as YAML.
pub fn all() -> Result<String, Error> {
    api::crds().iter().map(|crd| Ok(format!("---\n{}", yaml(crd)?))).collect()
}

/// Writes the definitions into `dir` and the reference to `api_doc`, each where it is given.
///
/// # Errors
/// If a file cannot be written.
pub fn write(dir: Option<&Path>, api_doc: Option<&Path>) -> Result<(), Error> {
    let at = |path: &Path| {
        let path = path.to_owned();
        |source| Error::Write { path, source }
    };
    if let Some(dir) = dir {
        fs::create_dir_all(dir).map_err(at(dir))?;
        for crd in api::crds() {
            let path = dir.join(file_name(&crd));
            fs::write(&path, yaml(&crd)?).map_err(at(&path))?;
        }
    }
    if let Some(path) = api_doc {
        fs::write(path, reference::markdown(&api::crds())).map_err(at(path))?;
    }
    Ok(())
}

/// `<group>_<plural>.yaml`.
#[must_use]
pub fn file_name(crd: &CustomResourceDefinition) -> String {
    format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural)
}

/// One definition as YAML.
///
/// # Errors
/// If it cannot be written as YAML.
pub fn yaml(crd: &CustomResourceDefinition) -> Result<String, Error> {
    Ok(serde_saphyr::to_string(crd)?)
}
